package roles_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/roles/controller"
)

func splitFlows(text string) (all []string) {
	for _, one := range strings.Split(text, "\n- ")[1:] {
		all = append(all, strings.ReplaceAll(one, "\n  ", "\n"))
	}
	return all
}

func TestTaskGoesThrough(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.controller()
		c.worker("w1")
		id := c.submit("pair", "a")
		c.wake(id)
		v := c.ends(id, task.Succeeded, time.Second)
		if len(v.Task.Outputs) != 1 || !strings.Contains(v.Task.Outputs[0].Key, "/B/") {
			t.Errorf("the result is %+v", v.Task.Outputs)
		}
		if v.Task.Usage.CPUSeconds != 2 {
			t.Errorf("usage %+v", v.Task.Usage)
		}
	})
}

func TestFailsThreeTimesThenForGood(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.run.do["t.b"] = failing(errs.Transient)
		c.controller()
		c.worker("w1")
		id := c.submit("pair", "a")
		c.wake(id)
		v := c.ends(id, task.Failed, time.Minute)
		if e := v.Task.Error; e == nil || e.Component != "B" || e.Kind != errs.Transient || !strings.Contains(e.Message, "it broke") {
			t.Errorf("the error is %+v", e)
		}
		if n := c.run.count("t.b"); n != 3 || row(v, "B").Failures != 3 || c.run.count("t.a") != 1 {
			t.Errorf("ran %d times: %+v", n, row(v, "B"))
		}
		traces, err := c.store.Traces(context.Background(), id)
		if err != nil || len(traces) != 4 {
			t.Errorf("traces %+v, %v", traces, err)
		}
	})
}

func TestInvalidIsNotTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.run.do["t.a"] = failing(errs.Invalid)
		c.controller()
		c.worker("w1")
		id := c.submit("lone", "a")
		c.wake(id)
		c.ends(id, task.Failed, time.Minute)
		if n := c.run.count("t.a"); n != 1 {
			t.Errorf("ran %d times", n)
		}
	})
}

// TestFunctionSaysCanceled holds that a function which was disturbed, while
// nobody canceled its task, is tried again instead of hanging for ever.
func TestFunctionSaysCanceled(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.run.do["t.a"] = failing(errs.Canceled)
		c.controller()
		c.worker("w1")
		id := c.submit("lone", "a")
		c.wake(id)
		c.ends(id, task.Failed, time.Minute)
		if n := c.run.count("t.a"); n != 3 {
			t.Errorf("ran %d times", n)
		}
	})
}

// TestSilentWorker grants to a worker that never answers: its lease ends, the
// work runs elsewhere, and what it answers at last is refused.
func TestSilentWorker(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.controller()
		id := c.submit("lone", "a")
		c.wake(id)
		silent := fake{c, "silent"}
		grants, err := silent.want(1, time.Second)
		if err != nil || len(grants.Grants) != 1 {
			t.Fatalf("%+v, %v", grants, err)
		}
		c.until("lease lost", 40*time.Second, func() bool { return row(c.view(id), "A").Losses == 1 })
		late := produce(grants.Grants[0].Job)
		late.Usage.CPUSeconds = 99
		silent.answer(grants.Grants[0], &late, nil)
		if s := row(c.view(id), "A").State; s == task.Succeeded {
			t.Fatal("a lost attempt's result was taken")
		}
		c.worker("w1")
		v := c.ends(id, task.Succeeded, time.Minute)
		if w := row(v, "A"); w.Attempt != 2 || w.Failures != 0 || w.Worker != "w1" || v.Task.Usage.CPUSeconds != 1 {
			t.Errorf("%+v", w)
		}
		silent.answer(grants.Grants[0], &late, nil) // and once more, after the end
		if again := c.view(id); again.Task.Version != v.Task.Version {
			t.Error("a late answer changed a task that is over")
		}
		sweeps := func() (n int) {
			posts, err := c.store.PostsOf(context.Background(), id)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range posts {
				if p.Kind == state.Sweep {
					n++
				}
			}
			return n
		}
		before := sweeps()
		silent.answer(grants.Grants[0], nil, &job.Fault{Kind: errs.Transient, Message: "the second of three files was not stored"})
		c.until("what a late failure has stored is swept", time.Minute, func() bool { return sweeps() > before })
	})
}

