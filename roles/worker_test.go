package roles_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/roles/controller"
	"github.com/mediafn/mediafn/roles/worker"
)

// TestShutdownHandsBack stops a worker in the middle of work: after its grace
// the work is handed back and runs elsewhere at once, without a loss.
func TestShutdownHandsBack(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		started, stopped := make(chan string, 9), make(chan error, 9)
		c.run.do["t.a"] = blocking(started, stopped)
		c.controller()
		stop := c.worker("w1")
		id := c.submit("lone", "a")
		c.wake(id)
		<-started
		stop()
		synctest.Wait()
		if w := row(c.view(id), "A"); w.State != task.Ready || w.Attempt != 1 || w.Losses+w.Failures != 0 {
			t.Fatalf("%s, attempt %d, %d losses, %d failures", w.State, w.Attempt, w.Losses, w.Failures)
		}
		c.run.mu.Lock()
		delete(c.run.do, "t.a")
		c.run.mu.Unlock()
		c.worker("w2")
		v := c.ends(id, task.Succeeded, time.Second)
		traces, err := c.store.Traces(context.Background(), id)
		if err != nil || len(traces) != 2 || traces[0].Outcome != "returned" || row(v, "A").Attempt != 2 {
			t.Errorf("%+v, %v", traces, err)
		}
	})
}

// TestShutdownFinishes lets work end inside the grace: its result counts.
func TestShutdownFinishes(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		started := make(chan struct{}, 1)
		c.run.do["t.a"] = func(_ context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
			started <- struct{}{}
			time.Sleep(10 * time.Second) // synctest's time
			return produce(j), nil
		}
		c.controller()
		stop := c.worker("w1")
		id := c.submit("lone", "a")
		c.wake(id)
		<-started
		stop()
		if w := row(c.ends(id, task.Succeeded, time.Second), "A"); w.Attempt != 1 {
			t.Errorf("attempt %d", w.Attempt)
		}
	})
}

// TestLongWorkKeepsItsLease runs far longer than a lease; work that does not
// move any more is stopped.
func TestLongWorkKeepsItsLease(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.run.do["t.a"] = func(ctx context.Context, j job.Job, progress func(fn.Progress)) (job.Outcome, error) {
			for i := range 60 {
				progress(fn.Progress{Done: float64(i) / 60})
				time.Sleep(time.Second) // synctest's time
			}
			return produce(j), nil
		}
		c.controller()
		stop := c.worker("w1")
		id := c.submit("lone", "a")
		c.wake(id)
		if w := row(c.ends(id, task.Succeeded, 2*time.Minute), "A"); w.Attempt != 1 {
			t.Errorf("attempt %d", w.Attempt)
		}
		stop()
		stalls := make(chan error, 9)
		c.run.mu.Lock()
		c.run.do["t.a"] = func(ctx context.Context, j job.Job, progress func(fn.Progress)) (job.Outcome, error) {
			progress(fn.Progress{Done: 0.5})
			<-ctx.Done()
			stalls <- context.Cause(ctx)
			return job.Outcome{}, ctx.Err()
		}
		c.run.mu.Unlock()
		c.worker("w2", func(cfg *worker.Config) { cfg.Stall = 10 * time.Second })
		id = c.submit("lone", "a")
		c.wake(id)
		c.until("a stall fails", 2*time.Minute, func() bool { return row(c.view(id), "A").Failures >= 1 })
		c.cancel(id)
		c.ends(id, task.Canceled, time.Minute)
	})
}

