package controller

import (
	"context"

	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
)

// learn notes what an attempt that succeeded took, if its price was declared.
// Sound, which takes much the same whatever the pictures take, is left out.
func (c *Controller) learn(w *task.Work) {
	declared, took := w.Declared-w.Price.Sound, w.Usage.CPUSeconds-w.Price.Sound
	if declared <= 0 || took <= 0 || w.Usage.Reused > 0 {
		return // nothing was declared, or not all of it was computed
	}
	key := task.PriceKey{Fn: w.Fn + "@" + w.FnVersion, Class: w.Class}
	l := c.lessons[key]
	l.N++
	l.Declared += declared
	l.Actual += took
	l.Memory = max(l.Memory, w.Usage.MaxMemory)
	c.lessons[key] = l
}

// study shares what was learned with the other controllers, and learns from
// them.
func (c *Controller) study(ctx context.Context) {
	if c.duties.holds(Match) {
		c.census(ctx)
	} else if told, err := c.parts.Store.Settings(ctx, job.CoresSetting); err == nil { // else it stays as it is
		c.parts.Cores.hear(told)
	}
	if len(c.lessons) > 0 {
		if err := c.parts.Store.Learn(ctx, c.lessons); err != nil {
			c.parts.Log.Warn("prices not kept", "err", err)
			return // they are kept with the next ones
		}
		clear(c.lessons)
	}
	known, err := c.parts.Store.Prices(ctx)
	if err != nil {
		c.parts.Log.Warn("prices not read", "err", err)
		return
	}
	c.parts.Decider.Learned = known
}
