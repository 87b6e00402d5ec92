package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/ports/state"
)

// What operators switch, as rows of the settings.
const (
	poolSetting   = "pool/"
	paused        = "paused"
	workerSetting = "worker/"
	draining      = "draining"
)

// memberLease begins the name of the lease by which a controller shows that it
// lives.
const memberLease = "member/"

// adminRoutes are the calls that take an administrator.
func (g *Gateway) adminRoutes() map[string]handler {
	return map[string]handler{
		"GET /v1/admin/pools":                   g.pools,
		"POST /v1/admin/pools/{pool}/pause":     g.pause(paused),
		"POST /v1/admin/pools/{pool}/resume":    g.pause(""),
		"GET /v1/admin/workers":                 g.workers,
		"POST /v1/admin/workers/{name}/drain":   g.drain(draining),
		"POST /v1/admin/workers/{name}/undrain": g.drain(""),
		"GET /v1/admin/controllers":             g.controllers,
		"GET /v1/admin/prices":                  g.prices,
		"GET /v1/admin/tasks":                   g.allTasks,
		"GET /v1/admin/flows":                   g.flowList,
		"GET /v1/admin/flows/{name}":            g.flowVersions,
		"PUT /v1/admin/flows/{name}":            g.putFlow,
		"DELETE /v1/admin/flows/{name}":         g.retireFlow,
		"GET /v1/admin/flows/{name}/{version}":  g.flowText,
		"PUT /v1/admin/flows/{name}/{version}":  g.activateFlow,
	}
}

// status asks the controller that matches what it knows.
func (g *Gateway) status(ctx context.Context) (job.Status, error) {
	const op = "status"
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var s job.Status
	raw, err := g.parts.Queue.Request(ctx, job.SubjectStatus, nil)
	if err != nil {
		return s, errs.New(errs.Transient, op, "no controller that matches work answers: %w", err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, errs.As(errs.Internal, op, err)
	}
	// What is set counts, though the matcher may not have heard of it yet.
	set, err := g.parts.Store.Settings(ctx, "")
	for i := range s.Pools {
		s.Pools[i].Paused = set[poolSetting+string(s.Pools[i].Pool)] == paused
	}
	for i := range s.Workers {
		s.Workers[i].Draining = set[workerSetting+s.Workers[i].Name] == draining
	}
	return s, err
}

// pools shows what waits in each pool, for whom, and why it waits.
func (g *Gateway) pools(w http.ResponseWriter, r *http.Request, _ string) error {
	s, err := g.status(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, api.Pools{Matcher: s.Matcher, At: s.At, Pools: list(s.Pools), Tenants: list(s.Tenants), Reasons: list(s.Reasons)})
	return nil
}

func (g *Gateway) workers(w http.ResponseWriter, r *http.Request, _ string) error {
	s, err := g.status(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, api.Workers{Matcher: s.Matcher, At: s.At, Workers: list(s.Workers)})
	return nil
}

// list makes one that is not there an empty one: [] on the wire.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// pause stops a pool's work from being granted, or lets it go on. What runs is
// not touched. Doing it twice is no error.
func (g *Gateway) pause(value string) handler {
	return func(w http.ResponseWriter, r *http.Request, tenant string) error {
		pool := fn.Pool(r.PathValue("pool"))
		if pool != fn.CPU && pool != fn.GPU {
			return errs.New(errs.NotFound, "gateway", "there is no pool %q; there are %s and %s", pool, fn.CPU, fn.GPU)
		}
		if err := g.set(r.Context(), tenant, poolSetting+string(pool), value); err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, api.PoolSwitch{Pool: pool, Paused: value != ""})
		return nil
	}
}

// drain keeps a worker from being given work, or lets it have some again. It
// finishes what it runs.
func (g *Gateway) drain(value string) handler {
	return func(w http.ResponseWriter, r *http.Request, tenant string) error {
		name := r.PathValue("name")
		if value != "" {
			s, err := g.status(r.Context())
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(s.Workers, func(w job.WorkerStatus) bool { return w.Name == name }) {
				return errs.New(errs.NotFound, "gateway", "no worker is named %q", name)
			}
			if err := g.forgetDrained(r.Context(), s.Workers); err != nil {
				return err
			}
		}
		if err := g.set(r.Context(), tenant, workerSetting+name, value); err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, api.WorkerSwitch{Name: name, Draining: value != ""})
		return nil
	}
}

// forgetDrained takes away the settings of workers that are no more: their
// names never come again.
func (g *Gateway) forgetDrained(ctx context.Context, there []job.WorkerStatus) error {
	set, err := g.parts.Store.Settings(ctx, workerSetting)
	if err != nil {
		return err
	}
	for setting := range set {
		name := strings.TrimPrefix(setting, workerSetting)
		if !slices.ContainsFunc(there, func(w job.WorkerStatus) bool { return w.Name == name }) {
			if err := g.parts.Store.Set(ctx, setting, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// set stores a setting and has everybody look at it.
func (g *Gateway) set(ctx context.Context, by, name, value string) error {
	if err := g.parts.Store.Set(ctx, name, value); err != nil {
		return err
	}
	g.announce(ctx, name, value, by)
	return nil
}

func (g *Gateway) announce(ctx context.Context, name, value, by string) {
	g.parts.Log.Info("setting changed", "name", name, "value", value, "tenant", by)
	if err := g.parts.Queue.Publish(ctx, job.SubjectControl, []byte(name)); err != nil {
		g.parts.Log.Warn("setting not announced; it is looked at again soon", "name", name, "err", err)
	}
}

// controllers shows who is there and who has which duty.
func (g *Gateway) controllers(w http.ResponseWriter, r *http.Request, _ string) error {
	leases, err := g.parts.Store.Leases(r.Context())
	if err != nil {
		return err
	}
	out := api.Controllers{Controllers: []api.Member{}, Duties: []api.Duty{}}
	for _, l := range leases {
		if name, ok := strings.CutPrefix(l.Name, memberLease); ok {
			out.Controllers = append(out.Controllers, api.Member{Name: name, Until: l.Until})
			continue
		}
		out.Duties = append(out.Duties, api.Duty{Name: l.Name, Holder: l.Holder, Epoch: l.Epoch, Until: l.Until})
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// prices shows what functions were learned to take, against what they declare.
func (g *Gateway) prices(w http.ResponseWriter, r *http.Request, _ string) error {
	known, err := g.parts.Store.Prices(r.Context())
	if err != nil {
		return err
	}
	out := api.Prices{Prices: []api.Price{}}
	for key, l := range known {
		n := float64(max(l.N, 1))
		out.Prices = append(out.Prices, api.Price{
			Fn: key.Fn, Class: key.Class, Attempts: l.N, Declared: l.Declared / n, Actual: l.Actual / n, Memory: l.Memory, At: l.At,
			Factor: l.Correct(fn.Price{CPUSeconds: 1}).CPUSeconds,
		})
	}
	slices.SortFunc(out.Prices, func(a, b api.Price) int { return cmp.Or(cmp.Compare(a.Fn, b.Fn), cmp.Compare(a.Class, b.Class)) })
	writeJSON(w, http.StatusOK, out)
	return nil
}

// allTasks lists tasks over all tenants.
func (g *Gateway) allTasks(w http.ResponseWriter, r *http.Request, _ string) error {
	return g.page(w, r, state.Filter{})
}
