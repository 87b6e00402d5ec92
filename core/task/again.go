package task

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
)

// Scope says what of an ended task is run again.
type Scope struct {
	Component string // empty: what failed or was canceled
	Segment   *int   // only this slice of the component
	// Fresh names outputs of what runs again that are computed though they are
	// kept from before, see job.Job.Fresh. Of a task that succeeded, and without a
	// component, the work of the function it names runs again.
	Fresh []string
}

// Retry returns the step that runs an ended task again as a new generation.
// Without a scope the task must have failed or been canceled, and what
// succeeded is kept. With one, that component (or that slice of it) is run
// again whatever its end was, and everything that was made from it is undone
// and made anew. Failures and losses count from zero.
func Retry(v View, s Scope, now time.Time) (Step, error) {
	t := v.Task
	switch {
	case !t.State.Final():
		return Step{}, errs.New(errs.Conflict, "retry", "the task is %s; only one that is over is retried", stateOf(t))
	case s.Component == "" && t.State == Succeeded && len(s.Fresh) > 0:
		if s.Component = worked(v); s.Component == "" {
			return Step{}, errs.InField("component", "is required: the flow %s has several functions", t.Flow)
		}
	case s.Component == "" && t.State == Succeeded:
		return Step{}, errs.New(errs.Conflict, "retry", "the task is succeeded; name the component that is to run again")
	}
	again := &again{view: v, now: now, fresh: s.Fresh, done: map[string]bool{}}
	t.State, t.Error, t.EndedAt, t.Outputs, t.Report = Queued, nil, time.Time{}, nil, nil
	t.Generation++
	again.step.Task = t
	for _, id := range slices.Sorted(maps.Keys(v.Work)) {
		if w := v.Work[id]; w.IsTwin() { // a slice that runs again is slow again before it has a twin
			again.done[id] = true
			again.step.Delete = append(again.step.Delete, *w)
		}
	}
	if s.Component != "" {
		if err := again.part(s); err != nil {
			return Step{}, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(v.Work)) {
		w := v.Work[id]
		if w.State != Failed && w.State != Canceled || again.done[id] {
			continue
		}
		if w.Order >= 0 && v.Work.state(EventID(w.TaskID, w.Component)) == Skipped {
			continue // its event returned without it
		}
		again.reset(*w)
	}
	return again.step, nil
}

// again is one retry under way.
type again struct {
	view  View
	now   time.Time
	fresh []string
	step  Step
	done  map[string]bool // rows that were reset or deleted
}

// part resets a component, or one slice of it, and undoes what follows.
func (a *again) part(s Scope) error {
	c := a.view.Plan.Component(s.Component)
	event := EventID(a.view.Task.ID, s.Component)
	if c == nil || a.view.Work[event] == nil {
		return errs.InField("component", "the task has not run a component %q", s.Component)
	}
	if s.Segment != nil && a.view.Work[SegmentID(event, *s.Segment)] == nil {
		return errs.InField("segment", "%s has no slice %d", s.Component, *s.Segment)
	}
	whole := a.view.Work.state(event) == Succeeded // nothing of it failed, so all of it is meant
	for _, id := range slices.Sorted(maps.Keys(a.view.Work)) {
		w := a.view.Work[id]
		if w.Component != s.Component || a.done[id] {
			continue
		}
		broken := w.State == Failed || w.State == Canceled
		if w.Order < 0 || broken || (whole && s.Segment == nil) || (s.Segment != nil && w.Order == *s.Segment) {
			a.reset(*w)
		}
	}
	follows := following(a.view.Plan, c)
	for _, id := range slices.Sorted(maps.Keys(a.view.Work)) {
		if w := a.view.Work[id]; follows[w.Component] && !a.done[id] {
			a.keep(w)
			a.done[id] = true
			a.step.Delete = append(a.step.Delete, *w)
		}
	}
	t := &a.step.Task
	for _, other := range a.view.Plan.Components {
		if follows[other.Name] {
			t.Call, t.Ret = t.Call.Set(other.Index, Untouched), t.Ret.Set(other.Index, Untouched)
		}
	}
	if m := a.view.Plan.Module(t.Status); m < 0 || m > c.Module { // a task that succeeded has left the last module
		t.Status = a.view.Plan.Modules[c.Module].Status
	}
	return nil
}

// reset makes a row ready, or a fanned out event wait for its segments.
func (a *again) reset(w Work) {
	a.keep(&w)
	a.done[w.ID] = true
	c := a.view.Plan.Component(w.Component)
	w.State, w.Error, w.EndedAt = Ready, nil, time.Time{}
	if w.Order < 0 && c != nil && c.ForEach != nil {
		w.State = Waiting
	}
	w.Outputs, w.Facts, w.Usage = nil, nil, fn.Usage{}
	w.Failures, w.Losses, w.LostBy, w.NotBefore = 0, 0, nil, a.now
	w.Job, w.Made = afresh(w.Job, a.fresh), nil
	if w.State == Ready && len(a.view.Task.Request.Uploads()) > 0 {
		w.State, w.NotBefore = Waiting, never // the decision says whether its bytes are there
	}
	if c != nil {
		a.step.Task.Call = a.step.Task.Call.Set(c.Index, Success)
		a.step.Task.Ret = a.step.Task.Ret.Set(c.Index, Untouched)
	}
	a.step.Update = append(a.step.Update, w.release())
}

// worked is the component that ran the function the task names on pictures:
// on slices, else on the whole. Empty if there is none.
func worked(v View) (name string) {
	for _, c := range v.Plan.Components {
		if c.Fn != "" || v.Work.state(EventID(v.Task.ID, c.Name)) != Succeeded {
			continue
		}
		if c.ForEach != nil {
			return c.Name
		}
		if c.Part == nil {
			name = c.Name
		}
	}
	return name
}

// afresh names in a job what it is to compute in any case.
func afresh(raw json.RawMessage, names []string) json.RawMessage {
	var j job.Job
	if json.Unmarshal(raw, &j) != nil || len(j.Fresh)+len(names) == 0 {
		return raw // no job, as that of a row the controller evaluates itself
	}
	j.Fresh = names
	raw, _ = json.Marshal(j) // plain data: cannot fail
	return raw
}

// keep records the attempt that succeeded: so far only its row said it.
func (a *again) keep(w *Work) {
	if w.State != Succeeded || w.Trace == "" {
		return
	}
	a.step.Traces = append(a.step.Traces, Trace{
		ID: w.Trace, WorkID: w.ID, TaskID: w.TaskID, Attempt: w.Attempt, Worker: w.Worker, Outcome: "succeeded",
		Usage: w.Usage, StartedAt: w.StartedAt, EndedAt: w.EndedAt,
	})
}

// following names the components whose results were made from c's, by depends
// or by what they refer to.
func following(p *flow.Plan, c *flow.Component) map[string]bool {
	follows := map[string]bool{}
	from := map[int]bool{c.Index: true}
	for grown := true; grown; {
		grown = false
		for _, other := range p.Components {
			if from[other.Index] {
				continue
			}
			if slices.ContainsFunc(other.Uses(), func(i int) bool { return from[i] }) {
				from[other.Index], follows[other.Name], grown = true, true, true
			}
		}
	}
	return follows
}
