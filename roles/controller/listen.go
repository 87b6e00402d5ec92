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

// listen subscribes to what other roles say. Handlers only pass on: the loop
// decides.
func (c *Controller) listen(ctx context.Context) (*errgroup.Group, func(), error) {
	var subs []*queue.Subscription
	stop := func() {
		for _, s := range subs {
			s.Close()
		}
	}
	for subject, handler := range map[string]queue.Handler{
		job.SubjectTask:        c.onTask, // of gateways that know no partitions
		job.SubjectTask + ".*": c.onTask,
		job.SubjectWant:        c.onWant,
		job.SubjectRenew:       c.onRenew,
	} {
		s, err := c.parts.Queue.Subscribe(ctx, subject, "controller", handler)
		if err != nil {
			stop()
			return nil, nil, errs.Wrap("controller", err)
		}
		subs = append(subs, s)
	}
	group, _ := errgroup.WithContext(ctx)
	return group, stop, nil
}

func (c *Controller) pass(ctx context.Context, m message) {
	select {
	case c.inbox <- m:
	case <-ctx.Done():
	}
}

func (c *Controller) onTask(ctx context.Context, m queue.Message) {
	id, _, err := task.ParseAnnouncement(m.Data)
	if err != nil {
		c.parts.Log.Warn("wake-up not understood", "err", err)
		return
	}
	c.pass(ctx, message{taskID: id})
}

func (c *Controller) onWant(ctx context.Context, m queue.Message) {
	var w job.Want
	if err := json.Unmarshal(m.Data, &w); err != nil || w.Worker == "" || w.Schema > job.Schema {
		c.parts.Log.Warn("offer not understood", "err", err, "schema", w.Schema)
		return
	}
	c.pass(ctx, message{want: &offer{Want: w, reply: m.Reply, expires: c.parts.Now().Add(w.Wait)}})
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

// consume takes workers' answers from their stream. They are acknowledged when
// what follows from them is committed.
func (c *Controller) consume(ctx context.Context) error {
	// Answers a controller took with it when it ended come to the next one
	// before the leases they are about run out; else finished work were lost.
	wait := min(max(c.cfg.Lease/2, 100*time.Millisecond), 30*time.Second)
	consumer, err := c.parts.Queue.Consume(ctx, job.StreamAnswers, queue.Durable{Name: "controller", AckWait: wait})
	if err != nil {
		return errs.Wrap("controller", err)
	}
	defer func() { _ = consumer.Close() }()
	for ctx.Err() == nil {
		deliveries, err := consumer.Fetch(ctx, 256)
		if err != nil {
			if ctx.Err() == nil {
				c.parts.Log.Warn("answers not fetched", "err", err)
				c.pause(ctx)
			}
			continue
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
	return nil
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
