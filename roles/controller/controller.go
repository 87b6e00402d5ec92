// Package controller is the role that decides: it turns accepted tasks into
// ready work, matches work with what workers want, takes their answers, and
// finds what hangs. It touches the database and never media.
//
// All decisions are pure functions of core/task and core/sched; this package
// is the one loop in which their effects happen. Any number of controllers may
// run. They share tasks out by partition and hold some duties alone (see
// duties.go), but that is about speed only: views in memory are a cache, every
// write is guarded, and a write that no longer fits makes the loop read the
// rows again.
package controller

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/span"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/state"
)

// Config sets the controller's times and bounds.
type Config struct {
	Name    string        // unique among processes that run; empty = made up
	Lease   time.Duration // life of a grant between renewals
	Tick    time.Duration // between two looks of the reaper
	Duty    time.Duration // life of a duty between renewals; 0 = five ticks, at least 3 s
	Orphan  time.Duration // a queued task older than this lost its wake-up
	Ready   int           // ready work kept in memory
	Views   int           // live tasks kept in memory
	Limits  task.Limits
	Tenants map[string]Share
	// Callback makes the URL an outside service answers at; nil = asynchronous
	// components fail.
	Callback func(trace string) string
}

// Share is a tenant's part of the machines.
type Share struct {
	Weight      float64 // 0 = 1
	Limit       int     // running work at the most; 0 = no limit
	ResultQueue bool    // every result goes to its result queue
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
	Cores   *Cores // nil = not counted
	Flows   *flow.Book
	Log     *slog.Logger
	Now     func() time.Time   // nil = the database's
	Reached func(point string) // names points a crash test may stop at
	Metrics *Metrics           // nil counts nothing
	Tracer  *span.Tracer       // nil traces nothing
}

// Controller is the role. Create it with New, run it once.
type Controller struct {
	cfg     Config
	parts   Parts
	inbox   chan message
	duties  *duties
	views   map[string]*view
	plans   map[string]*flow.Plan
	lessons map[task.PriceKey]task.Learned // learned since the last tick
	market                                 // what the holder of the matching duty keeps
	cursor  string                         // of the reaper, among live tasks

	consuming *errgroup.Group // goroutines that take answers

	writing *commit   // the turn that is being written; nil = none
	later   []message // about tasks that are being written

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
	task   *task.Task // the new row itself, if whoever wrote it sent it along
	want   *offer
	answer *answer
	notice *notice
	status string // where to send what the matcher knows
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
		parts.Now = parts.Store.Now
	}
	if parts.Reached == nil {
		parts.Reached = func(string) {}
	}
	if cfg.Name == "" {
		cfg.Name = task.NewID()
	}
	if cfg.Duty == 0 {
		cfg.Duty = max(5*cfg.Tick, 3*time.Second)
	}
	c := &Controller{
		cfg: cfg, parts: parts, inbox: make(chan message, 4096), views: map[string]*view{}, plans: map[string]*flow.Plan{},
		lessons: map[task.PriceKey]task.Learned{},
		market:  newMarket(cfg.Ready),
	}
	c.duties = newDuties(c)
	return c
}

// Run works until ctx ends. It returns nil then, or what kept it from
// starting.
func (c *Controller) Run(ctx context.Context) error {
	group, stop, err := c.listen(ctx)
	if err != nil {
		return err
	}
	defer stop()
	group.Go(func() error { c.tick(ctx); return nil })
	group.Go(func() error { c.loop(ctx); return nil })
	err = group.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.Duty)
	defer cancel()
	c.duties.release(last) // the next one need not wait for them to run out
	return err
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
