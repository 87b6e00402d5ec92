// Package gateway is the role callers talk to: it authenticates, validates
// everything before anything is queued, stores the task and answers 202, or
// waits for the result if asked to. A caller that hangs up cancels nothing.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/span"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/cache"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/roles/gateway/cors"
	"github.com/mediafn/mediafn/roles/gateway/tus"
)

// Config sets the gateway's limits.
type Config struct {
	Name      string        // unique among gateways that run: replies come back to it
	MaxBody   int64         // bytes of a request body that is not an object
	MaxObject int64         // bytes of an uploaded object
	MaxWait   time.Duration // of "Prefer: wait"
	FactsTime time.Duration // facts of one file may take
	Probes    int           // files looked at at once; more are Busy
	Streams   int           // live event streams at once
	Poll      time.Duration // a waiter looks at the row this often, in case its message was lost
	InFlight  int           // submissions being checked and stored at once; more are Busy
	Waits     int           // requests that wait for their task at once; more are Busy
	// StuckAfter is how long a task may be overdue before it is listed as stuck.
	StuckAfter time.Duration
	Uploads    tus.Config
	Tenants    []Tenant // empty = one tenant, "default", without keys
	Origins    []string // of web pages that may call, as cors.Check has them
}

// Default fits one machine.
func Default(name string) Config {
	return Config{
		Name: name, MaxBody: 1 << 20, MaxObject: 64 << 30, MaxWait: 5 * time.Minute, FactsTime: time.Minute, Probes: 16, Streams: 1024, Poll: 2 * time.Second,
		InFlight: 1024, Waits: 16384, StuckAfter: time.Minute, Uploads: tus.Default(name),
	}
}

// Parts are what the gateway works with.
type Parts struct {
	Store     *state.Store
	Queue     *queue.Queue
	Blobs     *blob.Stores
	Cache     *cache.Cache
	Computer  Computer
	Functions *fn.Registry
	Flows     *flow.Book
	Refresh   func(ctx context.Context) error // takes changed flows into the book; nil = nothing to do
	Place     task.Place
	Log       *slog.Logger
	Now       func() time.Time
	Reached   func(point string)
	Metrics   *Metrics     // nil counts nothing
	Tracer    *span.Tracer // nil traces nothing
	Scrape    http.Handler // serves GET /metrics; nil = it is served elsewhere
}

// Gateway is the role. Create it with New, run it once.
type Gateway struct {
	cfg     Config
	parts   Parts
	handler http.Handler
	uploads *tus.Handler
	streams chan struct{}
	probes  chan struct{}
	taking  chan struct{} // submissions
	waits   chan struct{}
	closing chan struct{}

	mu      sync.Mutex
	secret  []byte              // of callback URLs, once it was needed
	waiting map[string][]waiter // by task id
}

// New returns a gateway.
func New(cfg Config, parts Parts) *Gateway {
	if parts.Now == nil {
		parts.Now = time.Now
	}
	if parts.Reached == nil {
		parts.Reached = func(string) {}
	}
	g := &Gateway{
		cfg: cfg, parts: parts, streams: make(chan struct{}, cfg.Streams), probes: make(chan struct{}, max(cfg.Probes, 1)), closing: make(chan struct{}),
		taking: make(chan struct{}, max(cfg.InFlight, 1)), waits: make(chan struct{}, max(cfg.Waits, 1)), waiting: map[string][]waiter{},
	}
	cfg.Uploads.Most = min(cfg.Uploads.Most, cfg.MaxObject)
	g.uploads = tus.New(cfg.Uploads, tus.Parts{
		Store: parts.Store, Queue: parts.Queue, Blobs: parts.Blobs, Bucket: parts.Place.Arriving, May: g.mayUse, Log: parts.Log, Reached: parts.Reached,
		Metrics: parts.Metrics.ofUploads(),
	})
	g.handler = g.routes()
	return g
}

