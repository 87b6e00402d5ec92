package statetest

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// upload is an open upload with every field set.
func (b *bench) upload(tenant, concat string, size int64) state.Upload {
	b.t.Helper()
	now := b.Now().Truncate(time.Millisecond)
	u := state.Upload{
		ID: task.NewID(), Tenant: tenant, Place: media.Ref{Cloud: "main", Bucket: "in", Key: "clip.mp4"}, Meta: "filename Y2xpcA==", Mime: "video/mp4",
		Size: size, State: arrival.Open, Concat: concat, CreatedAt: now, ExpiresAt: now.Add(time.Hour), TouchedAt: now,
	}
	if err := b.CreateUpload(b.t.Context(), u); err != nil {
		b.t.Fatal(err)
	}
	return u
}

// arrive adds a piece to an upload.
func (b *bench) arrive(u *state.Upload, size int64) error {
	was := *u
	u.Arrived += size
	u.TouchedAt = b.Now().Truncate(time.Millisecond)
	if u.Arrived == u.Size {
		u.State, u.WholeAt = arrival.Whole, u.TouchedAt
		if u.Concat == "partial" {
			u.State = arrival.Done
		}
	}
	return b.AdvanceUpload(b.t.Context(), was, *u, media.Piece{Key: u.ID + "/" + task.NewID(), Start: was.Arrived, Size: size})
}

func (b *bench) one(id string) state.Upload {
	b.t.Helper()
	all, err := b.Uploads(b.t.Context(), id)
	if err != nil || len(all) != 1 {
		b.t.Fatalf("upload %s: %v, %v", id, all, err)
	}
	return all[0]
}

