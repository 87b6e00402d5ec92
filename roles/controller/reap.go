package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// reapBatch bounds what one look of the reaper takes on.
const reapBatch = 500

// reap is the check bill: it looks for what nobody will come back to by
// himself. Leases and deadlines that passed, backoffs that are over, tasks
// whose wake-up was lost, live tasks a crash left undecided.
func (t *turn) reap(ctx context.Context) {
	if t.duties.holds(Match) {
		t.refill(ctx) // somebody else may have made work ready, or more urgent
		t.duties.count(ctx)
		t.clean(ctx, t.now)
		t.report(ctx, t.now)
	}
	if !t.duties.holds(Reap) {
		t.looked = time.Time{}
		return
	}
	t.lost(ctx)
	t.due(ctx)
	ids, err := t.parts.Store.Queued(ctx, t.now.Add(-t.cfg.Orphan), reapBatch)
	if err != nil {
		t.parts.Log.Warn("reaper: queued tasks not read", "err", err)
	}
	for _, id := range ids {
		t.found(ctx, id, fmt.Sprintf("nothing was heard of it for %s; the reaper found it", t.cfg.Orphan))
	}
	t.stuck(ctx)
	if err := t.parts.Store.Forget(ctx, t.now.Add(-100*t.cfg.Duty)); err != nil {
		t.parts.Log.Warn("reaper: members that are no more not forgotten", "err", err)
	}
}

func (t *turn) lost(ctx context.Context) {
	rows, err := t.parts.Store.Expired(ctx, t.now, reapBatch)
	if err != nil {
		t.parts.Log.Warn("reaper: leases not read", "err", err)
		return
	}
	// After a start or a pause nobody's renewals were taken; workers that live
	// are given a lease's time to come back with them, and with answers.
	if t.now.Sub(t.looked) > max(t.cfg.Lease/2, 4*t.cfg.Tick) {
		t.spare = t.now.Add(t.cfg.Lease)
	}
	t.looked = t.now
	for _, row := range rows {
		late := !row.Deadline.IsZero() && t.now.After(row.Deadline)
		if !late && t.now.Before(t.spare) {
			continue
		}
		c := t.fresh(ctx, row.TaskID)
		if c == nil {
			continue
		}
		w, ok := c.row(row.ID)
		if !ok || w.State != task.Running || w.Attempt != row.Attempt {
			continue
		}
		t.lose(ctx, c, w, late)
	}
}

// lose ends an attempt nobody answered for.
func (t *turn) lose(ctx context.Context, c *change, w task.Work, late bool) {
	why, reason := fmt.Sprintf("worker %s did not renew its lease", w.Worker), LostLease
	switch {
	case w.Worker == Outside:
		why, reason = fmt.Sprintf("the outside service did not call back within %s", w.Timeout), LostCallback
	case late:
		why, reason = fmt.Sprintf("attempt %d passed its deadline of %s", w.Attempt, w.Timeout), LostDeadline
		t.send(ctx, stopSubject(w.Worker), []string{w.Trace})
	}
	c.traces = append(c.traces, state.Trace{
		ID: w.Trace, WorkID: w.ID, TaskID: w.TaskID, Attempt: w.Attempt, Worker: w.Worker,
		Outcome: "lost", Error: &task.Fault{Message: why}, StartedAt: w.StartedAt, EndedAt: t.now,
	})
	c.note(&w, "lost", why, t.now)
	t.parts.Metrics.Lost(reason)
	switch {
	case c.now.Task.Ending != "":
		w = w.Cancel(t.now)
	case w.Worker == Outside:
		w = t.cfg.Limits.Fail(w, &task.Fault{Kind: errs.Timeout, Message: why}, t.now)
	default:
		w = t.cfg.Limits.Lose(w, why, t.now)
	}
	c.set(w)
}

func (t *turn) due(ctx context.Context) {
	rows, err := t.parts.Store.Due(ctx, t.now, reapBatch)
	if err != nil {
		t.parts.Log.Warn("reaper: waiting work not read", "err", err)
	}
	for _, row := range rows {
		c := t.fresh(ctx, row.TaskID)
		if c == nil {
			continue
		}
		if w, ok := c.row(row.ID); ok && w.State == task.Waiting && !w.NotBefore.After(t.now) {
			w.State = task.Ready
			c.set(w)
		}
	}
}

// stuck looks at the rows of a few live tasks each time, round and round:
// somebody may have changed them without being heard. Deciding again on a task
// that is as it should be changes nothing.
func (t *turn) stuck(ctx context.Context) {
	ids, err := t.parts.Store.Live(ctx, t.cursor, 50)
	if err != nil {
		t.parts.Log.Warn("reaper: live tasks not read", "err", err)
		return
	}
	t.cursor = ""
	if len(ids) == 50 {
		t.cursor = ids[49]
	}
	for _, id := range ids {
		c := t.found(ctx, id, "a decision was due of which nothing was heard; the reaper found it")
		if c == nil {
			continue
		}
		for _, twin := range task.Twins(c.now, t.now) {
			c.note(&twin, "twin", "worker "+twin.Avoid+" is slow with it; it is run a second time", t.now)
			c.set(twin)
		}
	}
}
