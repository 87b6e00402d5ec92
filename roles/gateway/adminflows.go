package gateway

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/ports/state"
)

// flowList shows the flows there are and where each comes from.
func (g *Gateway) flowList(w http.ResponseWriter, r *http.Request, _ string) error {
	active, err := g.parts.Store.ActiveFlows(r.Context())
	if err != nil {
		return err
	}
	out := api.Flows{Flows: []api.Flow{}}
	for _, name := range g.parts.Flows.Names() {
		p := g.parts.Flows.Get(name)
		if p == nil {
			continue // retired meanwhile
		}
		f := api.Flow{Name: p.Name, Version: p.Version, Summary: p.Summary, Current: true}
		if v := active[name]; v.Version == p.Version {
			f = flowOf(&v, p)
		}
		out.Flows = append(out.Flows, f)
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// flowOf renders a stored version; current is the plan new tasks get, nil = none.
func flowOf(v *state.FlowVersion, current *flow.Plan) api.Flow {
	f := api.Flow{Name: v.Name, Version: v.Version, Author: v.Author}
	if current != nil && current.Version == v.Version {
		f.Summary, f.Current = current.Summary, true
	}
	f.CreatedAt, f.ActivatedAt, f.RetiredAt = moment(v.CreatedAt), moment(v.ActivatedAt), moment(v.RetiredAt)
	return f
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// flowVersions shows every version of a flow that was ever offered.
func (g *Gateway) flowVersions(w http.ResponseWriter, r *http.Request, _ string) error {
	name := r.PathValue("name")
	versions, err := g.parts.Store.FlowVersions(r.Context(), name)
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		return errs.New(errs.NotFound, "gateway", "no flow is named %q", name)
	}
	out := api.Flows{Flows: []api.Flow{}}
	for i := range versions {
		out.Flows = append(out.Flows, flowOf(&versions[i], g.parts.Flows.Get(name)))
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// flowText gives the file of one version back, as it was put.
func (g *Gateway) flowText(w http.ResponseWriter, r *http.Request, _ string) error {
	body, err := g.parts.Store.Flow(r.Context(), r.PathValue("name"), r.PathValue("version"))
	if errs.Is(err, errs.NotFound) {
		return errs.New(errs.NotFound, "gateway", "flow %s has no version %s", r.PathValue("name"), r.PathValue("version"))
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = io.WriteString(w, body)
	return nil
}

// putFlow checks a flow file and makes it the current version. Running tasks
// keep theirs.
func (g *Gateway) putFlow(w http.ResponseWriter, r *http.Request, tenant string) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, g.cfg.MaxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return errs.New(errs.TooLarge, "request", "the body is longer than %d bytes", g.cfg.MaxBody)
	}
	if err != nil {
		return errs.As(errs.Transient, "request", err)
	}
	return g.activate(w, r, tenant, body, "")
}

// activateFlow makes a version that was offered before the current one again.
func (g *Gateway) activateFlow(w http.ResponseWriter, r *http.Request, tenant string) error {
	version := r.PathValue("version")
	body, err := g.parts.Store.Flow(r.Context(), r.PathValue("name"), version)
	if errs.Is(err, errs.NotFound) {
		return errs.New(errs.NotFound, "gateway", "flow %s has no version %s", r.PathValue("name"), version)
	}
	if err != nil {
		return err
	}
	return g.activate(w, r, tenant, []byte(body), version)
}

// activate checks a flow against this build; version names it if it is stored.
func (g *Gateway) activate(w http.ResponseWriter, r *http.Request, tenant string, body []byte, version string) error {
	name := r.PathValue("name")
	p, err := flow.Load(body)
	if err != nil {
		return err
	}
	if p.Name != name {
		return errs.InField("name", "the file is of flow %q, the path names %q", p.Name, name)
	}
	if err := p.Check(g.parts.Functions); err != nil {
		return err
	}
	if version == "" {
		version = p.Version
	}
	if err := g.parts.Store.ActivateFlow(r.Context(), name, version, string(body), tenant, g.parts.Store.Now()); err != nil {
		return err
	}
	if err := g.flowChanged(r, tenant, name, version); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, api.Flow{
		Name: name, Version: version, Summary: p.Summary, Author: tenant, Current: true, Warnings: slices.Clone(p.Warnings),
	})
	return nil
}

// retireFlow takes back what was put over the API. A flow of this build or of
// the folder is offered again in its place.
func (g *Gateway) retireFlow(w http.ResponseWriter, r *http.Request, tenant string) error {
	name := r.PathValue("name")
	if err := g.parts.Store.RetireFlow(r.Context(), name, g.parts.Store.Now()); err != nil {
		return err
	}
	if err := g.flowChanged(r, tenant, name, ""); err != nil {
		return err
	}
	out := api.Flow{Name: name}
	if p := g.parts.Flows.Get(name); p != nil {
		out.Version, out.Summary, out.Current = p.Version, p.Summary, true
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// flowChanged has everybody look, and this gateway at once, so that the next
// request finds what this one did.
func (g *Gateway) flowChanged(r *http.Request, by, name, version string) error {
	g.announce(r.Context(), "flow/"+name, version, by)
	if g.parts.Refresh == nil {
		return nil
	}
	return g.parts.Refresh(r.Context())
}
