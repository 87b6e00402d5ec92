package gateway

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/task"
)

// expect registers a waiter for the end of a task.
func (g *Gateway) expect(id string) (<-chan struct{}, func()) {
	done := make(chan struct{})
	g.mu.Lock()
	g.waiting[id] = append(g.waiting[id], done)
	g.mu.Unlock()
	return done, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.waiting, id)
	}
}

func (g *Gateway) ended(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, done := range g.waiting[id] {
		close(done)
	}
	delete(g.waiting, id)
}

// await returns the task when it has ended, or nil when the wait ran out or
// the gateway is closing. The message that ends the wait may get lost, so the
// row is looked at now and then.
func (g *Gateway) await(ctx context.Context, id string, done <-chan struct{}, wait time.Duration) (*task.Task, error) {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	poll := time.NewTicker(g.cfg.Poll)
	defer poll.Stop()
	last := false
	for {
		select {
		case <-done:
			done = nil
		case <-poll.C:
		case <-timeout.C:
			last = true
		case <-g.closing:
			last = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		t, err := g.parts.Store.Task(ctx, id)
		if err != nil {
			return nil, err
		}
		if t.State.Final() {
			return &t, nil
		}
		if last {
			return nil, nil
		}
	}
}

// reply answers a sync request with the callback. The status tells success of
// the request, not of the task.
func (g *Gateway) reply(w http.ResponseWriter, r *http.Request, t *task.Task, wait time.Duration) error {
	v, err := g.parts.Store.View(r.Context(), t.ID)
	if err != nil {
		return err
	}
	w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait.Seconds())))
	writeJSON(w, http.StatusOK, api.CallbackOf(t, task.FiguresOf(t, v.Work)))
	return nil
}
