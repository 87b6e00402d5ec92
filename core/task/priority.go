package task

import (
	"maps"
	"slices"

	"github.com/mediafn/mediafn/core/errs"
)

// Prioritize returns the step that gives a task another priority: itself and
// what of its work still waits. What runs is not disturbed, and has the old
// priority if it comes back. A task that is over, or ending, is a Conflict.
func Prioritize(v View, priority int) (Step, error) {
	if priority < 0 || priority > 9 {
		return Step{}, errs.InField("priority", "must be 0–9")
	}
	t := v.Task
	if t.State.Final() || t.Ending != "" {
		return Step{}, errs.New(errs.Conflict, "priority", "the task is %s already", stateOf(t))
	}
	t.Request.Priority = priority
	step := Step{Task: t}
	for _, id := range slices.Sorted(maps.Keys(v.Work)) {
		w := *v.Work[id]
		if (w.State == Ready || w.State == Waiting) && w.Priority != priority {
			w.Priority = priority
			step.Update = append(step.Update, w)
		}
	}
	return step, nil
}
