package e2e_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/testparts"
)

// TestChaosOfMany runs several processes of each role over PostgreSQL, three
// NATS servers and an S3 store, gives them a mix of tasks, and has everything
// fail that can, in the order and the measure that a seed says. Then nothing
// may be lost, done twice or left behind.
func TestChaosOfMany(t *testing.T) {
	number := *seed
	if number == 0 {
		number = uint64(time.Now().UnixNano()) % 1e9
	}
	t.Logf("seed %d", number)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again with: make chaos TASKS=%d SEED=%d MINUTES=%d", *tasks, number, *minutes)
		}
	})
	flows := t.TempDir()
	if err := writeFlows(flows); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c := newCluster(t, flows)
	in := newInbox(t, c.net.address)
	var video, still media.Ref
	for _, g := range c.of("gateway") {
		in.gateways = append(in.gateways, strings.TrimPrefix(g.url, "http://"))
		one := &server{Client: g.Client, t: t}
		video, still = one.upload("inputs", tiny(t)), one.upload("inputs", picture(t))
	}
	all := errands(number, *tasks, in.url, video, still)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*minutes)*time.Minute)
	defer cancel()

	var ended atomic.Int64
	var carriers sync.WaitGroup
	work, more := make(chan *errand), make(chan struct{}, len(all))
	for range 8 * runtime.NumCPU() {
		carriers.Go(func() {
			for e := range work {
				if err := c.carry(ctx, in, e); err != nil {
					t.Errorf("%s (%s, task %s): %v", e.MsgID, e.Cmd, e.id, err)
				}
				ended.Add(1)
				more <- struct{}{}
			}
		})
	}
	carriers.Go(func() {
		defer close(work)
		for _, e := range all {
			work <- e
		}
	})

	var healing sync.WaitGroup
	blows := storm(number, len(all))
	for _, b := range blows {
		for int(ended.Load()) < b.After {
			<-more
		}
		t.Logf("%6.1fs, %d ended: %s", time.Since(began).Seconds(), ended.Load(), b)
		c.strike(b, &healing)
	}
	healing.Wait()
	calm := time.Since(began)
	carriers.Wait()
	if ctx.Err() != nil {
		c.stuck()
		t.FailNow()
	}
	// What the weather made fail is retried now, as its caller would.
	var mops sync.WaitGroup
	for _, e := range all {
		mops.Go(func() {
			if err := c.mend(ctx, in, e); err != nil {
				t.Errorf("%s (%s, task %s): %v", e.MsgID, e.Cmd, e.id, err)
			}
		})
	}
	mops.Wait()

	a := newAudit(c, in, all)
	a.settled()
	a.tasks()
	a.webhooks()
	a.queue()
	a.results()
	c.quit()
	a.leases()
	a.objects()
	a.machine()
	a.report(number, len(blows), calm, time.Since(began))
}

// strike deals a blow. What takes time to pass does so while others fall.
func (c *cluster) strike(b blow, healing *sync.WaitGroup) {
	c.t.Helper()
	harm, kind, _ := strings.Cut(b.What, " ")
	victims := c.of(kind)
	later := func(heal func() error) {
		healing.Go(func() {
			<-time.After(b.Long)
			if err := heal(); err != nil {
				c.t.Error(err)
			}
		})
	}
	switch {
	case harm == "kill":
		victims[b.Whom%len(victims)].kill(b.Long)
	case harm == "cut":
		link := victims[b.Whom%len(victims)].link
		if err := link.cut(); err != nil {
			c.t.Error(err)
		}
		later(link.heal)
	case kind == "nats":
		i := b.Whom % 3
		c.nats.Kill(i)
		<-time.After(b.Long)
		c.nats.Start(c.t, i)
	case kind == "postgres":
		end := c.postgres.Stop
		if harm == "crash" {
			end = c.postgres.Kill
		}
		end()
		<-time.After(b.Long)
		c.postgres.Start(c.t)
	case kind == "s3":
		c.faults.Break(map[string]testparts.Fault{
			"slow":    {Delay: 2 * time.Second},
			"failing": {Status: 500, Code: "InternalError"},
			"lossy":   {Lose: true},
		}[harm])
		later(func() error { c.faults.Heal(); return nil })
	default:
		c.t.Errorf("nobody knows how to %s", b.What)
	}
}

// mend retries a task that failed for a reason that passes; others may not fail.
func (c *cluster) mend(ctx context.Context, in *inbox, e *errand) error {
	for range 3 {
		var end task.State
		var fault *task.Fault
		err := c.ask(ctx, e.gateway, 15*time.Second, func(ctx context.Context, g *role) error {
			v, err := g.Task(ctx, e.id)
			if err == nil {
				end, fault = v.State, v.Error
			}
			return err
		})
		if err != nil {
			return err
		}
		if end == task.Succeeded || end == task.Canceled && e.cancel {
			return nil
		}
		if end != task.Failed || fault == nil || !fault.Kind.Retryable() {
			return fmt.Errorf("it is %s: %+v", end, fault)
		}
		c.count("tasks that failed for want of a server", 1)
		if err := c.again(ctx, in, e); err != nil {
			return err
		}
	}
	return fmt.Errorf("it fails again and again")
}

// stuck shows what has not ended.
func (c *cluster) stuck() {
	for _, g := range c.of("gateway") {
		for _, state := range []task.State{task.Queued, task.Running} {
			page, err := g.Tasks(c.t.Context(), client.Filter{State: state, Limit: 20})
			if err != nil {
				c.t.Logf("%s: %v", g.name, err)
				continue
			}
			for _, one := range page.Tasks {
				v, err := g.Task(c.t.Context(), one.TaskID)
				if err != nil {
					continue
				}
				h, _ := g.History(c.t.Context(), one.TaskID)
				c.t.Logf("%s at %s: %s\n%+v", one.TaskID, g.name, shown(v), h)
			}
		}
	}
}
