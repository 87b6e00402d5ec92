package controller

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/sched"
)

// reportEvery is how often the matcher's gauges are set. Counting ready work
// reads the database, so it is not done with every look of the reaper.
const reportEvery = 5 * time.Second

// report says in metrics what waits, what runs, and why what waits does.
func (c *Controller) report(ctx context.Context, now time.Time) {
	if c.parts.Metrics == nil || now.Sub(c.reported) < reportEvery {
		return
	}
	c.reported = now
	ready, err := c.parts.Store.CountReady(ctx)
	if err != nil {
		c.parts.Log.Warn("ready work not counted", "err", err)
		return
	}
	for _, pool := range []fn.Pool{fn.CPU, fn.GPU} {
		n, oldest := 0, now
		for _, r := range ready {
			if r.Pool == pool {
				n += r.N
				oldest = earliest(oldest, r.Oldest)
			}
		}
		c.parts.Metrics.Waiting(pool, n, now.Sub(oldest))
	}
	c.parts.Metrics.Running(c.usage)
	blocked := map[string]int{}
	for _, r := range c.reasons(ctx) {
		blocked[r.Reason] = r.Count
	}
	c.parts.Metrics.Blocked(blocked)
}

// reasons says why the ready work of the window waits, most first.
func (c *Controller) reasons(ctx context.Context) []job.WaitingBecause {
	if c.more && len(c.ready) < c.cfg.Ready/4 {
		c.refill(ctx)
	}
	items := make([]sched.Item, 0, len(c.ready))
	for _, w := range c.ready {
		it := item(w)
		it.Paused = c.paused[it.Pool]
		items = append(items, it)
	}
	wants := make([]sched.Want, 0, len(c.seen))
	for name, s := range c.seen {
		w := wantOf(&s.Want)
		w.Draining = c.draining[name]
		if c.wants[name] == nil {
			w.Most = 0 // it offers nothing now
		}
		wants = append(wants, w)
	}
	var all []job.WaitingBecause
	for _, r := range sched.Explain(items, wants, c.tenants()) {
		reason := string(r.Why)
		i := slices.IndexFunc(all, func(b job.WaitingBecause) bool { return b.Reason == reason })
		if i < 0 {
			all, i = append(all, job.WaitingBecause{Reason: reason}), len(all)
		}
		all[i].Count += r.Count
	}
	slices.SortFunc(all, func(a, b job.WaitingBecause) int {
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.Reason, b.Reason))
	})
	return all
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
