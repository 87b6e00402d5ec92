package controller

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// turn collects what one turn of the loop changes, by task.
type turn struct {
	*Controller
	now   time.Time
	tasks map[string]*change
	order []string
}

// change is one task under change: the committed view, and the rows as answers
// and the reaper made them.
type change struct {
	was     *view
	now     task.View
	touched map[string]bool // rows that differ from was
	traces  []state.Trace
	history []state.Note
	acks    []*answer
	fresh   bool // was read from the rows in this turn
	stale   bool // the rows are known to have gone on
}

func newTurn(c *Controller) *turn {
	return &turn{Controller: c, now: c.parts.Now(), tasks: map[string]*change{}}
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
	c := &change{fresh: !cached, was: v, now: task.View{Task: v.Task, Plan: v.Plan, Work: maps.Clone(v.Work)}, touched: map[string]bool{}}
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
	read.Plan, err = c.plan(ctx, read.Task.Flow, read.Task.FlowVer)
	if errs.Is(err, errs.NotFound) {
		// Nobody has the flow: on a plan without modules the task is failed.
		read.Plan, err = &flow.Plan{Name: read.Task.Flow, Version: read.Task.FlowVer}, nil
	}
	if err != nil {
		return nil, errs.As(errs.Internal, "flow", err)
	}
	v := &view{read}
	c.keep(id, v)
	if !read.Task.State.Final() && read.Task.Ending == "" {
		for _, w := range read.Work {
			c.offer(w) // somebody else may have made it ready: a caller's retry, another controller
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

// plan returns a flow in the version the task was accepted with.
func (c *Controller) plan(ctx context.Context, name, version string) (*flow.Plan, error) {
	if p := c.parts.Flows.Get(name); p != nil && p.Version == version {
		return p, nil
	}
	key := name + "@" + version
	if p := c.plans[key]; p != nil {
		return p, nil
	}
	body, err := c.parts.Store.Flow(ctx, name, version)
	if err != nil {
		return nil, err
	}
	p, err := flow.Load([]byte(body))
	if err != nil {
		return nil, err
	}
	c.plans[key] = p
	return p, nil
}

// row gives the row of a change to work on, and whether it is there.
func (c *change) row(id string) (task.Work, bool) {
	w, ok := c.now.Work[id]
	return w, ok
}

func (c *change) set(w task.Work) {
	c.now.Work[w.ID] = w
	c.touched[w.ID] = true
}

func (c *change) note(w *task.Work, kind, detail string, now time.Time) {
	c.history = append(c.history, state.Note{TaskID: w.TaskID, WorkID: w.ID, Kind: kind, Detail: detail, At: now})
}

// commit decides on every touched task, writes all of it in one commit, and
// then tells who must know.
func (t *turn) commit(ctx context.Context) {
	if len(t.order) == 0 {
		return
	}
	changes := make([]state.Change, 0, len(t.order))
	steps := make([]task.Step, 0, len(t.order))
	ids := make([]string, 0, len(t.order))
	for _, id := range t.order {
		c := t.tasks[id]
		step := t.parts.Decider.Decide(c.now, t.now)
		write := t.write(c, &step)
		if write.Empty() {
			for _, a := range c.acks {
				_ = a.delivery.Ack()
			}
			if step.Task.State.Final() || c.stale {
				t.forget(id)
			}
			t.stop(ctx, &step)
			continue
		}
		steps, changes, ids = append(steps, step), append(changes, write), append(ids, id)
	}
	failed := t.parts.Store.Apply(ctx, changes)
	for i, id := range ids {
		c := t.tasks[id]
		if failed[i] != nil {
			t.refused(ctx, id, c, failed[i])
			continue
		}
		t.committed(ctx, c, &steps[i], &changes[i])
	}
}

// write turns a decision into the rows to write.
func (t *turn) write(c *change, step *task.Step) state.Change {
	out := state.Change{Insert: step.Insert, Traces: c.traces, History: c.history}
	for _, w := range step.Update {
		c.set(w)
	}
	for id := range c.touched {
		was := c.was.Work[id]
		out.Update = append(out.Update, state.Guarded{Work: c.now.Work[id], Was: was.State, Attempt: was.Attempt})
	}
	for _, w := range step.Insert {
		c.now.Work[w.ID] = w
	}
	// The task's row is written with every change, and its version guards all
	// of them: a decision on rows that somebody has changed since is refused.
	if !out.Empty() || !reflect.DeepEqual(step.Task, c.was.Task) {
		out.Task = &step.Task
	}
	if step.Task.State.Final() && !c.was.Task.State.Final() {
		out.Posts = t.posts(c, step)
	}
	return out
}

// refused handles a change that was not written. A conflict means the cache
// was old: read again and decide again, soon. Anything else waits for the
// reaper. Answers that were not applied come again from their stream.
func (t *turn) refused(ctx context.Context, id string, c *change, err error) {
	t.forget(id)
	for _, a := range c.acks {
		_ = a.delivery.Nak(t.cfg.Tick / 4)
	}
	if errs.Is(err, errs.Conflict) {
		go t.pass(ctx, message{taskID: id})
		return
	}
	t.parts.Log.Error("decision not committed", "task", id, "err", err)
}

// committed makes the cache what the rows are and tells the others.
func (t *turn) committed(ctx context.Context, c *change, step *task.Step, write *state.Change) {
	v := &view{task.View{Task: step.Task, Plan: c.now.Plan, Work: c.now.Work}}
	if write.Task != nil {
		v.Task.Version++
	}
	for _, a := range c.acks {
		_ = a.delivery.Ack()
	}
	if len(c.acks) > 0 {
		t.parts.Reached("event committed")
	}
	if len(write.Insert) > 0 {
		t.parts.Reached("decided")
	}
	for _, w := range write.Insert {
		t.offer(w)
	}
	for _, g := range write.Update {
		if g.Was == task.Running && g.Work.State != task.Running {
			t.running(g.Work.Tenant, -1)
		}
		if g.Work.State == task.Ready {
			t.offer(g.Work)
		} else {
			delete(t.ready, g.Work.ID)
		}
	}
	t.tell(ctx, &c.was.Task, v, step, write)
	if step.Task.State.Final() || c.stale {
		t.forget(step.Task.ID)
		return
	}
	t.keep(step.Task.ID, v)
}

// offer remembers ready work for the next matching.
func (c *Controller) offer(w task.Work) {
	if w.State != task.Ready {
		return
	}
	if len(c.ready) >= c.cfg.Ready {
		c.more = true
		return
	}
	c.ready[w.ID] = w
}

func (c *Controller) running(tenant string, n int) {
	if c.usage[tenant] += n; c.usage[tenant] <= 0 {
		delete(c.usage, tenant)
	}
}

// tell publishes what a commit means for others. None of it must arrive:
// workers notice at their next renewal, gateways look at the row, the results
// role looks into the outbox.
func (t *turn) tell(ctx context.Context, was *task.Task, v *view, step *task.Step, write *state.Change) {
	t.stop(ctx, step)
	final := step.Task.State.Final() && !was.State.Final()
	if final {
		t.parts.Reached("task ended")
	}
	subject := job.SubjectEvents + step.Task.ID
	for i := range write.Insert {
		t.send(ctx, subject, workEvent(&write.Insert[i], t.now))
	}
	for i := range write.Update {
		t.send(ctx, subject, workEvent(&write.Update[i].Work, t.now))
	}
	if !reflect.DeepEqual(step.Task, *was) {
		t.send(ctx, subject, api.Event{
			Type: "task", TaskID: v.Task.ID, State: v.Task.State, Status: v.Task.Status, Error: v.Task.Error, At: t.now,
		})
	}
	if len(write.Posts) > 0 {
		t.send(ctx, job.SubjectPosts, v.Task.ID)
	}
	if final && v.Task.ReplyTo != "" {
		t.publish(ctx, job.SubjectEnded+v.Task.ReplyTo, []byte(v.Task.ID))
	}
}

func (t *turn) stop(ctx context.Context, step *task.Step) {
	for _, w := range step.Stop {
		t.send(ctx, stopSubject(w.Worker), []string{w.Trace})
	}
}

func workEvent(w *task.Work, now time.Time) api.Event {
	e := api.Event{
		Type: "work", TaskID: w.TaskID, Component: w.Component, State: w.State, Worker: w.Worker,
		Attempt: w.Attempt, Error: w.Error, At: now,
	}
	if w.Order >= 0 {
		e.Segment = &w.Order
	}
	return e
}

// posts are what must happen because a task ended.
func (t *turn) posts(c *change, step *task.Step) []state.Post {
	var posts []state.Post
	ended := &step.Task
	if ended.Request.NotifyURL != "" {
		body, err := json.Marshal(api.CallbackOf(ended, task.FiguresOf(ended, c.now.Work)))
		if err != nil {
			t.parts.Log.Error("callback not encoded", "task", ended.ID, "err", err)
		}
		posts = append(posts, state.Post{
			ID: "msg_" + task.NewID(), TaskID: ended.ID, Kind: state.Webhook, Target: ended.Request.NotifyURL,
			Body: string(body), NotBefore: t.now, CreatedAt: t.now,
		})
	}
	if leftovers(c.now.Work) {
		posts = append(posts, state.Post{
			ID: task.NewID(), TaskID: ended.ID, Kind: state.Sweep, Body: "{}", NotBefore: t.now, CreatedAt: t.now,
		})
	}
	return posts
}

// leftovers reports whether a task may have left objects behind: attempts that
// did not become the result, or files only the flow needed.
func leftovers(work map[string]task.Work) bool {
	for _, w := range work {
		if len(w.Outputs) > 0 || w.Attempt > 1 || w.Losses > 0 || (w.Attempt > 0 && w.State != task.Succeeded) {
			return true
		}
	}
	return false
}