func TestCancelWhileRunning(t *testing.T) {
	for _, told := range []bool{true, false} { // the wake-up message may get lost
		bubble(t, func(t *testing.T, c *cluster) {
			started, stopped := make(chan string, 9), make(chan error, 9)
			c.run.do["t.a"] = blocking(started, stopped)
			c.controller()
			c.worker("w1")
			id := c.submit("pair", "a")
			c.wake(id)
			<-started
			c.cancel(id)
			if told {
				c.wake(id)
			}
			v := c.ends(id, task.Canceled, 5*time.Second)
			select {
			case <-stopped:
			default:
				t.Error("the task is canceled and its function still runs")
			}
			if row(v, "A").State != task.Canceled || len(v.Work) != 1 {
				t.Errorf("%+v", v.Work)
			}
		})
	}
}

func (c *cluster) cancel(id string) {
	c.t.Helper()
	next, err := task.Cancel(c.view(id).Task)
	if err == nil {
		err = c.store.Apply(context.Background(), []state.Change{{Task: &next}})[0]
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// TestFailingBesideADeadWorker fails a task while another part of it runs on a
// worker that is gone: its lease ends it.
func TestFailingBesideADeadWorker(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.controller()
		id := c.submit("race", "a")
		c.wake(id)
		dead := fake{c, "dead"}
		grants, err := dead.want(2, time.Second)
		if err != nil || len(grants.Grants) != 2 {
			t.Fatalf("%+v, %v", grants, err)
		}
		dead.answer(grants.Grants[0], nil, &job.Fault{Kind: errs.Invalid, Message: "no"})
		if v := c.view(id); v.Task.State != task.Running || v.Task.Ending != task.Failed {
			t.Fatalf("%s, ending %s", v.Task.State, v.Task.Ending)
		}
		v := c.ends(id, task.Failed, time.Minute)
		if v.Task.Error.Kind != errs.Invalid {
			t.Errorf("the error is %+v", v.Task.Error)
		}
	})
}

// TestRetryKeepsFinishedParts retries a failed task: what succeeded stays, and
// what is ready again is granted.
func TestRetryKeepsFinishedParts(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.run.do["t.b"] = failing(errs.Invalid)
		c.controller()
		c.worker("w1")
		id := c.submit("pair", "a")
		c.wake(id)
		v := c.ends(id, task.Failed, time.Minute)
		c.run.mu.Lock()
		delete(c.run.do, "t.b")
		c.run.mu.Unlock()
		v.Plan = c.book.Get("pair")
		step, err := task.Retry(v, task.Scope{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		change := state.Change{Task: &step.Task}
		for _, w := range step.Update {
			change.Update = append(change.Update, state.Guarded{Work: w, Was: v.Work[w.ID].State, Attempt: v.Work[w.ID].Attempt})
		}
		if err := c.store.Apply(context.Background(), []state.Change{change})[0]; err != nil {
			t.Fatal(err)
		}
		c.wake(id)
		c.until("success", 3*time.Second, func() bool { return c.view(id).Task.State == task.Succeeded })
		if v = c.view(id); v.Task.Generation != 1 || c.run.count("t.a") != 1 || c.run.count("t.b") != 2 {
			t.Errorf("generation %d, A ran %d times, B %d", v.Task.Generation, c.run.count("t.a"), c.run.count("t.b"))
		}
	})
}

func TestLostWakeUp(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.controller()
		c.worker("w1")
		c.ends(c.submit("pair", "a"), task.Succeeded, 10*time.Second)
	})
}

func TestUnknownFlowFails(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.controller()
		p := *c.book.Get("lone")
		id := task.NewID()
		_, _, err := c.store.Submit(context.Background(), task.Task{ID: id, Tenant: "a", Flow: p.Name, FlowVer: "gone", CreatedAt: time.Now(),
			Request: task.Request{Cmd: "lone", MsgID: "m", NotifyURL: "http://caller/"}})
		if err != nil {
			t.Fatal(err)
		}
		c.wake(id)
		v := c.ends(id, task.Failed, 10*time.Second)
		if !strings.Contains(v.Task.Error.Message, "gone") {
			t.Errorf("%+v", v.Task.Error)
		}
	})
}

