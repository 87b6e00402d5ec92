package controller

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// tell publishes what a commit means for others. None of it must arrive:
// workers notice at their next renewal, gateways look at the row, the results
// role looks into the outbox.
func (t *turn) tell(ctx context.Context, c *change, v *view, write *state.Change) {
	t.stop(ctx, &c.step)
	ended := &c.step.Task
	final := ended.State.Final() && !c.was.Task.State.Final()
	if final {
		t.parts.Reached("task ended")
	}
	t.show(ctx, c, v, write)
	if len(write.Posts) > 0 {
		t.send(ctx, job.SubjectPosts, v.Task.ID)
	}
	if final && v.Task.ReplyTo != "" {
		t.publish(ctx, job.SubjectEnded+v.Task.ReplyTo, []byte(v.Task.ID))
	}
}

// show sends what watchers of a task see of a commit: events, one a line, in
// one message.
func (t *turn) show(ctx context.Context, c *change, v *view, write *state.Change) {
	var lines bytes.Buffer
	out := json.NewEncoder(&lines)
	for i := range write.Insert {
		_ = out.Encode(workEvent(&write.Insert[i], t.now)) // plain data: cannot fail
	}
	for i := range write.Update {
		_ = out.Encode(workEvent(&write.Update[i].Work, t.now))
	}
	was, now := &c.was.Task, &v.Task
	if was.State != now.State || was.Status != now.Status || was.Ending != now.Ending || was.Generation != now.Generation {
		_ = out.Encode(api.Event{Type: "task", TaskID: now.ID, State: now.State, Status: now.Status, Error: now.Error, At: t.now})
	}
	if lines.Len() > 0 {
		t.publish(ctx, job.SubjectEvents+now.ID, lines.Bytes())
	}
}

func (t *turn) stop(ctx context.Context, step *task.Step) {
	for _, w := range step.Stop {
		t.send(ctx, stopSubject(w.Worker), []string{w.Trace})
	}
}

func stopSubject(worker string) string { return job.SubjectStop + worker }

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

// posts are what must happen outside the database because of this change: what
// leaves at the end of a module, and what follows from the end of the task.
func (t *turn) posts(c *change) (posts []state.Post) {
	for i := range c.step.Drafts {
		posts = append(posts, t.callbacks(&c.step.Task, api.DraftOf(&c.step.Task, &c.step.Drafts[i]))...)
	}
	if !c.step.Task.State.Final() || c.was.Task.State.Final() {
		return posts
	}
	posts = append(posts, t.callbacks(&c.step.Task, api.CallbackOf(&c.step.Task, task.FiguresOf(&c.step.Task, c.now.Work)))...)
	if leftovers(c.now.Work) {
		posts = append(posts, t.put(&c.step.Task, state.Sweep, "", "{}"))
	}
	return posts
}

// callbacks sends one body wherever the caller wants it, under one id.
func (t *turn) callbacks(about *task.Task, callback api.Callback) (posts []state.Post) {
	queued := about.Request.Extra.ResultQueue || t.cfg.Tenants[about.Tenant].ResultQueue
	if about.Request.NotifyURL == "" && !queued {
		return nil
	}
	body, err := json.Marshal(callback)
	if err != nil {
		t.parts.Log.Error("callback not encoded", "task", about.ID, "err", err)
		return nil
	}
	if about.Request.NotifyURL != "" {
		posts = append(posts, t.put(about, state.Webhook, about.Request.NotifyURL, string(body)))
	}
	if queued {
		posts = append(posts, t.put(about, state.Result, about.Tenant, string(body)))
	}
	return posts
}

func (t *turn) put(about *task.Task, kind state.PostKind, target, body string) state.Post {
	return state.Post{
		ID: "msg_" + task.NewID(), TaskID: about.ID, Kind: kind, Target: target, Body: body, NotBefore: t.now, CreatedAt: t.now,
	}
}

// leftovers reports whether a task may have left objects behind: attempts that
// did not become the result, or files only the flow needed.
func leftovers(work task.Rows) bool {
	for _, w := range work {
		if len(w.Outputs) > 0 || w.Attempt > 1 || w.Losses > 0 || (w.Attempt > 0 && w.State != task.Succeeded) {
			return true
		}
	}
	return false
}
