package roles_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/roles/controller"
)

// announce is wake as gateways do it: the row goes along.
func (c *cluster) announce(id string) {
	c.t.Helper()
	v := c.view(id)
	if err := c.queue.Publish(context.Background(), job.TaskSubject(id), task.Announce(&v.Task)); err != nil {
		c.t.Fatal(err)
	}
}

// TestManyControllers has three controllers share tasks out, one of them
// matching; one leaves, one falls silent. Everything runs once.
func TestManyControllers(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.controller()
		leave := c.controller()
		c.controller()
		c.worker("w1")
		c.worker("w2")
		var ids []string
		submit := func(n int) {
			for range n {
				id := c.submit("pair", "a")
				ids = append(ids, id)
				c.announce(id)
			}
		}
		submit(40)
		time.Sleep(10 * time.Millisecond) // synctest's time
		leave()
		submit(40)
		for _, id := range ids {
			c.ends(id, task.Succeeded, 30*time.Second)
		}
		for _, f := range []string{"t.a", "t.b"} {
			if n := c.run.count(f); n != len(ids) {
				t.Errorf("%s ran %d times for %d tasks", f, n, len(ids))
			}
		}
	})
}

// TestMatcherGone has a matcher that died without a word: its duty runs out,
// and the next epoch grants.
func TestMatcherGone(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		if _, held, err := c.store.Hold(ctx, controller.Match, "dead", 8*time.Second); !held || err != nil {
			t.Fatal(held, err)
		}
		c.controller()
		c.worker("w1")
		id := c.submit("lone", "a")
		c.announce(id)
		time.Sleep(5 * time.Second) // synctest's time
		if w := row(c.view(id), "A"); w.State != task.Ready {
			t.Fatalf("%s while somebody else holds the duty", w.State)
		}
		c.ends(id, task.Succeeded, 20*time.Second)
		leases, err := c.store.Leases(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range leases {
			if l.Name == controller.Match && l.Epoch != 2 {
				t.Errorf("the duty is in epoch %d", l.Epoch)
			}
		}
	})
}

// TestMatcherGoneWithOffers has a matcher die that holds a worker's offer: the
// next one asks for it, long before it runs out.
func TestMatcherGoneWithOffers(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		heard := make(chan struct{}, 9)
		dead, err := c.queue.Subscribe(context.Background(), job.SubjectWant, "controller", func(context.Context, queue.Message) { heard <- struct{}{} })
		if err != nil {
			t.Fatal(err)
		}
		c.worker("w1")
		<-heard
		dead.Close()
		c.controller()
		id := c.submit("lone", "a")
		c.announce(id)
		c.ends(id, task.Succeeded, 5*time.Second)
	})
}

// TestGrantsOfAnOldEpoch has a matcher that does not know it was replaced: what
// it grants is refused as a whole.
func TestGrantsOfAnOldEpoch(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		epoch, _, err := c.store.Hold(ctx, controller.Match, "old", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		id := c.submit("lone", "a")
		c.controller()
		c.announce(id)
		c.until("ready", 5*time.Second, func() bool { return row(c.view(id), "A").State == task.Ready })
		time.Sleep(5 * time.Second) // synctest's time; the controller holds the duty now
		w := row(c.view(id), "A")
		w.State, w.Attempt, w.Trace = task.Running, 1, "x"
		err = c.store.Apply(ctx, []state.Change{{
			Under:  &state.Under{Name: controller.Match, Epoch: epoch},
			Update: []state.Guarded{{Work: w, Was: task.Ready}},
		}})[0]
		if !errs.Is(err, errs.Conflict) {
			t.Errorf("a grant of an epoch that is over: %v", err)
		}
		if w := row(c.view(id), "A"); w.State != task.Ready {
			t.Errorf("it is %s", w.State)
		}
	})
}

// TestRetryOfOnePart runs one component of a task that succeeded again, and
// what was made from it.
func TestRetryOfOnePart(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.controller()
		c.worker("w1")
		id := c.submit("pair", "a")
		c.announce(id)
		first := c.ends(id, task.Succeeded, 5*time.Second)
		step, err := task.Retry(task.View{Task: first.Task, Plan: c.book.Get("pair"), Work: first.Work}, task.Scope{Component: "A"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		change := state.Change{Task: &step.Task, Traces: step.Traces}
		for _, w := range step.Update {
			was := first.Work[w.ID]
			change.Update = append(change.Update, state.Guarded{Work: w, Was: was.State, Attempt: was.Attempt})
		}
		for _, w := range step.Delete {
			change.Delete = append(change.Delete, state.Guarded{Work: w, Was: w.State, Attempt: w.Attempt})
		}
		if err := c.store.Apply(context.Background(), []state.Change{change})[0]; err != nil {
			t.Fatal(err)
		}
		c.wake(id)
		c.until("the second end", 5*time.Second, func() bool { return c.view(id).Task.State.Final() })
		v := c.view(id)
		if v.Task.State != task.Succeeded || v.Task.Generation != 1 || row(v, "A").Attempt != 2 || row(v, "B").Attempt != 1 {
			t.Errorf("%+v", v.Task)
		}
		if v.Task.Outputs[0].Key == first.Task.Outputs[0].Key {
			t.Error("the result is the old one")
		}
		if traces, err := c.store.Traces(context.Background(), id); err != nil || len(traces) != 4 {
			t.Errorf("%d attempts are on record, %v", len(traces), err)
		}
	})
}