func testUploads(t *testing.T, b *bench) {
	u := b.upload("a", "", 10)
	b.upload("b", "", 10)
	if diff := cmp.Diff(u, b.one(u.ID)); diff != "" {
		t.Errorf("as it was stored (-put +got):\n%s", diff)
	}
	old := u
	if err := b.arrive(&u, 4); err != nil {
		t.Fatal(err)
	}
	if err := b.arrive(&old, 5); !errs.Is(err, errs.Conflict) {
		t.Errorf("added where somebody has added already: %v", err)
	}
	for tenant, want := range map[string]int{"a": 1, "": 2, "c": 0} {
		if n, err := b.CountUploads(t.Context(), tenant); n != want || err != nil {
			t.Errorf("%q has %d open, %v", tenant, n, err)
		}
	}
	if err := b.TouchUpload(t.Context(), u.ID); !errs.Is(err, errs.Conflict) {
		t.Errorf("touched though it is open: %v", err)
	}
	u.Index, u.Why = 3, "in front"
	if err := b.arrive(&u, 6); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(u, b.one(u.ID)); diff != "" {
		t.Errorf("whole (-put +got):\n%s", diff)
	}
	pieces, err := b.Pieces(t.Context(), u.ID)
	if err != nil || len(pieces) != 2 || pieces[1].Start != 4 || pieces[1].Size != 6 || pieces[0].Start != 0 {
		t.Errorf("pieces %v, %v", pieces, err)
	}
	if named, err := b.PieceNamed(t.Context(), pieces[1].Key); !named || err != nil {
		t.Errorf("named %v, %v", named, err)
	}
	if err := b.EndUpload(t.Context(), u, arrival.Done, ""); err != nil {
		t.Fatal(err)
	}
	if err := b.EndUpload(t.Context(), u, arrival.Gone, "expired"); !errs.Is(err, errs.Conflict) {
		t.Errorf("done and gone: %v", err)
	}
	if got := b.one(u.ID); got.State != arrival.Done || got.Why != "in front" {
		t.Errorf("done: %+v", got)
	}
	if err := b.DropPieces(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.ForgetUpload(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	if all, err := b.Uploads(t.Context(), u.ID); len(all) != 0 || err != nil {
		t.Errorf("forgotten: %v, %v", all, err)
	}
}

// testUploadParts makes one upload of two.
func testUploadParts(t *testing.T, b *bench) {
	first, second, open := b.upload("a", "partial", 4), b.upload("a", "partial", 6), b.upload("a", "partial", 6)
	for _, u := range []*state.Upload{&first, &second} {
		if err := b.arrive(u, u.Size); err != nil {
			t.Fatal(err)
		}
	}
	final := first
	final.ID, final.Concat, final.Size, final.Arrived, final.State = task.NewID(), "final", 10, 10, arrival.Whole
	if err := b.CreateUpload(t.Context(), final, first, open); !errs.Is(err, errs.Conflict) {
		t.Errorf("of a part that is not whole: %v", err)
	}
	if all, err := b.Uploads(t.Context(), final.ID); len(all) != 0 || err != nil {
		t.Errorf("a refused one is there: %v, %v", all, err)
	}
	if err := b.CreateUpload(t.Context(), final, first, second); err != nil {
		t.Fatal(err)
	}
	pieces, err := b.Pieces(t.Context(), final.ID)
	if err != nil || len(pieces) != 2 || pieces[0].Start != 0 || pieces[1].Start != 4 || pieces[1].Size != 6 {
		t.Errorf("pieces %v, %v", pieces, err)
	}
	if got := b.one(second.ID); got.State != arrival.Gone {
		t.Errorf("a part that was taken: %+v", got)
	}
}

// testUploadTasks holds pieces back while a task may be reading them.
func testUploadTasks(t *testing.T, b *bench) {
	u := b.upload("a", "", 4)
	made := NewTask("a", "m")
	made.Request.Inputs = []media.Ref{{Cloud: "main", Bucket: "in", Key: "clip.mp4", Upload: u.ID}, {Cloud: "main", Bucket: "in", Key: "clip.mp4", Upload: u.ID}}
	stored, _, err := b.Submit(t.Context(), made)
	if err != nil {
		t.Fatal(err)
	}
	if made.ID = task.NewID(); made.ID == stored.ID {
		t.Fatal("one id twice")
	}
	if again, existed, err := b.Submit(t.Context(), made); err != nil || !existed || again.ID != stored.ID {
		t.Fatalf("the same again: %s, %v, %v", again.ID, existed, err)
	}
	if ids, err := b.UploadTasks(t.Context(), u.ID); err != nil || !slices.Equal(ids, []string{stored.ID}) {
		t.Errorf("tasks %v, %v", ids, err)
	}
	if err := b.arrive(&u, 4); err != nil {
		t.Fatal(err)
	}
	if v, err := b.View(t.Context(), stored.ID); err != nil || len(v.Uploads) != 1 || v.Uploads[u.ID] == nil || v.Uploads[u.ID].Arrived != 4 {
		t.Errorf("the view of its task: %+v, %v", v.Uploads, err)
	}
	if err := b.EndUpload(t.Context(), u, arrival.Done, ""); err != nil {
		t.Fatal(err)
	}
	past := epoch
	untended := func(idle, old time.Time) (ids []string) {
		t.Helper()
		all, err := b.Untended(t.Context(), idle, old, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range all {
			ids = append(ids, u.ID)
		}
		return ids
	}
	if ids := untended(past, past); len(ids) != 0 {
		t.Errorf("while its task lives: %v", ids)
	}
	stored.State, stored.EndedAt = task.Failed, epoch
	b.apply(state.Change{Task: &stored})
	if ids := untended(past, past); !slices.Equal(ids, []string{u.ID}) {
		t.Errorf("after its task: %v", ids)
	}
	if err := b.DropPieces(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	if ids := untended(past, past); len(ids) != 0 {
		t.Errorf("without pieces: %v", ids)
	}
	if ids := untended(past, b.Now().Add(time.Second)); !slices.Equal(ids, []string{u.ID}) {
		t.Errorf("an old one: %v", ids)
	}
}

func testUploadsUntended(t *testing.T, b *bench) {
	past, soon := epoch, b.Now().Add(time.Minute)
	whole, gone := b.upload("a", "", 4), b.upload("a", "", 4)
	late := state.Upload{ID: task.NewID(), Tenant: "a", State: arrival.Open, Size: -1, CreatedAt: epoch, ExpiresAt: epoch.Add(time.Second), TouchedAt: b.Now()}
	if err := b.CreateUpload(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{b.arrive(&whole, 4), b.arrive(&gone, 2), b.EndUpload(t.Context(), gone, arrival.Gone, "ended")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]bool{}
	all, err := b.Untended(t.Context(), past, past, 10)
	for _, u := range all {
		got[u.ID] = true
	}
	if err != nil || len(got) != 2 || !got[late.ID] || !got[gone.ID] {
		t.Errorf("expired and gone: %v, %v", got, err)
	}
	if all, err = b.Untended(t.Context(), soon, past, 10); err != nil || !slices.ContainsFunc(all, func(u state.Upload) bool { return u.ID == whole.ID }) {
		t.Errorf("whole and idle: %v, %v", all, err)
	}
	if err := b.TouchUpload(t.Context(), whole.ID); err != nil {
		t.Error(err)
	}
}

// testUploadRace has every process add a piece at the same place: one is taken.
func testUploadRace(t *testing.T, stores []*state.Store) {
	b := &bench{t: t, Store: stores[0]}
	u := b.upload("a", "", 100)
	for range 10 {
		var won atomic.Int64
		each(stores, func(_ int, s *state.Store) {
			now := u
			now.Arrived += 10
			err := s.AdvanceUpload(context.Background(), u, now, media.Piece{Key: task.NewID(), Start: u.Arrived, Size: 10})
			if err == nil {
				won.Add(1)
			} else if !errs.Is(err, errs.Conflict) {
				t.Error(err)
			}
		})
		if won.Load() != 1 {
			t.Fatalf("%d processes added a piece at byte %d", won.Load(), u.Arrived)
		}
		u = b.one(u.ID)
	}
	pieces, err := stores[1].Pieces(t.Context(), u.ID)
	if err != nil || len(pieces) != 10 || u.Arrived != 100 {
		t.Errorf("%d pieces, %d bytes, %v", len(pieces), u.Arrived, err)
	}
}
