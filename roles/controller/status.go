package controller

import (
	"cmp"
	"context"
	"slices"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
)

// status is what the matcher tells whoever asks.
func (c *Controller) status(ctx context.Context) job.Status {
	now := c.parts.Now()
	s := job.Status{Schema: job.Schema, Matcher: c.cfg.Name, At: now}
	ready, err := c.parts.Store.CountReady(ctx)
	if err != nil {
		c.parts.Log.Warn("ready work not counted", "err", err)
	}
	running, err := c.parts.Store.CountRunning(ctx)
	if err != nil {
		c.parts.Log.Warn("running work not counted", "err", err)
	}
	pools, tenants, busy := map[fn.Pool]*job.PoolStatus{}, map[string]*job.TenantStatus{}, map[string]int{}
	for _, p := range []fn.Pool{fn.CPU, fn.GPU} {
		pools[p] = &job.PoolStatus{Pool: p, Paused: c.paused[string(p)]}
	}
	tenant := func(name string) *job.TenantStatus {
		if tenants[name] == nil {
			share := c.cfg.Tenants[name]
			tenants[name] = &job.TenantStatus{Name: name, Limit: share.Limit, Weight: cmp.Or(share.Weight, 1)}
		}
		return tenants[name]
	}
	for _, r := range ready {
		tenant(r.Tenant).Ready += r.N
		if p := pools[r.Pool]; p != nil {
			p.Ready += r.N
			p.OldestSeconds = max(p.OldestSeconds, now.Sub(r.Oldest).Seconds())
		}
	}
	for _, r := range running {
		tenant(r.Tenant).Running += r.N
		busy[r.Worker] += r.N
		if p := pools[r.Pool]; p != nil {
			p.Running += r.N
		}
	}
	for _, p := range pools {
		s.Pools = append(s.Pools, *p)
	}
	for _, t := range tenants {
		s.Tenants = append(s.Tenants, *t)
	}
	for name, w := range c.seen {
		s.Workers = append(s.Workers, job.WorkerStatus{
			Name: name, Pools: w.Pools, Sizes: w.Sizes, Functions: len(w.Functions), Cores: w.Cores, Memory: w.Memory,
			Running: busy[name], Load: w.Load, Draining: c.draining[name], SeenAt: w.at,
		})
	}
	for reason, n := range c.reasons(ctx) {
		s.Reasons = append(s.Reasons, job.WaitingBecause{Reason: reason, Count: n})
	}
	slices.SortFunc(s.Reasons, func(a, b job.WaitingBecause) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Reason, b.Reason)) })
	slices.SortFunc(s.Pools, func(a, b job.PoolStatus) int { return cmp.Compare(a.Pool, b.Pool) })
	slices.SortFunc(s.Tenants, func(a, b job.TenantStatus) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Workers, func(a, b job.WorkerStatus) int { return cmp.Compare(a.Name, b.Name) })
	return s
}