// TestTwoControllers runs many tasks under two controllers: nothing runs twice,
// nothing waits for long.
func TestTwoControllers(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.controller()
		c.controller()
		for _, name := range []string{"w1", "w2", "w3"} {
			c.worker(name)
		}
		c.run.do["t.a"] = func(_ context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
			time.Sleep(100 * time.Millisecond) // synctest's time
			return produce(j), nil
		}
		var all []string
		for i := range 40 {
			id := c.submit([]string{"pair", "race"}[i%2], "a")
			c.wake(id)
			all = append(all, id)
		}
		for _, id := range all {
			v := c.ends(id, task.Succeeded, 60*time.Second)
			for _, name := range []string{"t.a", "t.b"} {
				if n := c.run.count(id + " " + name); n != 1 {
					t.Errorf("%s of %s ran %d times", name, id, n)
				}
			}
			for _, w := range v.Work {
				// More attempts only from offers that crossed: handed back, not run.
				if w.Losses+w.Failures > 0 {
					t.Errorf("%s: %d losses, %d failures", w.ID, w.Losses, w.Failures)
				}
			}
		}
	})
}

// TestControllerAway keeps the controller down for longer than every lease: the
// result that waits in the stream counts, nothing runs again.
func TestControllerAway(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		stop := c.controller()
		release := make(chan struct{})
		long := make(chan struct{})
		c.run.do["t.a"] = func(_ context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
			<-release
			return produce(j), nil
		}
		c.run.do["t.b"] = func(_ context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
			<-long
			return produce(j), nil
		}
		c.worker("w1")
		id := c.submit("race", "a")
		c.wake(id)
		c.until("granted", time.Second, func() bool { return c.run.count("t.a")+c.run.count("t.b") == 2 })
		stop()
		close(release)
		time.Sleep(time.Minute) // synctest's time
		c.controller()
		time.Sleep(30 * time.Second)
		close(long)
		v := c.ends(id, task.Succeeded, 5*time.Second)
		for _, w := range v.Work {
			if w.Attempt != 1 || w.Losses != 0 {
				t.Errorf("%s: attempt %d, %d losses", w.ID, w.Attempt, w.Losses)
			}
		}
	})
}

// TestTenantLimitSurvivesRestart restarts the controller under a limit of two:
// what runs already counts.
func TestTenantLimitSurvivesRestart(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		limit := func(cfg *controller.Config) { cfg.Tenants = map[string]controller.Share{"a": {Limit: 2}} }
		stop := c.controller(limit)
		for range 6 {
			c.wake(c.submit("lone", "a"))
		}
		w := fake{c, "w"}
		first, err := w.want(8, time.Second)
		if err != nil || len(first.Grants) != 2 {
			t.Fatalf("%d grants, %v", len(first.Grants), err)
		}
		stop()
		c.controller(limit)
		if second, err := w.want(8, time.Second); err != nil || len(second.Grants) != 0 {
			t.Errorf("%d more grants, %v", len(second.Grants), err)
		}
		done := produce(first.Grants[0].Job)
		w.answer(first.Grants[0], &done, nil)
		if third, err := w.want(8, time.Second); err != nil || len(third.Grants) != 1 {
			t.Errorf("%d grants for one that ended, %v", len(third.Grants), err)
		}
		synctest.Wait()
	})
}

func TestNewerWantReplaces(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.controller()
		w := fake{c, "w"}
		older := make(chan job.Grants, 1)
		go func() {
			g, err := w.want(1, time.Hour)
			if err != nil {
				t.Error(err)
			}
			older <- g
		}()
		synctest.Wait()
		newer := make(chan job.Grants, 1)
		go func() {
			g, err := w.want(2, time.Hour)
			if err != nil {
				t.Error(err)
			}
			newer <- g
		}()
		if g := <-older; len(g.Grants) != 0 {
			t.Errorf("the older offer got %+v", g)
		}
		c.wake(c.submit("race", "a"))
		if g := <-newer; len(g.Grants) != 2 {
			t.Errorf("the newer offer got %+v", g)
		}
	})
}
