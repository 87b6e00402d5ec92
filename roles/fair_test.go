package roles_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
)

// TestOneBehindTenThousand puts one task of a tenant behind 10,000 of another:
// it waits for no more than the work that runs already.
func TestOneBehindTenThousand(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		const crowd, lasts = 10_000, 10 * time.Second
		c.run.do["t.a"] = func(_ context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
			time.Sleep(lasts) // synctest's time
			return produce(j), nil
		}
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() {
				for range crowd / 100 {
					c.submit("lone", "crowd")
				}
			})
		}
		callers.Wait()
		c.controller()
		c.worker("w1") // two cores
		c.until("all are decided", 10*time.Minute, func() bool {
			n, err := c.store.Count(context.Background(), task.Queued)
			return err == nil && n == 0
		})
		before, arrived := c.run.count("t.a"), time.Now()
		id := c.submit("lone", "other")
		c.announce(id)
		v := c.ends(id, task.Succeeded, time.Minute)
		waited := row(v, "A").StartedAt.Sub(arrived)
		if waited > lasts { // fake time: not how fast the machine is, but how much went before
			t.Errorf("it waited %s; what was running took %s", waited, lasts)
		}
		n, err := c.store.Count(context.Background(), task.Succeeded)
		if err != nil || n > crowd/2 {
			t.Fatalf("%d have ended already, %v: there was no crowd", n, err)
		}
		t.Logf("of %d tasks %d had begun; the one began after %s and ended after %s", crowd, before, waited, v.Task.EndedAt.Sub(arrived))
	})
}
