package exec

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/ports/blob"
)

// TestArriving: an input is read in the pieces that are there; a read of what is
// not there fails with how much would have to be.
func TestArriving(t *testing.T) {
	const block = 64 << 10 // of the bench's gate
	content := movie(4 * block)
	var got []byte
	b := newBench(t, func(ctx context.Context, call *fn.Call) (*fn.Result, error) {
		in := call.In("source")
		var from, n int64 = 0, in.Size
		if call.Part != nil {
			from, n = call.Part.Start, call.Part.End-call.Part.Start
		}
		var err error
		got, err = io.ReadAll(io.NewSectionReader(in.Data, from, n))
		return &fn.Result{Facts: []byte(`{}`)}, err
	}, nil)
	store, err := b.stores.Get("main")
	if err != nil {
		t.Fatal(err)
	}
	pieces := &job.Pieces{Upload: "u1", Bucket: "arriving", Size: int64(len(content))}
	add := func(from, to int64) {
		t.Helper()
		key := "u1/" + string(rune('a'+len(pieces.List)))
		if _, err := store.Put(t.Context(), "arriving", key, bytes.NewReader(content[from:to]), blob.PutOptions{Size: to - from}); err != nil {
			t.Fatal(err)
		}
		pieces.List = append(pieces.List, media.Piece{Key: key, Start: from, Size: to - from})
	}
	run := func(start, end int64) error {
		t.Helper()
		j := jobFor(media.Ref{Cloud: "main", Bucket: "in", Key: "not-there-yet.mp4", Upload: "u1"})
		j.Inputs[0].Pieces = pieces
		j.Part = &fn.Part{Start: start, End: end}
		_, err := b.Run(t.Context(), j, nil)
		return err
	}
	add(0, 1000)
	add(1000, block+50)
	if err := run(10, block); err != nil || !bytes.Equal(got, content[10:block]) {
		t.Errorf("what is there: %d bytes, %v", len(got), err)
	}
	err = run(10, block+10)
	fault := job.FaultOf(err)
	if fault == nil || fault.Short != 2*block || fault.Kind != errs.Transient {
		t.Errorf("what is not there: %+v", fault)
	}
	add(3*block, 4*block) // with a gap before it
	if err := run(3*block, 4*block); err != nil || !bytes.Equal(got, content[3*block:]) {
		t.Errorf("behind a gap: %d bytes, %v", len(got), err)
	}
	if err := store.Delete(t.Context(), "arriving", pieces.List[2].Key); err != nil {
		t.Fatal(err)
	}
	src := &arrivingSource{t.Context(), store.Pieces("arriving", pieces.List), pieces.Size}
	if _, err := src.ReadAt(make([]byte, 10), 3*block); !errs.Is(err, errs.Transient) {
		t.Errorf("a piece that is gone: %v", err)
	}
}
