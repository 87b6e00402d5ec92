package ops

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// Check tells whether something a role needs answers. ctx bounds it.
type Check func(ctx context.Context) error

// Readiness asks a process's checks again and again in the background, each
// within its own deadline. A probe is answered with what is known, at once: it
// waits for nothing.
type Readiness struct {
	checks map[string]Check

	mu    sync.Mutex
	state map[string]string // by check; "ok" or what is wrong
}

const (
	checkEvery = 2 * time.Second
	checkTime  = 2 * time.Second
)

// NewReadiness is not ready until every check has passed once.
func NewReadiness(checks map[string]Check) *Readiness {
	r := &Readiness{checks: maps.Clone(checks), state: map[string]string{}}
	for name := range checks {
		r.state[name] = "not asked yet"
	}
	return r
}

// Run asks until ctx ends; from then on the process is not ready.
func (r *Readiness) Run(ctx context.Context) {
	var asking sync.WaitGroup
	for name, check := range r.checks {
		asking.Go(func() { r.watch(ctx, name, check) })
	}
	asking.Wait()
}

func (r *Readiness) watch(ctx context.Context, name string, check Check) {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		asked, cancel := context.WithTimeout(ctx, checkTime)
		err := check(asked)
		cancel()
		if ctx.Err() != nil {
			err = errs.New(errs.Canceled, name, "the process is stopping")
		}
		r.mu.Lock()
		r.state[name] = "ok"
		if err != nil {
			r.state[name] = err.Error()
		}
		r.mu.Unlock()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			r.mu.Lock()
			r.state[name] = "the process is stopping"
			r.mu.Unlock()
			return
		}
	}
}

// State says whether all checks passed when last asked, and what each said.
func (r *Readiness) State() (ready bool, checks map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ready = true
	for _, said := range r.state {
		ready = ready && said == "ok"
	}
	return ready, maps.Clone(r.state)
}
