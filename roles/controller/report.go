package controller

import (
	"context"
	"time"

	"github.com/mediafn/mediafn/core/fn"
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
		n, age := 0, time.Duration(0)
		for _, r := range ready {
			if r.Pool == pool {
				n, age = n+r.N, max(age, now.Sub(r.Oldest))
			}
		}
		c.parts.Metrics.Waiting(pool, n, age)
	}
	c.parts.Metrics.Running(c.usage)
	c.parts.Metrics.Blocked(c.reasons(ctx))
}

// reasons counts the ready work of the window by why it waits.
func (c *Controller) reasons(ctx context.Context) map[string]int {
	if c.more && len(c.ready.Rows) < c.cfg.Ready/4 {
		c.refill(ctx)
	}
	items := make([]sched.Item, 0, len(c.ready.Rows))
	for _, w := range c.ready.Rows {
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
	all := map[string]int{}
	for _, r := range sched.Explain(items, wants, c.tenants()) {
		all[string(r.Why)] += r.Count
	}
	return all
}