func (g *Gateway) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]handler{
		"POST /v1/tasks":                       g.submit,
		"GET /v1/tasks":                        g.list,
		"GET /v1/tasks/{id}":                   g.get,
		"DELETE /v1/tasks/{id}":                g.cancel,
		"PATCH /v1/tasks/{id}":                 g.prioritize,
		"POST /v1/tasks/{id}/retry":            g.retry,
		"GET /v1/tasks/{id}/graph":             g.graph,
		"GET /v1/tasks/{id}/events":            g.events,
		"GET /v1/tasks/{id}/history":           g.history,
		"GET /v1/media/facts":                  g.facts,
		"POST /v1/plan":                        g.predict,
		"GET /v1/functions":                    g.functions,
		"GET /v1/functions/{name}":             g.function,
		"GET /v1/flows":                        g.flows,
		"PUT /v1/objects/{bucket}/{key...}":    g.putObject,
		"GET /v1/objects/{bucket}/{key...}":    g.getObject, // HEAD too
		"DELETE /v1/objects/{bucket}/{key...}": g.deleteObject,
	} {
		mux.Handle(pattern, g.seen(pattern, g.wrap(h)))
	}
	for pattern, h := range g.uploads.Routes() {
		mux.Handle(pattern, g.seen(pattern, g.wrap(h)))
	}
	for pattern, h := range g.adminRoutes() {
		mux.Handle(pattern, g.seen(pattern, g.wrap(g.admins(h))))
	}
	const callbacks = "POST /v1/callbacks/{trace}"
	mux.Handle(callbacks, g.seen(callbacks, g.open(g.callback)))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, map[string]string{"status": "ok"}) })
	mux.HandleFunc("GET /readyz", g.ready)
	if g.parts.Scrape != nil {
		mux.Handle("GET /metrics", g.parts.Scrape)
	}
	return cors.Handler(g.cfg.Origins, func(w http.ResponseWriter, err error) { writeError(w, g.parts.Log, err, "") }, g.known(mux))
}

// known answers what no route takes, in the form of every other error: 404, or
// 405 with the methods that would do.
func (g *Gateway) known(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		var said refusal
		route.ServeHTTP(&said, r)
		if allow := said.Header().Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			p := api.ProblemOf(errs.New(errs.Invalid, "gateway", "%s takes %s, not %s", r.URL.Path, allow, r.Method), "")
			p.Status = http.StatusMethodNotAllowed
			writeProblem(w, p)
			return
		}
		writeError(w, g.parts.Log, errs.New(errs.NotFound, "gateway", "there is no such path"), "")
	})
}

// refusal catches what the mux would have said by itself.
type refusal struct{ header http.Header }

func (r *refusal) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}
func (r *refusal) Write(b []byte) (int, error) { return len(b), nil }
func (r *refusal) WriteHeader(int)             {}

// ServeHTTP lets a gateway be mounted and tested.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }

// Run serves listener until ctx ends, then lets requests under way finish for
// a moment.
func (g *Gateway) Run(ctx context.Context, listener net.Listener) error {
	sub, err := g.parts.Queue.Subscribe(ctx, job.SubjectEnded+g.cfg.Name, "", func(_ context.Context, m queue.Message) {
		g.ended(string(m.Data))
	})
	if err != nil {
		return errs.Wrap("gateway", err)
	}
	defer sub.Close()
	server := &http.Server{
		Handler: g, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(g.parts.Log.Handler(), slog.LevelDebug),
	}
	tended, stop := context.WithCancel(ctx)
	var tending sync.WaitGroup
	tending.Go(func() { g.uploads.Run(tended) })
	defer tending.Wait()
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return errs.As(errs.Internal, "gateway", err)
	case <-ctx.Done():
	}
	close(g.closing)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(last); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return errs.As(errs.Internal, "gateway", err)
	}
	_ = server.Close()
	return nil
}

func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	err := g.parts.Store.Ping(ctx)
	if err == nil {
		err = g.parts.Queue.Ping(ctx)
	}
	if err != nil {
		writeError(w, g.parts.Log, errs.As(errs.Transient, "ready", err), "")
		return
	}
	writeJSON(w, 200, map[string]string{"status": "ready"})
}
