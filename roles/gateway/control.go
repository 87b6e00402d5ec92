package gateway

import (
	"context"
	"net/http"
	"slices"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// cancel marks a task as ending. It is canceled when its workers have
// confirmed that nothing runs any more. A task that is over is a Conflict.
func (g *Gateway) cancel(w http.ResponseWriter, r *http.Request, tenant string) error {
	return g.change(w, r, tenant, func(v task.View) (task.Step, error) {
		t, err := task.Cancel(v.Task)
		return task.Step{Task: t}, err
	}, "cancel")
}

// retry runs a failed or canceled task again; what succeeded is kept. A body may
// name the one component, or slice of it, that is run again.
func (g *Gateway) retry(w http.ResponseWriter, r *http.Request, tenant string) error {
	var part api.Retry
	if r.ContentLength != 0 {
		if err := decode(w, r, g.cfg.MaxBody, &part); err != nil {
			return err
		}
	}
	if part.Segment != nil && part.Component == "" {
		return errs.InField("segment", "needs a component")
	}
	if len(part.Fresh) > maxFresh || slices.ContainsFunc(part.Fresh, func(name string) bool { return name == "" || len(name) > 255 }) {
		return errs.InField("fresh", "takes up to %d names of outputs, or all", maxFresh)
	}
	return g.change(w, r, tenant, func(v task.View) (task.Step, error) {
		plan, err := g.plan(r.Context(), &v.Task)
		if err != nil {
			return task.Step{}, err
		}
		v.Plan = plan
		return task.Retry(v, task.Scope{Component: part.Component, Segment: part.Segment, Fresh: part.Fresh}, g.parts.Now())
	}, "retry")
}

// maxFresh is how many outputs of a call may be named: more than any has names for.
const maxFresh = 64

// prioritize changes how urgent a task is, as far as it still waits.
func (g *Gateway) prioritize(w http.ResponseWriter, r *http.Request, tenant string) error {
	var body api.Patch
	if err := decode(w, r, g.cfg.MaxBody, &body); err != nil {
		return err
	}
	if body.Priority == nil {
		return errs.InField("priority", "is required")
	}
	return g.change(w, r, tenant, func(v task.View) (task.Step, error) {
		return task.Prioritize(v, *body.Priority)
	}, "priority")
}

// plan is a task's flow in the version it was accepted with: its slots and rows
// are that version's.
func (g *Gateway) plan(ctx context.Context, t *task.Task) (*flow.Plan, error) {
	if p := g.parts.Flows.Get(t.Flow); p != nil && p.Version == t.FlowVer {
		return p, nil
	}
	body, err := g.parts.Store.Flow(ctx, t.Flow, t.FlowVer)
	if errs.Is(err, errs.NotFound) {
		return nil, errs.New(errs.Conflict, "gateway", "its flow %s is gone in version %s; submit it anew", t.Flow, t.FlowVer)
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
		for _, row := range step.Delete {
			c.Delete = append(c.Delete, state.Guarded{Work: row, Was: row.State, Attempt: row.Attempt})
		}
		c.Traces = step.Traces
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
