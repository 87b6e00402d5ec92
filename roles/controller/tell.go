package controller

import (
	"context"
	"encoding/json"
	"reflect"
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
	subject := job.SubjectEvents + ended.ID
	for i := range write.Insert {
		t.send(ctx, subject, workEvent(&write.Insert[i], t.now))
	}
	for i := range write.Update {
		t.send(ctx, subject, workEvent(&write.Update[i].Work, t.now))
	}
	if !reflect.DeepEqual(*ended, c.was.Task) {
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

// posts are what must happen because a task ended.
func (t *turn) posts(c *change) []state.Post {
	ended := &c.step.Task
	put := func(id string, kind state.PostKind, target, body string) state.Post {
		return state.Post{ID: id, TaskID: ended.ID, Kind: kind, Target: target, Body: body, NotBefore: t.now, CreatedAt: t.now}
	}
	var posts []state.Post
	queued := ended.Request.Extra.ResultQueue || t.cfg.Tenants[ended.Tenant].ResultQueue
	if ended.Request.NotifyURL != "" || queued {
		body, err := json.Marshal(api.CallbackOf(ended, task.FiguresOf(ended, c.now.Work)))
		if err != nil {
			t.parts.Log.Error("callback not encoded", "task", ended.ID, "err", err)
		}
		if ended.Request.NotifyURL != "" {
			posts = append(posts, put("msg_"+task.NewID(), state.Webhook, ended.Request.NotifyURL, string(body)))
		}
		if queued {
			posts = append(posts, put("msg_"+task.NewID(), state.Result, ended.Tenant, string(body)))
		}
	}
	if leftovers(c.now.Work) {
		posts = append(posts, put(task.NewID(), state.Sweep, "", "{}"))
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
