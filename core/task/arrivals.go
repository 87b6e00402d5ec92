package task

import (
	"encoding/json"
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

// arrived says in a result how the primary input's arrival went.
type arrived struct {
	Upload string `json:"upload"`
	Early  bool   `json:"early"`             // something of it was done before its last byte came
	Slices int    `json:"slices_before_end"` // so many slices had begun by then
	Reason string `json:"reason"`
}

// arrival is nil where the primary input did not come by an upload.
func (r *round) arrival() json.RawMessage {
	t := &r.step.Task
	if len(t.Request.Inputs) == 0 || r.view.Uploads[t.Request.Inputs[0].Upload] == nil {
		return nil
	}
	u := r.view.Uploads[t.Request.Inputs[0].Upload]
	a := arrived{Upload: u.ID, Reason: u.Why}
	for _, w := range r.view.Work {
		var j job.Job
		if w.StartedAt.IsZero() || w.Job == nil || !w.StartedAt.Before(u.WholeAt) || json.Unmarshal(w.Job, &j) != nil {
			continue
		}
		a.Early = true
		if w.Order >= 0 && j.Part != nil && j.Part.Stream == fn.Pictures && !w.IsTwin() {
			a.Slices++
		}
	}
	switch {
	case t.Request.Extra.PreDownload != nil && *t.Request.Extra.PreDownload:
		a.Reason = "extra.pre_download has the whole file copied before work begins"
	case a.Slices > 0:
		a.Reason += "; slices began as their bytes arrived"
	case u.Index > 0 && a.Early:
		a.Reason += "; there were no slices that could have begun before the end"
	case u.Index > 0:
		a.Reason += "; it was whole before anything could begin"
	}
	raw, _ := json.Marshal(a) // plain data: cannot fail
	return raw
}
