package roles_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state/sqlite"
	"github.com/mediafn/mediafn/roles/controller"
	"github.com/mediafn/mediafn/roles/worker"
)

// TestDatabaseAway lets every write of a decision fail for a while: the answer
// comes again, and the work does not run twice.
func TestDatabaseAway(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		other, err := sqlite.Open(c.path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		sql := func(text string) {
			if _, err := other.DB().ExecContext(context.Background(), text); err != nil {
				t.Error(err)
			}
		}
		c.run.do["t.a"] = func(_ context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
			sql(`CREATE TRIGGER broken BEFORE UPDATE ON tasks BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END`)
			return produce(j), nil
		}
		c.controller()
		c.worker("w1")
		id := c.submit("pair", "a")
		c.wake(id)
		time.Sleep(10 * time.Second) // synctest's time
		if v := c.view(id); row(v, "A").State != task.Running {
			t.Fatalf("A is %s though nothing can be written", row(v, "A").State)
		}
		sql(`DROP TRIGGER broken`)
		v := c.ends(id, task.Succeeded, 5*time.Second)
		for _, w := range v.Work {
			if w.Attempt != 1 {
				t.Errorf("%s: attempt %d", w.ID, w.Attempt)
			}
		}
		if n := c.run.count("t.a"); n != 1 {
			t.Errorf("A ran %d times", n)
		}
	})
}

// TestChaos stops and starts controllers and workers at random, with functions
// that fail now and then and workers that vanish: every task ends as it should,
// exactly once.
func TestChaos(t *testing.T) {
	for seed := range uint64(4) {
		bubble(t, func(t *testing.T, c *cluster) { chaos(t, c, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func chaos(t *testing.T, c *cluster, random *rand.Rand) {
	dice := make(chan int, 1<<16)
	for range cap(dice) {
		dice <- random.IntN(100)
	}
	c.run.do["t.a"] = func(ctx context.Context, j job.Job, progress func(fn.Progress)) (job.Outcome, error) {
		for range <-dice / 10 {
			select {
			case <-time.After(300 * time.Millisecond):
			case <-ctx.Done():
				return job.Outcome{}, errs.As(errs.Canceled, "t", ctx.Err())
			}
		}
		if <-dice < 10 {
			return job.Outcome{}, errs.New(errs.Transient, "t", "bad luck")
		}
		return produce(j), nil
	}
	brisk := func(cfg *controller.Config) {
		cfg.Lease = 4 * time.Second
		cfg.Limits.Failures = 50
		cfg.Limits.Quarantine = 50
	}
	short := func(cfg *worker.Config) { cfg.Grace = time.Second }
	controllers := []func(){c.controller(brisk), c.controller(brisk)}
	workers := 0
	next := func() func() { workers++; return c.worker(fmt.Sprint("w", workers), short) }
	machines := []func(){next(), next()}
	var all []string
	for range 60 {
		id := c.submit([]string{"pair", "race", "lone"}[random.IntN(3)], "a")
		all = append(all, id)
		if random.IntN(4) > 0 {
			c.wake(id)
		}
		time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond) // synctest's time
		switch random.IntN(8) {
		case 0:
			i := random.IntN(len(controllers))
			controllers[i]()
			controllers[i] = c.controller(brisk)
		case 1:
			i := random.IntN(len(machines))
			machines[i]()
			machines[i] = next()
		case 2: // a machine that takes work and is never heard of again
			vanishing := fake{c, fmt.Sprint("v", id)}
			if _, err := vanishing.want(1, 0); err != nil && !errs.Is(err, errs.Busy) && !errs.Is(err, errs.Timeout) {
				t.Error(err)
			}
		}
	}
	for _, id := range all {
		v := c.ends(id, task.Succeeded, 5*time.Minute)
		traces, err := c.store.Traces(context.Background(), id)
		if err != nil {
			t.Error(err)
		}
		won := map[string]int{}
		for _, trace := range traces {
			if trace.Outcome == "succeeded" {
				won[trace.WorkID]++
			}
		}
		for _, w := range v.Work {
			if won[w.ID] != 1 {
				t.Errorf("%s: %d results counted", w.ID, won[w.ID])
			}
		}
	}
	synctest.Wait()
}