// TestAnswersKeepTheirLease has nobody take answers for longer than a lease: what
// is done stays done.
func TestAnswersKeepTheirLease(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.run.do["t.a"] = func(_ context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
			time.Sleep(time.Second) // synctest's time
			c.conn.leaderless.Store(true)
			return produce(j), nil
		}
		c.controller(func(cfg *controller.Config) { cfg.Lease = 4 * time.Second })
		c.worker("w1")
		id := c.submit("lone", "a")
		c.wake(id)
		time.Sleep(9 * time.Second) // synctest's time
		c.conn.leaderless.Store(false)
		if w := row(c.ends(id, task.Succeeded, time.Minute), "A"); w.Attempt != 1 || w.Losses != 0 {
			t.Errorf("attempt %d, lost %d times", w.Attempt, w.Losses)
		}
	})
}

// TestCrossingGrantsAreHandedBack plays a controller that grants more than was
// offered: what does not fit is returned, what fits runs, and the offers that
// follow never promise more than is free.
func TestCrossingGrantsAreHandedBack(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		started, stopped := make(chan string, 9), make(chan error, 9)
		c.run.do["t.a"] = blocking(started, stopped)
		offers := make(chan job.Want, 99)
		first := true
		sub, err := c.queue.Subscribe(context.Background(), job.SubjectWant, "controller", func(ctx context.Context, m queue.Message) {
			var w job.Want
			if err := json.Unmarshal(m.Data, &w); err != nil {
				t.Error(err)
			}
			offers <- w
			if !first {
				return
			}
			first = false
			grants := job.Grants{Schema: job.Schema}
			for _, name := range []string{"one", "two", "three"} {
				grants.Grants = append(grants.Grants, job.Grant{
					Work: "00000000-0000-0000-0000-000000000000_" + name, Attempt: 1, Price: fn.Price{Cores: 1, Memory: 10},
					Job: job.Job{Trace: name, Fn: "t.a", Threads: 1, Out: job.Place{Prefix: "00000000-0000-0000-0000-000000000000/" + name}},
				})
			}
			body, err := json.Marshal(grants)
			if err == nil {
				err = c.queue.Publish(ctx, m.Reply, body)
			}
			if err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		answers, err := c.queue.Consume(context.Background(), job.StreamAnswers, queue.Durable{Name: "test"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answers.Close() }()
		stop := c.worker("w1")
		got, err := answers.Fetch(context.Background(), 9)
		var a job.Answer
		if err != nil || len(got) != 1 || json.Unmarshal(got[0].Data, &a) != nil || !a.Returned || a.Trace != "three" {
			t.Fatalf("%d answers, %+v, %v", len(got), a, err)
		}
		if err := got[0].Ack(); err != nil {
			t.Error(err)
		}
		<-started
		<-started
		time.Sleep(time.Second) // synctest's time
		for range len(offers) - 1 {
			<-offers
		}
		if o := <-offers; o.Cores != 0 || o.Memory != 80 || o.Most != 62 {
			t.Errorf("two of two cores run and %+v is offered", o)
		}
		stop() // hands the other two back
		for n := 0; n < 2; {
			got, err := answers.Fetch(context.Background(), 9)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range got {
				if a = (job.Answer{}); json.Unmarshal(d.Data, &a) != nil || !a.Returned {
					t.Errorf("%+v", a)
				}
				n++
				if err := d.Ack(); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// TestIdleWorkerIsQuiet holds that a worker with nothing to do sends an offer
// when the last one has run out, and no more.
func TestIdleWorkerIsQuiet(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		heard := make(chan struct{}, 999)
		sub, err := c.queue.Subscribe(context.Background(), job.SubjectWant, "", func(context.Context, queue.Message) { heard <- struct{}{} })
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		c.controller()
		c.worker("w1")
		time.Sleep(5 * time.Minute) // synctest's time
		if n := len(heard); n < 10 || n > 20 {
			t.Errorf("%d offers of 20 s in 5 minutes", n)
		}
	})
}

// TestNoController has a worker wait for a controller without spinning.
func TestNoController(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.worker("w1")
		time.Sleep(time.Minute) // synctest's time
		c.controller()
		id := c.submit("lone", "a")
		c.wake(id)
		c.ends(id, task.Succeeded, 3*time.Second)
	})
}
