package gateway

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/queue"
)

// waiter is told to look at a task's row.
type waiter chan struct{}

func (w waiter) look() {
	select {
	case w <- struct{}{}:
	default: // it will look anyway
	}
}

// expect registers a waiter for the end of a task that this gateway is told of.
func (g *Gateway) expect(id string) (waiter, func()) {
	w := make(waiter, 1)
	g.mu.Lock()
	g.waiting[id] = append(g.waiting[id], w)
	g.mu.Unlock()
	return w, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.waiting[id] = slices.DeleteFunc(g.waiting[id], func(other waiter) bool { return other == w })
		if len(g.waiting[id]) == 0 {
			delete(g.waiting, id)
		}
	}
}

func (g *Gateway) ended(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.waiting[id] {
		w.look()
	}
}

// overhear waits for the end of a task that somebody else submitted, perhaps at
// another gateway, which is the one that is told: it listens to the task's live
// events.
func (g *Gateway) overhear(ctx context.Context, id string) (waiter, func(), error) {
	w := make(waiter, 1)
	sub, err := g.parts.Queue.Subscribe(ctx, job.SubjectEvents+id, "", func(_ context.Context, m queue.Message) {
		for e := range api.EventsIn(m.Data) {
			if e.Type == "task" && e.State.Final() {
				w.look()
			}
		}
	})
	if err != nil {
		return nil, nil, err
	}
	w.look() // it may have ended before anybody listened
	return w, sub.Close, nil
}

// await returns the task when it has ended, or nil when the wait ran out or
// the gateway is closing. The message that ends the wait may get lost, so the
// row is looked at now and then.
func (g *Gateway) await(ctx context.Context, id string, told waiter, wait time.Duration) (ended *task.Task, err error) {
	waited := g.parts.Metrics.wait()
	defer func() { waited(ended != nil, err) }()
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	poll := time.NewTicker(g.cfg.Poll)
	defer poll.Stop()
	last := false
	for {
		select {
		case <-told:
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
