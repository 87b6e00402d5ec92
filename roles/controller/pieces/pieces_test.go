package pieces_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/ports/state/sqlite"
	"github.com/mediafn/mediafn/roles/controller/pieces"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFill(t *testing.T) {
	d, err := sqlite.Open(filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := state.New(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	u := state.Upload{ID: "u", Size: 20 << 20, State: arrival.Open, Index: 1000, ExpiresAt: time.Now().Add(time.Hour)}
	if err := store.CreateUpload(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	for i := range int64(10) {
		was := u
		u.Arrived += 1 << 20
		if err := store.AdvanceUpload(t.Context(), was, u, media.Piece{Key: "u/" + string(rune('a'+i)), Start: was.Arrived, Size: 1 << 20}); err != nil {
			t.Fatal(err)
		}
	}
	row := job.Job{Fn: "inspect.probe", Inputs: []job.Input{
		{Ref: media.Ref{Bucket: "in", Key: "k", Upload: "u"}}, {Ref: media.Ref{Bucket: "in", Key: "other"}}, {Ref: media.Ref{Bucket: "in", Key: "old", Upload: "forgotten"}},
	}}
	fill := func(w *task.Work) []job.Input {
		t.Helper()
		j := row
		if err := pieces.Fill(t.Context(), store, "arriving", w, &j); err != nil {
			t.Fatal(err)
		}
		return j.Inputs
	}
	in := fill(&task.Work{})
	if p := in[0].Pieces; p == nil || p.Upload != "u" || p.Bucket != "arriving" || p.Size != 20<<20 || len(p.List) != 2 || p.List[1].Key != "u/b" {
		t.Errorf("what arrives: %+v", p)
	}
	if in[1].Pieces != nil || in[2].Pieces != nil {
		t.Errorf("what is there: %+v", in[1:])
	}
	if row.Inputs[0].Pieces != nil {
		t.Error("the row's own job was changed")
	}
	in = fill(&task.Work{Error: &task.Fault{Short: 4 << 20}})
	if p := in[0].Pieces; p == nil || len(p.List) != 6 { // 4 and a quarter, and what readers look ahead
		t.Errorf("after an attempt that fell short: %+v", p)
	}
	was := u
	u.Arrived, u.State = u.Size, arrival.Whole
	if err := store.AdvanceUpload(t.Context(), was, u, media.Piece{Key: "u/z", Start: was.Arrived, Size: 10 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := store.EndUpload(t.Context(), u, arrival.Done, ""); err != nil {
		t.Fatal(err)
	}
	if in = fill(&task.Work{}); in[0].Pieces != nil {
		t.Errorf("when its object is there: %+v", in[0].Pieces)
	}
}
