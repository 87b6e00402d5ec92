package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/ports/queue"
)

// events streams a task's life as server-sent events: first everything as it
// stands ("state"), then each change and progress, last "end" with the
// task. Live messages may get lost, so the state is repeated now and then.
func (g *Gateway) events(w http.ResponseWriter, r *http.Request, tenant string) error {
	t, err := g.own(r, tenant)
	if err != nil {
		return err
	}
	select {
	case g.streams <- struct{}{}:
		defer func() { <-g.streams }()
	default:
		return errs.New(errs.Busy, "gateway", "too many live streams")
	}
	live := make(chan []byte, 256)
	sub, err := g.parts.Queue.Subscribe(r.Context(), job.SubjectEvents+t.ID, "", func(_ context.Context, m queue.Message) {
		select {
		case live <- m.Data:
		default: // a slow reader misses progress; the next state catches up
		}
	})
	if err != nil {
		return err
	}
	defer sub.Close()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	g.stream(r, tenant, &eventWriter{w: w, flush: http.NewResponseController(w)}, live)
	return nil
}

func (g *Gateway) stream(r *http.Request, tenant string, out *eventWriter, live <-chan []byte) {
	again := time.NewTicker(2 * time.Second)
	defer again.Stop()
	over := g.snapshot(r, tenant, out)
	for !over && out.err == nil {
		select {
		case raw := <-live:
			for line := range bytes.Lines(raw) {
				var e api.Event
				if json.Unmarshal(line, &e) != nil {
					continue
				}
				out.send(e.Type, bytes.TrimRight(line, "\n"))
				if e.Type == "task" && e.State.Final() {
					over = g.snapshot(r, tenant, out)
				}
			}
		case <-again.C:
			over = g.snapshot(r, tenant, out)
		case <-g.closing:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// snapshot sends the task as it stands and reports whether it is over.
func (g *Gateway) snapshot(r *http.Request, tenant string, out *eventWriter) bool {
	t, err := g.own(r, tenant)
	if err != nil {
		return r.Context().Err() != nil
	}
	v, err := g.view(r, &t)
	if err != nil {
		return r.Context().Err() != nil
	}
	name := "state"
	if t.State.Final() {
		name = "end"
	}
	body, err := json.Marshal(v)
	if err != nil {
		return true
	}
	out.send(name, body)
	return t.State.Final()
}

type eventWriter struct {
	w     http.ResponseWriter
	flush *http.ResponseController
	err   error
}

func (e *eventWriter) send(name string, body []byte) {
	if e.err != nil {
		return
	}
	_, e.err = fmt.Fprintf(e.w, "event: %s\ndata: %s\n\n", name, body)
	if e.err == nil {
		e.err = e.flush.Flush()
	}
}
