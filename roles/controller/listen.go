package controller

import (
	"context"
	"encoding/json"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/queue"
)

// listen subscribes to what any controller may take. What needs a partition or
// a duty is listened to while that is held.
func (c *Controller) listen(ctx context.Context) (*errgroup.Group, func(), error) {
	c.consuming = &errgroup.Group{}
	stop, err := c.subscribe(ctx, map[string]queue.Handler{
		job.SubjectTask: c.onTask, job.SubjectRenew: c.onRenew,
	})
	if err != nil {
		return nil, nil, errs.Wrap("controller", err)
	}
	c.duties.renew(ctx)
	c.consume(ctx, job.StreamAnswers, queue.Durable{Name: "controller"})
	return c.consuming, stop, nil
}

// subscribe listens to several subjects, sharing their messages with other
// controllers. Handlers only pass on: the loop decides.
func (c *Controller) subscribe(ctx context.Context, handlers map[string]queue.Handler) (stop func(), err error) {
	var subs []*queue.Subscription
	stop = func() {
		for _, s := range subs {
			s.Close()
		}
	}
	for subject, handler := range handlers {
		s, err := c.parts.Queue.Subscribe(ctx, subject, "controller", handler)
		if err != nil {
			stop()
			return nil, err
		}
		subs = append(subs, s)
	}
	return stop, nil
}

func (c *Controller) pass(ctx context.Context, m message) {
	select {
	case c.inbox <- m:
	case <-ctx.Done():
	}
}

func (c *Controller) onTask(ctx context.Context, m queue.Message) {
	id, t, err := task.ParseAnnouncement(m.Data)
	if err != nil {
		c.parts.Log.Warn("announcement not understood", "err", err)
		return
	}
	c.pass(ctx, message{taskID: id, task: t})
}

func (c *Controller) onWant(ctx context.Context, m queue.Message) {
	var w job.Want
	if err := json.Unmarshal(m.Data, &w); err != nil || w.Worker == "" || w.Schema > job.Schema {
		c.parts.Log.Warn("offer not understood", "err", err, "schema", w.Schema)
		return
	}
	c.pass(ctx, message{want: &offer{Want: w, reply: m.Reply, expires: c.parts.Now().Add(w.Wait)}})
}

func (c *Controller) onNotice(ctx context.Context, m queue.Message) {
	var n notice
	if err := json.Unmarshal(m.Data, &n); err != nil {
		c.parts.Log.Warn("notice not understood", "err", err)
		return
	}
	c.pass(ctx, message{notice: &n})
}

func (c *Controller) onStatus(ctx context.Context, m queue.Message) {
	if m.Reply != "" {
		c.pass(ctx, message{status: m.Reply})
	}
}

// onControl hears that a setting has changed.
func (c *Controller) onControl(ctx context.Context, _ queue.Message) {
	c.pass(ctx, message{tick: true})
}

// onRenew prolongs leases without going through the loop: it changes nothing a
// decision depends on.
func (c *Controller) onRenew(ctx context.Context, m queue.Message) {
	var r job.Renewal
	if err := json.Unmarshal(m.Data, &r); err != nil {
		c.parts.Log.Warn("renewal not understood", "err", err)
		return
	}
	traces := make(map[string]string, len(r.Alive))
	for _, a := range r.Alive {
		traces[a.Trace] = a.Work
	}
	refused, err := c.parts.Store.Renew(ctx, traces, c.parts.Now().Add(c.cfg.Lease))
	if err != nil {
		c.parts.Log.Warn("leases not renewed", "worker", r.Worker, "err", err)
		return
	}
	c.send(ctx, m.Reply, job.Refusals{Stop: refused})
}

// consume takes workers' answers from a stream until ctx ends. They are
// acknowledged when what follows from them is committed.
func (c *Controller) consume(ctx context.Context, stream string, d queue.Durable) {
	// Answers a controller took with it when it ended come to the next one
	// before the leases they are about run out; else finished work were lost.
	d.AckWait = min(max(c.cfg.Lease/2, 100*time.Millisecond), 30*time.Second)
	c.consuming.Go(func() error {
		for ctx.Err() == nil {
			if err := c.drain(ctx, stream, d); err != nil && ctx.Err() == nil {
				c.parts.Log.Warn("answers not fetched", "stream", stream, "durable", d.Name, "err", err)
				c.pause(ctx)
			}
		}
		return nil
	})
}

// drain passes on answers until there is an error.
func (c *Controller) drain(ctx context.Context, stream string, d queue.Durable) error {
	consumer, err := c.parts.Queue.Consume(ctx, stream, d)
	if err != nil {
		return err
	}
	defer func() { _ = consumer.Close() }()
	for {
		deliveries, err := consumer.Fetch(ctx, 256)
		if err != nil {
			return err
		}
		for _, d := range deliveries {
			a := &answer{delivery: d}
			if err := json.Unmarshal(d.Data, &a.Answer); err != nil {
				c.parts.Log.Error("answer not understood", "err", err)
				_ = d.Ack() // it will never be understood; the lease ends the attempt
				continue
			}
			c.pass(ctx, message{answer: a})
		}
	}
}

func (c *Controller) pause(ctx context.Context) {
	select {
	case <-time.After(c.cfg.Tick):
	case <-ctx.Done():
	}
}

func (c *Controller) tick(ctx context.Context) {
	ticker := time.NewTicker(c.cfg.Tick)
	defer ticker.Stop()
	c.pass(ctx, message{tick: true})
	for {
		select {
		case <-ticker.C:
			c.pass(ctx, message{tick: true})
		case <-ctx.Done():
			return
		}
	}
}
