package controller

import (
	"context"
	"reflect"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// turn collects what one turn of the loop changes, by task.
type turn struct {
	*Controller
	now     time.Time
	tasks   map[string]*change
	order   []string
	alone   []grant                // of work whose task is not decided on in this turn
	leasing map[string]bool        // their tasks
	replies map[*offer]*job.Grants // by the offers that were taken: grants that were written
}

// change is one task under change: the committed view, and the rows as answers,
// the reaper, the decision and the matching leave them.
type change struct {
	was     *view
	now     task.View
	touched map[string]bool // rows that differ from was, new ones included
	step    task.Step
	grants  []grant
	traces  []state.Trace
	history []state.Note
	acks    []*answer
	found   string // why the reaper looked at it; empty = it did not
	fresh   bool   // was read from the rows in this turn
	stale   bool   // the rows are known to have gone on
}

func newTurn(c *Controller) *turn {
	return &turn{Controller: c, now: c.parts.Now(), tasks: map[string]*change{}, leasing: map[string]bool{}, replies: map[*offer]*job.Grants{}}
}

// touch makes sure a task is decided on in this turn. It returns nil if the
// task can't be read; then the reaper will come back to it.
func (t *turn) touch(ctx context.Context, id string) *change {
	if c, ok := t.tasks[id]; ok {
		return c
	}
	_, cached := t.views[id]
	v, err := t.load(ctx, id)
	if err != nil {
		if !errs.Is(err, errs.NotFound) {
			t.parts.Log.Warn("task not read", "task", id, "err", err)
		}
		return nil
	}
	return t.change(v, !cached)
}

func (t *turn) change(v *view, fresh bool) *change {
	id := v.Task.ID
	c := &change{fresh: fresh, was: v, now: task.View{Task: v.Task, Plan: v.Plan, Work: v.Work.Clone(), Uploads: v.Uploads}, touched: map[string]bool{}}
	t.tasks[id] = c
	t.order = append(t.order, id)
	return c
}

// fresh is touch for what somebody else may have written to: unless the task
// is under change already, its rows are read again.
func (t *turn) fresh(ctx context.Context, id string) *change {
	if _, ok := t.tasks[id]; !ok {
		t.forget(id)
	}
	return t.touch(ctx, id)
}

// found is fresh for a task the reaper came upon. If that is what brings a
// decision about, and nothing that was heard, the history says so.
func (t *turn) found(ctx context.Context, id, why string) *change {
	_, heard := t.tasks[id]
	c := t.fresh(ctx, id)
	if c != nil && !heard {
		c.found = why
	}
	return c
}

// announced is fresh for a task whose row came with the news. A new one need
// not be read. Should it be older than it seems, its version guards the
// decision.
func (t *turn) announced(ctx context.Context, row *task.Task) {
	_, known := t.views[row.ID]
	if known || t.tasks[row.ID] != nil || row.Version != 1 || row.State != task.Queued || row.Ending != "" || row.Request.Uploads() != nil {
		t.fresh(ctx, row.ID)
		return
	}
	v := &view{task.View{Task: *row, Work: task.Rows{}}}
	var err error
	if v.Plan, err = t.planOf(ctx, row); err != nil {
		t.parts.Log.Warn("flow not read", "task", row.ID, "err", err)
		return // the reaper will come back to it
	}
	t.keep(row.ID, v)
	t.change(v, true)
}

// again reads a task that was touched, but not changed, in this turn.
func (t *turn) again(ctx context.Context, id string) *change {
	old := t.tasks[id]
	delete(t.tasks, id)
	c := t.fresh(ctx, id)
	if c == nil {
		t.tasks[id] = old
		return nil
	}
	t.order = t.order[:len(t.order)-1] // it has its place already
	return c
}

// load returns the cached view or reads it.
func (c *Controller) load(ctx context.Context, id string) (*view, error) {
	if v, ok := c.views[id]; ok {
		return v, nil
	}
	read, err := c.parts.Store.View(ctx, id)
	if err != nil {
		return nil, err
	}
	if read.Plan, err = c.planOf(ctx, &read.Task); err != nil {
		return nil, err
	}
	v := &view{read}
	c.keep(id, v)
	if !read.Task.State.Final() && read.Task.Ending == "" {
		for _, w := range read.Work {
			// Somebody else may have made it ready: a caller's retry, another controller.
			if w.State == task.Ready && c.duties.holds(Match) && !c.crowd {
				c.sight(w)
			}
			c.offer(w)
		}
	}
	return v, nil
}

// keep caches a view and drops any others over the bound.
func (c *Controller) keep(id string, v *view) {
	c.views[id] = v
	for other := range c.views {
		if len(c.views) <= max(c.cfg.Views, 1) {
			return
		}
		if other != id {
			delete(c.views, other)
		}
	}
}

func (c *Controller) forget(id string) { delete(c.views, id) }

// planOf returns a task's flow in the version it was accepted with.
func (c *Controller) planOf(ctx context.Context, t *task.Task) (*flow.Plan, error) {
	key := t.Flow + "@" + t.FlowVer
	if p := c.plans[key]; p != nil {
		return p, nil
	}
	p, err := c.parts.PlanOf(ctx, t)
	if err == nil && len(p.Modules) > 0 {
		c.plans[key] = p
	}
	return p, err
}

// PlanOf finds a flow's version among those in force, else in the database. If
// nobody has it any more, it is a plan without modules: on it the task fails.
func (p *Parts) PlanOf(ctx context.Context, t *task.Task) (*flow.Plan, error) {
	if p := p.Flows.Get(t.Flow); p != nil && p.Version == t.FlowVer {
		return p, nil
	}
	body, err := p.Store.Flow(ctx, t.Flow, t.FlowVer)
	if errs.Is(err, errs.NotFound) {
		return &flow.Plan{Name: t.Flow, Version: t.FlowVer}, nil
	}
	if err != nil {
		return nil, err
	}
	plan, err := flow.Load([]byte(body))
	return plan, errs.As(errs.Internal, "flow", err)
}

// row gives the row of a change to work on, and whether it is there.
func (c *change) row(id string) (task.Work, bool) {
	return c.now.Work.Get(id)
}

func (c *change) set(w task.Work) {
	c.now.Work.Put(w)
	c.touched[w.ID] = true
}

func (c *change) note(w *task.Work, kind, detail string, now time.Time) {
	c.history = append(c.history, state.Note{TaskID: w.TaskID, WorkID: w.ID, Kind: kind, Detail: detail, At: now})
}

// decide decides on every touched task.
func (t *turn) decide() {
	for _, id := range t.order {
		c := t.tasks[id]
		c.step = t.parts.Decider.Decide(c.now, t.now)
		if c.found != "" && len(c.touched) == 0 && c.moved() {
			c.history = append(c.history, state.Note{TaskID: id, Kind: "found", Detail: c.found, At: t.now})
		}
		for _, w := range c.step.Update {
			c.set(w)
		}
		for _, w := range c.step.Insert {
			c.set(w)
		}
	}
}

// moved reports whether a decision changes anything.
func (c *change) moved() bool {
	return len(c.step.Insert)+len(c.step.Update) > 0 || !reflect.DeepEqual(c.step.Task, c.now.Task)
}
