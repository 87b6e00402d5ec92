package gateway

import (
	"net/http"
	"strconv"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// own reads a task of the tenant. Another tenant's task does not exist, except
// for administrators.
func (g *Gateway) own(r *http.Request, tenant string) (task.Task, error) {
	t, err := g.parts.Store.Task(r.Context(), r.PathValue("id"))
	if err == nil && t.Tenant != tenant && !g.administers(tenant) {
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
	for i := range work {
		out.Work = append(out.Work, api.WorkOf(&work[i]))
	}
	if t.State.Final() {
		out.Figures = task.FiguresOf(t, task.RowsOf(work...))
	}
	return out, nil
}

// list shows the tenant's tasks.
func (g *Gateway) list(w http.ResponseWriter, r *http.Request, tenant string) error {
	return g.page(w, r, state.Filter{Tenant: tenant})
}

// page answers with one page of the tasks that a filter and the query select.
// What the filter has set already is not the caller's to choose.
func (g *Gateway) page(w http.ResponseWriter, r *http.Request, f state.Filter) error {
	q := r.URL.Query()
	all := f.Tenant == ""
	known := "state, cmd, msg_id, cursor, limit"
	if all {
		known += ", tenant, stuck"
	}
	for name := range q {
		switch {
		case name == "state", name == "cmd", name == "msg_id", name == "cursor", name == "limit":
		case all && (name == "tenant" || name == "stuck"):
		default:
			return errs.InField(name, "unknown filter; known are %s", known)
		}
	}
	f.State, f.Cmd, f.MsgID, f.After, f.Limit = task.State(q.Get("state")), q.Get("cmd"), q.Get("msg_id"), q.Get("cursor"), 50
	if all {
		f.Tenant = q.Get("tenant")
	}
	switch q.Get("stuck") {
	case "", "false":
	case "true":
		f.Stuck = g.parts.Store.Now().Add(-g.cfg.StuckAfter)
	default:
		return errs.InField("stuck", "must be true or false")
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
