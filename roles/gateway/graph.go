package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/core/task/chart"
	"github.com/mediafn/mediafn/ports/queue"
)

// graphTime is how long a graph listens for the progress of what runs, which
// stands in no row. Workers speak up about three times a second.
const graphTime = 700 * time.Millisecond

// graph shows a task's flow as it stands.
func (g *Gateway) graph(w http.ResponseWriter, r *http.Request, tenant string) error {
	t, err := g.own(r, tenant)
	if err != nil {
		return err
	}
	plan, err := g.plan(r.Context(), &t)
	if err != nil {
		return err
	}
	work, err := g.parts.Store.Work(r.Context(), t.ID)
	if err != nil {
		return err
	}
	running := map[string]bool{}
	for i := range work {
		if work[i].State == task.Running {
			running[work[i].ID] = true
		}
	}
	progress := map[string]fn.Progress{}
	if len(running) > 0 {
		if progress, err = g.progress(r.Context(), t.ID, running); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, chart.Of(plan, &t, work, progress))
	return nil
}

// progress listens until all of the running work has said how far it is, or for
// graphTime.
func (g *Gateway) progress(ctx context.Context, id string, running map[string]bool) (map[string]fn.Progress, error) {
	select {
	case g.streams <- struct{}{}:
		defer func() { <-g.streams }()
	default:
		return nil, errs.New(errs.Busy, "gateway", "too many live streams")
	}
	heard := make(chan api.Event, 256)
	sub, err := g.parts.Queue.Subscribe(ctx, job.SubjectEvents+id, "", func(_ context.Context, m queue.Message) {
		for e := range api.EventsIn(m.Data) {
			if e.Type != "progress" || e.Progress == nil {
				continue
			}
			select {
			case heard <- e:
			default: // it will be said again
			}
		}
	})
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	ctx, cancel := context.WithTimeout(ctx, graphTime)
	defer cancel()
	progress := map[string]fn.Progress{}
	for len(progress) < len(running) {
		select {
		case e := <-heard:
			work := task.EventID(id, e.Component)
			if e.Segment != nil {
				work = task.SegmentID(work, *e.Segment)
			}
			if running[work] {
				progress[work] = *e.Progress
			}
		case <-ctx.Done():
			return progress, nil
		case <-g.closing:
			return progress, nil
		}
	}
	return progress, nil
}
