package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/ports/queue"
)

// receiver is where the callbacks of a run arrive.
type receiver struct {
	server *http.Server
	base   string

	mu    sync.Mutex
	came  map[int]time.Time // first arrival, by task
	twice int
	last  time.Time
}

func receive() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errs.As(errs.Internal, "bench", err)
	}
	r := &receiver{base: "http://" + listener.Addr().String(), came: map[int]time.Time{}}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(listener) }() // until close
	return r, nil
}

func (r *receiver) close() { _ = r.server.Close() }

// forget makes room for another run.
func (r *receiver) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.came, r.twice = map[int]time.Time{}, 0
}

func (r *receiver) url(run string, i int) string { return fmt.Sprintf("%s/%s/%d", r.base, run, i) }

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, number, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	i, err := strconv.Atoi(number)
	if err != nil {
		http.NotFound(w, req)
		return
	}
	now := time.Now()
	r.mu.Lock()
	if _, had := r.came[i]; had {
		r.twice++
	} else {
		r.came[i] = now
	}
	r.last = now
	r.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.came)
}

// ends notes when the end of each task is announced, which is right after it
// was committed.
type ends struct {
	sub *queue.Subscription

	mu   sync.Mutex
	seen map[string]time.Time
}

func watchEnds(ctx context.Context, q *queue.Queue) (*ends, error) {
	e := &ends{seen: map[string]time.Time{}}
	var err error
	e.sub, err = q.Subscribe(ctx, job.SubjectEvents+"*", "", func(_ context.Context, m queue.Message) {
		now := time.Now()
		for event := range api.EventsIn(m.Data) {
			if event.Type == "task" && event.State.Final() {
				e.mu.Lock()
				e.seen[event.TaskID] = now
				e.mu.Unlock()
			}
		}
	})
	return e, err
}

func (e *ends) of(id string) (time.Time, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, ok := e.seen[id]
	return at, ok
}