// TestSlowSliceRunsTwice lets one worker get stuck with the last slice: another
// runs it a second time, and the first is stopped.
func TestSlowSliceRunsTwice(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		var parts []fn.Part
		for i := range 4 {
			parts = append(parts, fn.Part{Order: i, Of: 4, Frames: 10})
		}
		facts, err := json.Marshal(map[string]any{"parts": parts})
		if err != nil {
			t.Fatal(err)
		}
		c.run.do["t.a"] = func(_ context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
			o := produce(j)
			o.Facts = facts
			return o, nil
		}
		stuck := make(chan error, 1)
		first := true
		c.run.do["t.b"] = func(ctx context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
			if j.Part.Order == 3 && first {
				first = false
				<-ctx.Done()
				stuck <- context.Cause(ctx)
				return job.Outcome{}, ctx.Err()
			}
			time.Sleep(8 * time.Second) // synctest's time
			return produce(j), nil
		}
		c.controller()
		c.worker("w1")
		c.worker("w2")
		id := c.submit("wide", "a")
		c.announce(id)
		v := c.ends(id, task.Succeeded, 2*time.Minute)
		if err := <-stuck; !errs.Is(err, errs.Canceled) {
			t.Errorf("the slow run ended with %v", err)
		}
		twin, _ := v.Work.Get(task.TwinID(task.SegmentID(task.EventID(id, "B"), 3)))
		slow, _ := v.Work.Get(task.SegmentID(task.EventID(id, "B"), 3))
		if twin.State != task.Succeeded || slow.State != task.Succeeded || slow.Worker != twin.Worker || len(v.Task.Outputs) != 4 {
			t.Errorf("twin %+v\nslow %+v\n%d outputs", twin, slow, len(v.Task.Outputs))
		}
		notes, err := c.store.History(context.Background(), id)
		if err != nil || len(notes) != 2 {
			t.Errorf("%+v, %v", notes, err)
		}
	})
}

// TestOutsideService waits for a callback, which comes, or never does.
func TestOutsideService(t *testing.T) {
	for _, comes := range []bool{true, false} {
		t.Run(fmt.Sprint("comes ", comes), func(t *testing.T) {
			bubble(t, func(t *testing.T, c *cluster) {
				urls := make(chan string, 9)
				c.run.do["t.a"] = func(_ context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
					urls <- j.Callback
					return job.Outcome{Pending: true}, nil
				}
				c.controller(func(cfg *controller.Config) {
					cfg.Callback = func(trace string) string { return "http://here/" + trace }
				})
				c.worker("w1")
				id := c.submit("outside", "a")
				c.announce(id)
				url := <-urls
				synctest.Wait()
				w := row(c.view(id), "A")
				if w.State != task.Running || w.Worker != controller.Outside || url != "http://here/"+w.Trace {
					t.Fatalf("%s on %s, called back at %s", w.State, w.Worker, url)
				}
				if !comes {
					v := c.ends(id, task.Failed, 10*time.Minute)
					if v.Task.Error.Kind != errs.Timeout || row(v, "A").Failures != 3 {
						t.Errorf("%+v", v.Task.Error)
					}
					return
				}
				time.Sleep(time.Minute) // synctest's time: longer than a lease
				body, err := json.Marshal(job.Answer{Schema: job.Schema, Work: w.ID, Attempt: w.Attempt, Trace: w.Trace, Worker: "outside",
					Outcome: &job.Outcome{Outputs: []media.Object{{Ref: media.Ref{Bucket: "b", Key: "k"}}}, Facts: json.RawMessage(`{"verdict":"fine"}`)}})
				if err == nil {
					err = c.queue.Append(context.Background(), job.StreamAnswered, job.AnswerSubject(id), body, "")
				}
				if err != nil {
					t.Fatal(err)
				}
				if v := c.ends(id, task.Succeeded, 5*time.Second); row(v, "A").Attempt != 1 {
					t.Errorf("%+v", row(v, "A"))
				}
			})
		})
	}
}

// TestPauseAndDrain: a paused pool grants nothing, a draining worker gets
// nothing, until that is taken back.
func TestPauseAndDrain(t *testing.T) {
	for _, setting := range []struct{ name, value string }{{"pool/cpu", "paused"}, {"worker/w1", "draining"}} {
		bubble(t, func(t *testing.T, c *cluster) {
			ctx := context.Background()
			change := func(value string) {
				if err := c.store.Set(ctx, setting.name, value); err != nil {
					t.Fatal(err)
				}
				if err := c.queue.Publish(ctx, job.SubjectControl, nil); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			c.controller()
			change(setting.value)
			c.worker("w1")
			id := c.submit("lone", "a")
			c.announce(id)
			time.Sleep(30 * time.Second) // synctest's time
			if w := row(c.view(id), "A"); w.State != task.Ready {
				t.Fatalf("%s: the work is %s", setting.name, w.State)
			}
			change("")
			c.ends(id, task.Succeeded, 5*time.Second)
		})
	}
}
