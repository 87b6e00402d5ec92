package task

import "github.com/mediafn/mediafn/core/errs"

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
