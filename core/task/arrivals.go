package task

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
)

// Work whose input is still arriving waits until the bytes it reads are there.
// It is not granted before, so that no worker holds cores for bytes to come.

// never is when work that waits for bytes is due: only a decision makes it ready.
var never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// arrivals ends the task if an upload it reads was ended, and otherwise makes
// ready what has its bytes, and wait what has not.
func (r *round) arrivals() {
	inputs := r.step.Task.Request.Inputs
	for i := range inputs {
		u := r.view.Uploads[inputs[i].Upload]
		if u == nil || u.State != arrival.Gone {
			continue
		}
		r.fail(nil, &Fault{Kind: errs.NotFound, Field: job.Field(i) + ".upload",
			Message: fmt.Sprintf("%s.upload: the upload ended before it was whole: %s", job.Field(i), u.Why)})
		return
	}
	if len(r.view.Uploads) == 0 && len(r.step.Task.Request.Uploads()) == 0 {
		return
	}
	for _, w := range r.view.Work {
		if waits := w.State == Waiting && w.NotBefore.Equal(never); w.State == Ready || waits {
			if now := r.await(*w); now.State != w.State {
				r.change(now)
			}
		}
	}
}

// await returns a row that is ready or waits for bytes as what has arrived has it.
func (r *round) await(w Work) Work {
	there := r.there(&w)
	switch {
	case w.State == Ready && !there:
		w.State, w.NotBefore = Waiting, never
	case w.State == Waiting && w.NotBefore.Equal(never) && there:
		w.State, w.NotBefore = Ready, r.now
	}
	return w
}

// errLater says of a fact that it will be known, and is not yet.
var errLater = errors.New("not known yet")

// splits is the fact task.splits: true if slices of the primary input may begin while
// it arrives though it has no index, and nothing of the request forbids it.
func (r *round) splits() (json.RawMessage, error) {
	rq := &r.step.Task.Request
	if len(rq.Inputs) == 0 || rq.Extra.Slice == "off" || rq.Extra.PreDownload != nil && *rq.Extra.PreDownload {
		return nil, nil
	}
	u := r.view.Uploads[rq.Inputs[0].Upload]
	f, err := r.Functions.Get(rq.Cmd)
	if u == nil || err != nil || f.Spec().Slicing.Mode != fn.Independent {
		return nil, nil
	}
	early, known := u.Early()
	if !known {
		return nil, errLater
	}
	return json.Marshal(early)
}

// there reports whether all bytes a row's job reads have arrived.
func (r *round) there(w *Work) bool {
	j := w.Made
	if j == nil {
		j = &job.Job{}
		if json.Unmarshal(w.Job, j) != nil {
			return true // what is wrong with it is found when it is granted
		}
	}
	for i := range j.Inputs {
		u := r.view.Uploads[j.Inputs[i].Ref.Upload]
		if u != nil && !u.There(arrival.Need(j, i, u, w.Short())) { // one nobody knows any more was done long ago
			return false
		}
	}
	return true
}

// Short is how many bytes of an upload the last attempt would have needed.
func (w *Work) Short() int64 {
	if w.Error == nil {
		return 0
	}
	return w.Error.Short
}

// arrival says how the primary input's arrival went; nil where it came by no upload.
func (r *round) arrival() json.RawMessage {
	rq := &r.step.Task.Request
	if len(rq.Inputs) == 0 || r.view.Uploads[rq.Inputs[0].Upload] == nil {
		return nil
	}
	u := r.view.Uploads[rq.Inputs[0].Upload]
	seen := arrival.Seen{Copied: rq.Extra.PreDownload != nil && *rq.Extra.PreDownload, Whole: rq.Extra.Slice == "off"}
	if f, err := r.Functions.Get(rq.Cmd); err == nil {
		seen.Together = f.Spec().Slicing.Mode != fn.Independent
	}
	for _, w := range r.view.Work {
		if w.Fn == "slice.plan" && w.State == Succeeded {
			_ = json.Unmarshal(w.Facts, &seen) // those of its documents that say why not
		}
		if w.Fn == "inspect.front" && w.Error != nil {
			seen.NotEarly = w.Error.Message
		}
		var j job.Job
		if w.StartedAt.IsZero() || w.Job == nil || !w.StartedAt.Before(u.WholeAt) || json.Unmarshal(w.Job, &j) != nil {
			continue
		}
		seen.Early = true
		if w.Order >= 0 && j.Part != nil && j.Part.Stream == fn.Pictures && !w.IsTwin() {
			seen.Slices++
		}
	}
	raw, _ := json.Marshal(u.Tell(seen)) // plain data: cannot fail
	return raw
}
