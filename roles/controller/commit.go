package controller

import (
	"context"
	"reflect"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// commit is a turn whose rows are being written.
type commit struct {
	turn    *turn
	decided []*change
	changes []state.Change // of decided, then of the turn's lone grants
	failed  []error        // one a change, once done is closed
	done    chan struct{}
	began   time.Time
}

// has reports whether a task is being written.
func (w *commit) has(id string) bool {
	return w != nil && id != "" && (w.turn.tasks[id] != nil || w.turn.leasing[id])
}

// begin has everything this turn changes written in one commit. Nobody is told
// before settle.
func (t *turn) begin(ctx context.Context) {
	w := &commit{turn: t, done: make(chan struct{}), began: time.Now()}
	for _, id := range t.order {
		c := t.tasks[id]
		write := t.write(c)
		if write.Empty() {
			t.unchanged(ctx, c)
			continue
		}
		w.changes, w.decided = append(w.changes, write), append(w.decided, c)
	}
	w.changes = append(w.changes, t.leases()...)
	if len(w.changes) == 0 {
		return
	}
	t.writing = w
	go func() {
		defer close(w.done)
		w.failed = t.parts.Store.Apply(ctx, w.changes)
	}()
}

// settle waits until the turn that is being written is, and tells who must
// know.
func (c *Controller) settle(ctx context.Context) {
	w := c.writing
	if w == nil {
		return
	}
	<-w.done
	c.writing = nil
	t := w.turn
	t.parts.Metrics.Turned(len(w.decided), time.Since(w.began))
	if len(t.alone) > 0 {
		t.parts.Reached("granted")
	}
	var news notice
	for i, d := range w.decided {
		if w.failed[i] != nil {
			t.refused(ctx, d, w.failed[i])
			continue
		}
		t.committed(ctx, d, &w.changes[i], &news)
	}
	for i := range t.alone {
		t.leased(ctx, &t.alone[i], w.failed[len(w.decided)+i])
	}
	t.reply(ctx)
	if len(news.Ready)+len(news.Ended) > 0 && !t.duties.holds(Match) {
		t.send(ctx, job.SubjectReady, news)
	}
}

// write turns a change into the rows to write.
func (t *turn) write(c *change) state.Change {
	out := state.Change{Traces: c.traces, History: append(c.history, c.step.Notes...)}
	for id := range c.touched {
		w := *c.now.Work[id]
		if was := c.was.Work[id]; was != nil {
			out.Update = append(out.Update, state.Guarded{Work: w, Was: was.State, Attempt: was.Attempt, Trace: was.Trace})
		} else {
			out.Insert = append(out.Insert, w)
		}
	}
	if len(c.grants) > 0 {
		out.Under = t.duties.under(Match)
	}
	// The task's row is written with every change, and its version guards all
	// of them: a decision on rows that somebody has changed since is refused.
	if !out.Empty() || !reflect.DeepEqual(c.step.Task, c.was.Task) {
		out.Task = &c.step.Task
	}
	out.Posts = t.posts(c)
	return out
}

// unchanged is for a task on which nothing had to be decided.
func (t *turn) unchanged(ctx context.Context, c *change) {
	for _, a := range c.acks {
		_ = a.delivery.Ack()
	}
	if c.step.Task.State.Final() || c.stale {
		t.forget(c.was.Task.ID)
	}
	t.stop(ctx, &c.step)
}

// refused handles a change that was not written. A conflict means the cache
// was old: read again and decide again, soon. Anything else waits for the
// reaper. Answers that were not applied come again from their stream.
func (t *turn) refused(ctx context.Context, c *change, err error) {
	id := c.was.Task.ID
	t.forget(id)
	for i := range c.grants {
		t.withdraw(&c.grants[i])
	}
	for _, a := range c.acks {
		_ = a.delivery.Nak(t.cfg.Tick / 4)
	}
	if errs.Is(err, errs.Conflict) {
		t.parts.Metrics.Refused()
		go t.pass(ctx, message{taskID: id})
		return
	}
	t.parts.Log.Error("decision not committed", "task", id, "err", err)
}

// committed makes the cache what the rows are and tells the others.
func (t *turn) committed(ctx context.Context, c *change, write *state.Change, news *notice) {
	v := &view{task.View{Task: c.step.Task, Plan: c.now.Plan, Work: c.now.Work, Uploads: c.now.Uploads}}
	v.Task.Version++
	for _, a := range c.acks {
		_ = a.delivery.Ack()
	}
	if len(c.acks) > 0 {
		t.parts.Reached("event committed")
	}
	if len(write.Insert) > 0 {
		t.parts.Reached("decided")
	}
	if len(c.grants) > 0 {
		t.parts.Reached("granted")
	}
	for i := range write.Insert {
		t.post(&write.Insert[i], news)
	}
	for i := range write.Update {
		g := &write.Update[i]
		if g.Work.State.Final() && !g.Was.Final() {
			t.parts.Metrics.Ended(&g.Work)
		}
		if g.Was == task.Running && g.Work.State != task.Running {
			t.running(g.Work.Tenant, -1)
			news.end(g.Work.Tenant)
		}
		t.post(&g.Work, news)
	}
	for i := range c.grants {
		t.account(ctx, &c.grants[i])
	}
	t.tell(ctx, c, v, write)
	t.trace(ctx, c, len(write.Insert))
	if c.step.Task.State.Final() || c.stale {
		t.forget(c.was.Task.ID)
		return
	}
	t.keep(c.was.Task.ID, v)
}

// post brings a row that was written to the market, or takes it from there.
func (t *turn) post(w *task.Work, news *notice) {
	if w.State != task.Ready {
		t.ready.Drop(w.ID)
		delete(t.market.found, w.ID)
		return
	}
	t.offer(w)
	news.ready(w)
}

// trace records the decision in the request's trace, linked to the attempts
// whose answers led to it.
func (t *turn) trace(ctx context.Context, c *change, created int) {
	if c.step.Task.State.Final() && !c.was.Task.State.Final() {
		t.parts.Metrics.TaskEnded(&c.step.Task)
	}
	if t.parts.Tracer == nil {
		return
	}
	var answers []string
	for _, a := range c.acks {
		answers = append(answers, a.Traceparent)
	}
	decided(ctx, t.parts.Tracer, &c.step.Task, t.now, created, answers)
}
