package controller

import (
	"context"
	"strconv"
	"sync/atomic"

	"github.com/mediafn/mediafn/core/job"
)

// Cores is how many cores the workers have together, as far as the matcher has
// heard. Slices are planned for so many, not for what is free at the moment: a
// machine that is busy for a second would give a plan for one core.
type Cores struct {
	n    atomic.Int64
	told int64 // what the matcher has written down; of its loop alone
}

// NewCores begins with a guess.
func NewCores(guess int) *Cores {
	c := &Cores{}
	c.n.Store(int64(guess))
	return c
}

// Now returns the number, at least 1.
func (c *Cores) Now() int { return max(int(c.n.Load()), 1) }

// census counts the cores of the workers that offered lately and tells the
// others if it is another number than they know.
func (c *Controller) census(ctx context.Context) {
	total := 0
	for _, w := range c.seen {
		total += max(w.Owns, w.Total.Cores) // an older worker does not say what it owns
	}
	if c.parts.Cores == nil || total == 0 || int64(total) == c.parts.Cores.told {
		return
	}
	c.parts.Cores.n.Store(int64(total))
	if err := c.parts.Store.Set(ctx, job.CoresSetting, strconv.Itoa(total)); err != nil {
		c.parts.Log.Warn("the workers' cores are not told", "err", err)
		return
	}
	c.parts.Cores.told = int64(total)
}

// hear takes over what the matcher has told.
func (c *Cores) hear(settings map[string]string) {
	if n, err := strconv.Atoi(settings[job.CoresSetting]); err == nil && c != nil {
		c.n.Store(int64(n))
	}
}
