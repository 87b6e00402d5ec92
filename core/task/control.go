package task

import (
	"maps"
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// Cancel returns the task on its way to canceled. A task that is over, or
// failing, is a Conflict; canceling twice is not.
func Cancel(t Task) (Task, error) {
	if t.State.Final() || t.Ending == Failed {
		return t, errs.New(errs.Conflict, "cancel", "the task is %s already", stateOf(t))
	}
	t.Ending = Canceled
	return t, nil
}

func stateOf(t Task) State {
	if t.Ending != "" {
		return t.Ending
	}
	return t.State
}

// Retry returns the step that runs a failed or canceled task again as a new
// generation. What succeeded is kept; failures and losses count from zero.
func Retry(v View, now time.Time) (Step, error) {
	t := v.Task
	if t.State != Failed && t.State != Canceled {
		return Step{}, errs.New(errs.Conflict, "retry", "the task is %s; only a failed or canceled one is retried", t.State)
	}
	t.State, t.Error, t.EndedAt = Queued, nil, time.Time{}
	t.Generation++
	step := Step{}
	for _, id := range slices.Sorted(maps.Keys(v.Work)) {
		w := *v.Work[id]
		if w.State != Failed && w.State != Canceled {
			continue
		}
		if w.Order >= 0 && v.Work.state(EventID(w.TaskID, w.Component)) == Skipped {
			continue // its event returned without it
		}
		c := v.Plan.Component(w.Component)
		w.State, w.Error, w.EndedAt = Ready, nil, time.Time{}
		if w.Order < 0 && c != nil && c.ForEach != nil {
			w.State = Waiting
		}
		w.Failures, w.Losses, w.LostBy, w.NotBefore = 0, 0, nil, now
		if c != nil {
			t.Ret = t.Ret.Set(c.Index, Untouched)
		}
		step.Update = append(step.Update, w.release())
	}
	step.Task = t
	return step, nil
}
