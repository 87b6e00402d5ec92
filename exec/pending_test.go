package exec

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
)

// TestPending holds how work that an outside service goes on with leaves.
func TestPending(t *testing.T) {
	var res fn.Result
	var got *fn.Call
	b := newBench(t, func(_ context.Context, call *fn.Call) (*fn.Result, error) {
		got = call
		return &res, nil
	}, nil)
	j := jobFor(b.put(t, "main", "a.png", picture(4, 4)))
	j.Async, j.Callback = true, "http://api/v1/callbacks/t1?token=x"
	res = fn.Result{Pending: true}
	out, err := b.Run(t.Context(), j, nil)
	if diff := cmp.Diff(job.Outcome{Pending: true}, out); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if got.Callback != j.Callback || got.Place != (media.Ref{Bucket: "work", Key: "task/event/t1/"}) {
		t.Errorf("the function was told %q and %+v", got.Callback, got.Place)
	}
	res = fn.Result{Facts: json.RawMessage(`{"now":true}`)} // done at once
	if out, err = b.Run(t.Context(), j, nil); err != nil || out.Pending || string(out.Facts) != `{"now":true}` {
		t.Errorf("%+v, %v", out, err)
	}
	res = fn.Result{Pending: true, Facts: json.RawMessage(`{}`)}
	if _, err = b.Run(t.Context(), j, nil); !errs.Is(err, errs.Internal) {
		t.Errorf("pending with facts: %v", err)
	}
	res, j.Callback = fn.Result{Pending: true}, ""
	if _, err = b.Run(t.Context(), j, nil); !errs.Is(err, errs.Transient) {
		t.Errorf("asynchronous without a callback: %v", err)
	}
	j.Async = false
	if _, err = b.Run(t.Context(), j, nil); !errs.Is(err, errs.Internal) {
		t.Errorf("pending without a callback: %v", err)
	}
}
