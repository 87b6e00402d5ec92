package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// answer applies a worker's answer to its row, if the attempt is still the
// current one (fencing). A late answer changes nothing; what it stored is
// swept with the task.
func (t *turn) answer(ctx context.Context, a *answer) {
	taskID, _, _, err := task.ParseID(a.Work)
	if err != nil {
		t.parts.Log.Error("answer for no work", "err", err)
		_ = a.delivery.Ack()
		return
	}
	c := t.touch(ctx, taskID)
	if c != nil {
		c.adopt(a)
	}
	if c != nil && !c.fresh && !c.current(a) {
		// The cache may be behind: another controller may have granted it.
		if len(c.touched) > 0 {
			c.stale = true
			_ = a.delivery.Nak(t.cfg.Tick / 4)
			return
		}
		c = t.again(ctx, taskID)
	}
	if c == nil {
		if _, err := t.parts.Store.Task(ctx, taskID); errs.Is(err, errs.NotFound) {
			_ = a.delivery.Ack() // deleted long ago
			return
		}
		_ = a.delivery.Nak(t.cfg.Tick)
		return
	}
	w, _ := c.row(a.Work)
	if !c.current(a) {
		t.parts.Metrics.Late()
		// One that failed may have stored some of its files before.
		if c.was.Task.State.Final() && !a.Pending && (a.Outcome == nil || len(a.Outcome.Outputs) > 0) {
			t.sweepAgain(ctx, taskID)
		}
		_ = a.delivery.Ack()
		return
	}
	c.acks = append(c.acks, a)
	if a.Pending && c.now.Task.Ending == "" {
		t.outside(c, w)
		return
	}
	ended := &state.Trace{
		ID: w.Trace, WorkID: w.ID, TaskID: taskID, Attempt: w.Attempt, Worker: w.Worker,
		StartedAt: w.StartedAt, EndedAt: t.now,
	}
	switch {
	case a.Outcome != nil:
		w = w.Done(t.now)
		w.Outputs, w.Facts, w.Usage = a.Outcome.Outputs, a.Outcome.Facts, a.Outcome.Usage
		ended = nil // the row itself says it
		t.learn(&w)
	case c.now.Task.Ending != "":
		w = w.Cancel(t.now)
		ended.Outcome = "canceled"
	case a.Returned:
		t.parts.Metrics.Returned()
		w = w.HandBack()
		ended.Outcome = "returned"
		c.note(&w, "returned", "its worker handed it back", t.now)
	default:
		fault := a.Fault
		if fault == nil {
			fault = &task.Fault{Message: "an answer without outcome or fault"}
		}
		w = t.cfg.Limits.Fail(w, fault, t.now)
		ended.Outcome, ended.Error = "failed", fault
		if w.State == task.Waiting {
			t.parts.Metrics.Retried(fault.Kind)
			c.note(&w, "retry", fmt.Sprintf("attempt %d failed (%s: %s); again in %s", ended.Attempt, fault.Kind,
				fault.Message, w.NotBefore.Sub(t.now).Round(time.Millisecond)), t.now)
		}
	}
	if ended != nil {
		c.traces = append(c.traces, *ended)
	}
	c.set(w)
}

// current reports whether an answer is for the attempt that runs.
func (c *change) current(a *answer) bool {
	w, ok := c.row(a.Work)
	return ok && w.State == task.Running && w.Attempt == a.Attempt && w.Trace == a.Trace
}

// adopt learns from an answer that another controller has granted the work
// since this one saw it ready. If that is not so, the row's guards say it when
// the answer is written.
func (c *change) adopt(a *answer) {
	w, ok := c.row(a.Work)
	if !ok || c.touched[a.Work] || w.State != task.Ready || a.Attempt != w.Attempt+1 || a.Trace == "" {
		return
	}
	w.State, w.Attempt, w.Trace, w.Worker, w.StartedAt = task.Running, a.Attempt, a.Trace, a.Worker, a.Started
	c.now.Work.Put(w)
	c.was.Work.Put(w)
}

// sweepAgain has an ended task swept once more, for objects that came late.
func (t *turn) sweepAgain(ctx context.Context, taskID string) {
	t.parts.Store.Apply(ctx, []state.Change{{Posts: []state.Post{{
		ID: task.NewID(), TaskID: taskID, Kind: state.Sweep, Body: "{}", NotBefore: t.now, CreatedAt: t.now,
	}}}})
}

// Outside stands for the worker of work that an outside service has.
const Outside = "outside"

// outside leaves work to a service that will call back. It has no lease that
// anybody renews; its deadline ends the wait.
func (t *turn) outside(c *change, w task.Work) {
	if w.Deadline.IsZero() {
		w.Deadline = t.now.Add(w.Timeout)
	}
	c.note(&w, "outside", "worker "+w.Worker+" gave it to an outside service, which has until "+w.Deadline.UTC().Format(time.RFC3339), t.now)
	w.Worker, w.LeaseTill = Outside, w.Deadline
	c.set(w)
}
