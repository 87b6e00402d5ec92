package roles_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/roles/controller"
	"github.com/mediafn/mediafn/roles/results"
	"github.com/mediafn/mediafn/roles/worker"
)

// The check bill: what nobody comes back to by himself is found, dealt with,
// and stands in the task's history. One test a cause.

// noted fails unless the history has a note of a kind with a text, exactly n
// times.
func (c *cluster) noted(id, kind, text string, n int) {
	c.t.Helper()
	notes, err := c.store.History(context.Background(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	found := 0
	for _, note := range notes {
		if note.Kind == kind && strings.Contains(note.Detail, text) {
			found++
		}
	}
	if found != n {
		c.t.Errorf("%d notes of kind %s with %q, want %d: %+v", found, kind, text, n, notes)
	}
}

// callers counts the webhooks that reach a caller.
type callers struct{ got atomic.Int64 }

func (c *callers) Post(context.Context, string, http.Header, []byte) (int, http.Header, error) {
	c.got.Add(1)
	return 204, nil, nil
}

func (c *cluster) results(to *callers) {
	c.part(results.New(results.Default(task.NewID()), results.Parts{Store: c.store, Queue: c.queue, Sender: to, Log: c.log}).Run)
	synctest.Wait()
}

// TestBillMessageLost: nobody hears of a new task, nor that another was
// canceled.
func TestBillMessageLost(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		started, stopped := make(chan string, 9), make(chan error, 9)
		c.run.do["t.a"] = blocking(started, stopped)
		c.controller()
		c.worker("w1")
		id := c.submit("lone", "a")
		<-started
		c.noted(id, "found", "nothing was heard of it", 1)
		c.cancel(id)
		c.ends(id, task.Canceled, 10*time.Second)

		delete(c.run.do, "t.a")
		heard := c.submit("pair", "a")
		c.announce(heard)
		c.ends(heard, task.Succeeded, 10*time.Second)
		c.noted(heard, "found", "", 0)
	})
}

// TestBillWorkerGone: a worker takes a grant and is never heard of again.
func TestBillWorkerGone(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.controller()
		id := c.submit("lone", "a")
		c.announce(id)
		if grants, err := (fake{c, "gone"}).want(1, time.Second); err != nil || len(grants.Grants) != 1 {
			t.Fatalf("%+v, %v", grants, err)
		}
		c.worker("w1")
		v := c.ends(id, task.Succeeded, time.Minute)
		if w := row(v, "A"); w.Attempt != 2 || w.Losses != 1 || w.Worker != "w1" {
			t.Errorf("%+v", w)
		}
		c.noted(id, "lost", "worker gone did not renew its lease", 1)
	})
}

// TestBillNoProgress: a function says how far it is once, and then hangs. Its
// worker stops it and says why; one that cannot be stopped loses its lease.
func TestBillNoProgress(t *testing.T) {
	for _, heeds := range []bool{true, false} {
		bubble(t, func(t *testing.T, c *cluster) {
			first, free := make(chan struct{}, 1), make(chan struct{})
			first <- struct{}{}
			c.run.do["t.a"] = func(ctx context.Context, j job.Job, progress func(fn.Progress)) (job.Outcome, error) {
				select {
				case <-first:
				default:
					return produce(j), nil
				}
				progress(fn.Progress{Done: 0.3})
				if heeds {
					<-ctx.Done()
					return job.Outcome{}, errs.As(errs.Canceled, "t", ctx.Err())
				}
				<-free
				return produce(j), nil
			}
			c.controller()
			c.worker("w1", func(cfg *worker.Config) { cfg.Stall = time.Minute })
			id := c.submit("lone", "a")
			c.announce(id)
			v := c.ends(id, task.Succeeded, 3*time.Minute)
			close(free)
			w := row(v, "A")
			if heeds {
				if w.Attempt != 2 || w.Failures != 1 || w.Losses != 0 {
					t.Errorf("%+v", w)
				}
				c.noted(id, "retry", "no progress for 1m0s", 1)
				return
			}
			if w.Attempt != 2 || w.Failures != 0 || w.Losses != 1 {
				t.Errorf("%+v", w)
			}
			c.noted(id, "lost", "did not renew its lease", 1)
		})
	}
}

// TestBillNoCallback: an outside service never calls back, three times.
func TestBillNoCallback(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.run.do["t.a"] = func(context.Context, job.Job, func(fn.Progress)) (job.Outcome, error) {
			return job.Outcome{Pending: true}, nil
		}
		c.controller(func(cfg *controller.Config) {
			cfg.Callback = func(trace string) string { return "http://here/" + trace }
		})
		c.worker("w1")
		id := c.submit("outside", "a")
		c.announce(id)
		v := c.ends(id, task.Failed, 10*time.Minute)
		if v.Task.Error.Kind != errs.Timeout || row(v, "A").Failures != 3 {
			t.Errorf("%+v", v.Task.Error)
		}
		c.noted(id, "outside", "gave it to an outside service", 3)
		c.noted(id, "lost", "the outside service did not call back within 2m0s", 3)
	})
}

// TestBillDiedBeforePublishing: a controller commits which work is ready and
// dies before it tells the one that matches, which is another. The test makes
// the commit in its place.
func TestBillDiedBeforePublishing(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.controller()
		c.worker("w1")
		time.Sleep(2500 * time.Millisecond) // synctest's time: the duties are taken, and no tick is now
		id := c.submit("lone", "a")
		v := c.view(id)
		v.Plan = c.book.Get("lone")
		decider := task.Decider{Functions: c.menu, Place: task.Place{Cloud: "main", Results: "results", Segments: "segments"}}
		step := decider.Decide(v, time.Now())
		if len(step.Insert) != 1 {
			t.Fatalf("%+v", step)
		}
		if err := c.store.Apply(context.Background(), []state.Change{{Task: &step.Task, Insert: step.Insert}})[0]; err != nil {
			t.Fatal(err)
		}
		v = c.ends(id, task.Succeeded, 10*time.Second)
		if w := row(v, "A"); w.Attempt != 1 || c.run.count("t.a") != 1 {
			t.Errorf("it ran %d times: %+v", c.run.count("t.a"), w)
		}
		c.noted(id, "found", "nobody had announced it", 1)
	})
}

// TestBillCallbackNotSent: the end of a task is committed, and nobody tells the
// role that sends webhooks.
func TestBillCallbackNotSent(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		to := &callers{}
		c.results(to)
		id := c.submit("lone", "a")
		now := time.Now()
		if err := c.store.Apply(context.Background(), []state.Change{{Posts: []state.Post{{ID: "msg_1", TaskID: id, Kind: state.Webhook,
			Target: "http://caller/", Body: "{}", NotBefore: now.Add(time.Second), CreatedAt: now}}}})[0]; err != nil {
			t.Fatal(err)
		}
		c.until("the webhook comes", 10*time.Second, func() bool { return to.got.Load() == 1 })
		c.noted(id, "found", "its webhook lay in the outbox", 1)

		c.controller()
		c.worker("w1")
		heard := c.submit("pair", "a")
		c.announce(heard)
		c.until("the other webhook comes", 10*time.Second, func() bool {
			left, err := c.store.PostsOf(context.Background(), heard)
			sent := !slices.ContainsFunc(left, func(p state.Post) bool { return p.Kind == state.Webhook })
			return err == nil && sent && c.view(heard).Task.State == task.Succeeded
		})
		c.noted(heard, "found", "", 0)
	})
}
