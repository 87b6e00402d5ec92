// Package controller is the role that decides: it turns accepted tasks into
// ready work, matches work with what workers want, takes their answers, and
// finds what hangs. It touches the database and never media.
//
// All decisions are pure functions of core/task and core/sched; this package
// is the one loop in which their effects happen. It keeps the views of live
// tasks in memory, but only as a cache: every write is guarded, and a write
// that no longer fits makes the loop read the rows again.
package controller

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/span"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/state"
)

// Config sets the controller's times and bounds.
type Config struct {
	Lease   time.Duration // life of a grant between renewals
	Tick    time.Duration // between two looks of the reaper
	Orphan  time.Duration // a queued task older than this lost its wake-up
	Ready   int           // ready work kept in memory
	Views   int           // live tasks kept in memory
	Limits  task.Limits
	Tenants map[string]Share
}

// Share is a tenant's part of the machines.
type Share struct {
	Weight float64 // 0 = 1
	Limit  int     // running work at the most; 0 = no limit
}

// Default fits one machine and many.
func Default() Config {
	return Config{
		Lease: 15 * time.Second, Tick: time.Second, Orphan: 2 * time.Second,
		Ready: 1024, Views: 4096, Limits: task.DefaultLimits,
	}
}

// Parts are what the controller works with.
type Parts struct {
	Store   *state.Store
	Queue   *queue.Queue
	Decider task.Decider
	Flows   *flow.Book
	Log     *slog.Logger
	Now     func() time.Time
	Reached func(point string) // names points a crash test may stop at
	Metrics *Metrics           // nil counts nothing
	Tracer  *span.Tracer       // nil traces nothing
}

// Controller is the role. Create it with New, run it once.
type Controller struct {
	cfg    Config
	parts  Parts
	inbox  chan message
	views  map[string]*view
	ready  map[string]task.Work
	more   bool // the database may hold ready work that is not in memory
	wants  map[string]*offer
	given  map[string]mark // what workers were granted last, by name
	usage  map[string]int  // running work by tenant
	plans  map[string]*flow.Plan
	cursor string // of the reaper, among live tasks

	looked time.Time // when the reaper last saw the leases
	spare  time.Time // before it nothing is lost for want of a renewal
}

// view is a cached task with the rows as they are committed.
type view struct {
	task.View
}

// message is one thing that happened.
type message struct {
	taskID string
	want   *offer
	answer *answer
	tick   bool
}

type offer struct {
	job.Want
	reply   string
	expires time.Time
}

type answer struct {
	job.Answer
	delivery queue.Delivery
}

// New returns a controller.
func New(cfg Config, parts Parts) *Controller {
	if parts.Now == nil {
		parts.Now = time.Now
	}
	if parts.Reached == nil {
		parts.Reached = func(string) {}
	}
	return &Controller{
		cfg: cfg, parts: parts, inbox: make(chan message, 4096), views: map[string]*view{},
		ready: map[string]task.Work{}, more: true, wants: map[string]*offer{}, given: map[string]mark{},
		usage: map[string]int{}, plans: map[string]*flow.Plan{},
	}
}

// Run works until ctx ends. It returns nil then, or what kept it from
// starting.
func (c *Controller) Run(ctx context.Context) error {
	group, stop, err := c.listen(ctx)
	if err != nil {
		return err
	}
	defer stop()
	group.Go(func() error { return c.consume(ctx) })
	group.Go(func() error { c.tick(ctx); return nil })
	group.Go(func() error { c.loop(ctx); return nil })
	return group.Wait()
}

func (c *Controller) loop(ctx context.Context) {
	for {
		select {
		case m := <-c.inbox:
			c.handle(ctx, c.batch(m))
		case <-ctx.Done():
			return
		}
	}
}

// batch takes what else has happened, so that it is committed together.
func (c *Controller) batch(first message) []message {
	all := []message{first}
	for len(all) < 512 {
		select {
		case m := <-c.inbox:
			all = append(all, m)
		default:
			return all
		}
	}
	return all
}

// handle is one turn of the loop: what happened, what follows, what is written,
// and who is told.
func (c *Controller) handle(ctx context.Context, batch []message) {
	t := newTurn(c)
	for _, m := range batch {
		switch {
		case m.want != nil:
			if c.crossed(m.want) {
				c.send(ctx, m.want.reply, noGrants)
				continue
			}
			if old := c.wants[m.want.Worker]; old != nil {
				c.send(ctx, old.reply, noGrants) // a newer offer replaces it
			}
			c.wants[m.want.Worker] = m.want
			if m.want.Most < 1 {
				delete(c.wants, m.want.Worker) // it is stopping and takes its offer back
			}
		case m.answer != nil:
			t.answer(ctx, m.answer)
		case m.tick:
			t.reap(ctx)
		default:
			t.fresh(ctx, m.taskID) // somebody else wrote to the row
		}
	}
	t.commit(ctx)
	c.match(ctx)
}

func (c *Controller) send(ctx context.Context, subject string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		c.parts.Log.Error("message not encoded", "subject", subject, "err", err)
		return
	}
	c.publish(ctx, subject, body)
}

func (c *Controller) publish(ctx context.Context, subject string, body []byte) {
	if err := c.parts.Queue.Publish(ctx, subject, body); err != nil && ctx.Err() == nil {
		c.parts.Log.Warn("message not sent", "subject", subject, "err", err)
	}
}
