package controller

import (
	"context"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/sched"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

var noGrants = job.Grants{Schema: job.Schema, Grants: []job.Grant{}}

func stopSubject(worker string) string { return job.SubjectStop + worker }

// match grants ready work to the workers that want some: lease in the rows
// first, then tell the worker. A worker that never hears of it loses a lease,
// nothing else.
func (c *Controller) match(ctx context.Context) {
	if len(c.wants) == 0 {
		return
	}
	if c.more && len(c.ready) < c.cfg.Ready/4 {
		c.refill(ctx)
	}
	if len(c.ready) == 0 {
		return
	}
	items, rows := c.items()
	offers, wants := c.offers()
	grants := sched.Match(items, wants, c.tenants())
	if len(grants) == 0 {
		return
	}
	c.lease(ctx, rows, offers, grants)
}

// refill reads ready work from the rows.
func (c *Controller) refill(ctx context.Context) {
	c.more = false
	for _, pool := range []fn.Pool{fn.CPU, fn.GPU} {
		rows, err := c.parts.Store.ReadyWork(ctx, pool, c.cfg.Ready)
		if err != nil {
			c.parts.Log.Warn("ready work not read", "err", err)
			c.more = true
			return
		}
		for _, w := range rows {
			c.ready[w.ID] = w
		}
		c.more = c.more || len(rows) == c.cfg.Ready
	}
}

func (c *Controller) items() ([]sched.Item, []task.Work) {
	items := make([]sched.Item, 0, len(c.ready))
	rows := make([]task.Work, 0, len(c.ready))
	for _, w := range c.ready {
		// A task that is not in memory has no deadline here until the reaper
		// has looked at it; then it counts.
		var deadline time.Time
		if v, ok := c.views[w.TaskID]; ok && v.Task.Request.Extra.Deadline > 0 {
			deadline = time.UnixMilli(v.Task.Request.Extra.Deadline)
		}
		items = append(items, sched.Item{
			ID: w.ID, Deadline: deadline, Tenant: w.Tenant, Priority: w.Priority, Function: w.Fn + "@" + w.FnVersion, Pool: string(w.Pool),
			Cores: w.Price.Cores, Memory: w.Price.Memory, Seconds: w.Price.CPUSeconds, Ready: w.CreatedAt,
		})
		rows = append(rows, w)
	}
	return items, rows
}

func (c *Controller) offers() ([]*offer, []sched.Want) {
	var offers []*offer
	var wants []sched.Want
	for _, o := range c.wants {
		want := sched.Want{Worker: o.Worker, Functions: map[string]bool{}, Cores: o.Cores, Memory: o.Memory, Most: o.Most}
		for _, f := range o.Functions {
			want.Functions[f] = true
		}
		for _, p := range o.Pools {
			want.Pools = append(want.Pools, string(p))
		}
		offers, wants = append(offers, o), append(wants, want)
	}
	return offers, wants
}

func (c *Controller) tenants() map[string]sched.Tenant {
	all := map[string]sched.Tenant{}
	for name, share := range c.cfg.Tenants {
		all[name] = sched.Tenant{Weight: share.Weight, Limit: share.Limit}
	}
	for name, n := range c.usage {
		t := all[name]
		t.Running = n
		all[name] = t
	}
	return all
}

// lease writes the grants and sends those that were written.
func (c *Controller) lease(ctx context.Context, rows []task.Work, offers []*offer, grants []sched.Grant) {
	now := c.parts.Now()
	changes := make([]state.Change, len(grants))
	leased := make([]task.Work, len(grants))
	for i, g := range grants {
		w := rows[g.Item]
		was := w.Attempt
		w.State, w.Attempt, w.Trace, w.Worker = task.Running, w.Attempt+1, task.NewID(), offers[g.Want].Worker
		w.StartedAt, w.LeaseTill, w.Deadline = now, now.Add(c.cfg.Lease), now.Add(w.Timeout)
		leased[i] = w
		changes[i] = state.Change{Update: []state.Guarded{{Work: w, Was: task.Ready, Attempt: was}}}
	}
	failed := c.parts.Store.Apply(ctx, changes)
	c.parts.Reached("granted")
	answers := map[*offer]*job.Grants{}
	for i, g := range grants {
		w := leased[i]
		delete(c.ready, w.ID)
		if failed[i] != nil {
			c.forget(w.TaskID)
			c.more = true
			continue
		}
		c.running(w.Tenant, 1)
		if v, ok := c.views[w.TaskID]; ok {
			v.Work[w.ID] = w
		}
		grant, err := w.Grant(c.cfg.Lease, max(g.Cores, 1))
		if err != nil {
			c.parts.Log.Error("job not readable", "work", w.ID, "err", err)
			continue
		}
		o := offers[g.Want]
		if answers[o] == nil {
			answers[o] = &job.Grants{Schema: job.Schema}
		}
		answers[o].Grants = append(answers[o].Grants, grant)
		c.send(ctx, job.SubjectEvents+w.TaskID, workEvent(&w, now))
	}
	for o, a := range answers {
		delete(c.wants, o.Worker)
		c.given[o.Worker] = mark{o.Seen + int64(len(a.Grants)), now}
		c.send(ctx, o.reply, a)
	}
}

// mark is how many grants a worker will have received when the last ones
// reach it.
type mark struct {
	count int64
	at    time.Time
}

// crossed reports whether an offer was made before its worker heard of its last
// grants. It would be granted the same room twice and hand the work back. A
// mark counts for a moment only: grants may get lost on their way.
func (c *Controller) crossed(o *offer) bool {
	m, ok := c.given[o.Worker]
	return ok && o.Most > 0 && o.Seen < m.count && c.parts.Now().Sub(m.at) < 2*c.cfg.Tick
}
