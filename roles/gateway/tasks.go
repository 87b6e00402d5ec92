package gateway

import (
	"context"
	"net/http"
	"strconv"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// own reads a task of the tenant. Another tenant's task does not exist.
func (g *Gateway) own(r *http.Request, tenant string) (task.Task, error) {
	t, err := g.parts.Store.Task(r.Context(), r.PathValue("id"))
	if err == nil && t.Tenant != tenant {
		return task.Task{}, errs.New(errs.NotFound, "gateway", "there is no such task")
	}
	return t, err
}

func (g *Gateway) get(w http.ResponseWriter, r *http.Request, tenant string) error {
	t, err := g.own(r, tenant)
	if err != nil {
		return err
	}
	v, err := g.view(r, &t)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

func (g *Gateway) view(r *http.Request, t *task.Task) (api.Task, error) {
	work, err := g.parts.Store.Work(r.Context(), t.ID)
	if err != nil {
		return api.Task{}, err
	}
	out := api.TaskOf(t)
	byID := make(map[string]task.Work, len(work))
	for i := range work {
		out.Work = append(out.Work, api.WorkOf(&work[i]))
		byID[work[i].ID] = work[i]
	}
	if t.State.Final() {
		out.Figures = task.FiguresOf(t, byID)
	}
	return out, nil
}

func (g *Gateway) list(w http.ResponseWriter, r *http.Request, tenant string) error {
	q := r.URL.Query()
	f := state.Filter{
		Tenant: tenant, State: task.State(q.Get("state")), Cmd: q.Get("cmd"), MsgID: q.Get("msg_id"),
		After: q.Get("cursor"), Limit: 50,
	}
	for name := range q {
		switch name {
		case "state", "cmd", "msg_id", "cursor", "limit":
		default:
			return errs.InField(name, "unknown filter; known are state, cmd, msg_id, cursor, limit")
		}
	}
	if f.State != "" && !f.State.Final() && f.State != task.Queued && f.State != task.Running {
		return errs.InField("state", "must be queued, running, succeeded, failed or canceled")
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return errs.InField("limit", "must be 1–1000")
		}
		f.Limit = n
	}
	tasks, err := g.parts.Store.Tasks(r.Context(), f)
	if err != nil {
		return err
	}
	page := api.Page{Tasks: []api.Task{}}
	for i := range tasks {
		page.Tasks = append(page.Tasks, api.TaskOf(&tasks[i]))
	}
	if len(tasks) == f.Limit {
		page.Next = tasks[len(tasks)-1].ID
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

// cancel marks a task as ending. It is canceled when its workers have
// confirmed that nothing runs any more. A task that is over is a Conflict.
func (g *Gateway) cancel(w http.ResponseWriter, r *http.Request, tenant string) error {
	return g.change(w, r, tenant, func(v task.View) (task.Step, error) {
		t, err := task.Cancel(v.Task)
		return task.Step{Task: t}, err
	}, "cancel")
}

// retry runs a failed or canceled task again; what succeeded is kept.
func (g *Gateway) retry(w http.ResponseWriter, r *http.Request, tenant string) error {
	return g.change(w, r, tenant, func(v task.View) (task.Step, error) {
		plan, err := g.plan(r.Context(), &v.Task)
		if err != nil {
			return task.Step{}, err
		}
		v.Plan = plan
		return task.Retry(v, g.parts.Now())
	}, "retry")
}

// plan is a task's flow in the version it was accepted with: its slots and rows
// are that version's.
func (g *Gateway) plan(ctx context.Context, t *task.Task) (*flow.Plan, error) {
	if p := g.parts.Flows.Get(t.Flow); p != nil && p.Version == t.FlowVer {
		return p, nil
	}
	body, err := g.parts.Store.Flow(ctx, t.Flow, t.FlowVer)
	if errs.Is(err, errs.NotFound) {
		return nil, errs.New(errs.Conflict, "retry", "its flow %s is gone in version %s; submit it anew", t.Flow, t.FlowVer)
	}
	if err != nil {
		return nil, err
	}
	return flow.Load([]byte(body))
}

// change applies a caller's decision to a task. The controller may write at
// the same time; then it is decided again on what is there now.
func (g *Gateway) change(w http.ResponseWriter, r *http.Request, tenant string, decide func(task.View) (task.Step, error), kind string) error {
	for try := 0; ; try++ {
		if _, err := g.own(r, tenant); err != nil {
			return err
		}
		v, err := g.parts.Store.View(r.Context(), r.PathValue("id"))
		if err != nil {
			return err
		}
		step, err := decide(v)
		if err != nil {
			return err
		}
		c := state.Change{Task: &step.Task, History: []state.Note{{TaskID: v.Task.ID, Kind: kind, Detail: "asked for by the caller", At: g.parts.Now()}}}
		for _, row := range step.Update {
			was := v.Work[row.ID]
			c.Update = append(c.Update, state.Guarded{Work: row, Was: was.State, Attempt: was.Attempt})
		}
		err = g.parts.Store.Apply(r.Context(), []state.Change{c})[0]
		if errs.Is(err, errs.Conflict) && try < 20 {
			continue
		}
		if err != nil {
			return err
		}
		step.Task.Version++ // as it was written
		g.wake(r.Context(), &step.Task)
		view, err := g.view(r, &step.Task)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusAccepted, view)
		return nil
	}
}

// history shows attempts, decisions and webhook tries.
func (g *Gateway) history(w http.ResponseWriter, r *http.Request, tenant string) error {
	t, err := g.own(r, tenant)
	if err != nil {
		return err
	}
	ctx := r.Context()
	var h api.History
	if h.Traces, err = g.parts.Store.Traces(ctx, t.ID); err != nil {
		return err
	}
	if h.Notes, err = g.parts.Store.History(ctx, t.ID); err != nil {
		return err
	}
	if h.Deliveries, err = g.parts.Store.Deliveries(ctx, t.ID); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, h)
	return nil
}

func (g *Gateway) functions(w http.ResponseWriter, _ *http.Request, _ string) error {
	all := []api.Function{}
	for _, name := range g.parts.Functions.Names() {
		f, err := g.parts.Functions.Get(name)
		if err == nil && !f.Spec().Hidden {
			all = append(all, api.FunctionOf(f.Spec()))
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"functions": all})
	return nil
}

func (g *Gateway) function(w http.ResponseWriter, r *http.Request, _ string) error {
	f, err := g.parts.Functions.Get(r.PathValue("name"))
	if err != nil {
		return errs.New(errs.NotFound, "gateway", "no function is named %q", r.PathValue("name"))
	}
	writeJSON(w, http.StatusOK, api.FunctionOf(f.Spec()))
	return nil
}

func (g *Gateway) flows(w http.ResponseWriter, _ *http.Request, _ string) error {
	type shown struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Summary string `json:"summary"`
	}
	all := []shown{}
	for _, name := range g.parts.Flows.Names() {
		p := g.parts.Flows.Get(name)
		all = append(all, shown{p.Name, p.Version, p.Summary})
	}
	writeJSON(w, http.StatusOK, map[string]any{"flows": all})
	return nil
}
