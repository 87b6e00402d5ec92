package roles_test

import (
	"context"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// TestRetryOfAPartThatSucceeded runs A again, which had succeeded, because B,
// which is made of it, failed.
func TestRetryOfAPartThatSucceeded(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.run.do["t.b"] = failing(errs.Invalid)
		c.controller()
		c.worker("w1")
		id := c.submit("pair", "a")
		c.wake(id)
		c.ends(id, task.Failed, time.Minute)
		c.run.mu.Lock()
		delete(c.run.do, "t.b")
		c.run.mu.Unlock()
		v := c.view(id)
		first := row(v, "A").Outputs[0].Key
		v.Plan = c.book.Get("pair")
		step, err := task.Retry(v, task.Scope{Component: "A"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		change := state.Change{Task: &step.Task}
		for _, w := range step.Delete {
			change.Delete = append(change.Delete, state.Guarded{Work: w, Was: w.State, Attempt: w.Attempt})
		}
		if err := c.store.Apply(context.Background(), []state.Change{change})[0]; err != nil {
			t.Fatal(err)
		}
		c.wake(id)
		c.until("the end", time.Minute, func() bool { return c.view(id).Task.State.Final() })
		if v := c.view(id); v.Task.State != task.Succeeded || row(v, "A").Outputs[0].Key == first || c.run.count("t.a") != 2 || c.run.count("t.b") != 2 {
			t.Errorf("%s, A ran %d times, B %d", v.Task.State, c.run.count("t.a"), c.run.count("t.b"))
		}
	})
}
