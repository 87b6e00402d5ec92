// Package worker is the role that computes. It says what it can carry now,
// waits for grants, runs them through the executor, and reports how they
// ended. It touches media and never the database.
package worker

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/internal/span"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/roles/worker/load"
)

// Config says what the machine may carry.
type Config struct {
	Name   string    // unique among all workers that ever lived
	Pools  []fn.Pool // which pools it serves
	Sizes  []string  // size classes it takes; empty = all
	Cores  int       // to be kept busy
	Memory int64     // bytes all running work together may be priced at
	GPU    int       // cards
	// Kinds bounds what runs at once by kind: whole media, all slices of one
	// count as one, and work without a core as none. A missing kind has no bound.
	Kinds map[media.Kind]int
	Most  int           // attempts at once
	Wait  time.Duration // how long an offer stands
	Grace time.Duration // for running work at shutdown
	Stall time.Duration // work without progress for so long is given up
	// MaxAnswer bounds the message that reports an attempt, in bytes. It must
	// fit into a message of the queue. 0 = 7 MiB.
	MaxAnswer int
}

// Default is for one machine of the given size.
func Default(name string, cores int, memory int64) Config {
	return Config{
		Name: name, Pools: []fn.Pool{fn.CPU}, Cores: cores, Memory: memory, Most: 64,
		Wait: 20 * time.Second, Grace: 20 * time.Second, Stall: 5 * time.Minute,
	}
}

// Runner computes a job; exec.Executor is one.
type Runner interface {
	Run(ctx context.Context, j job.Job, progress func(fn.Progress)) (job.Outcome, error)
}

// Parts are what the worker works with.
type Parts struct {
	Queue     *queue.Queue
	Runner    Runner
	Functions *fn.Registry
	Log       *slog.Logger
	Reached   func(point string) // names points a crash test may stop at
	// Measure samples the machine; it is called once a second, never twice at a
	// time. nil = nothing is measured, the machine is the worker's alone.
	Measure func() load.State
	Metrics *Metrics     // nil counts nothing
	Tracer  *span.Tracer // nil traces nothing
}

// Worker is the role. Create it with New, run it once.
type Worker struct {
	cfg       Config
	parts     Parts
	functions []string
	freed     chan struct{} // holds one token while more may be wanted
	answers   chan said

	mu       sync.Mutex
	cores    int   // free of those the configuration allows
	memory   int64 // likewise
	running  map[string]*attempt
	telling  map[string]*attempt // over; the stream does not have their answers yet
	stopped  stops               // that came before their grants
	measured load.State          // zero = not yet, or never
	seen     int64               // grants received so far
	offered  *job.Want           // the offer that stands; nil = none does
	latest   int                 // number of that offer; answers to older ones change nothing
	done     sync.WaitGroup
}

// New returns a worker that offers every function that can run here.
func New(cfg Config, parts Parts) *Worker {
	if parts.Reached == nil {
		parts.Reached = func(string) {}
	}
	if cfg.MaxAnswer <= 0 {
		cfg.MaxAnswer = 7 << 20
	}
	w := &Worker{
		cfg: cfg, parts: parts, freed: make(chan struct{}, 1), answers: make(chan said, 256),
		cores: cfg.Cores, memory: cfg.Memory, running: map[string]*attempt{}, telling: map[string]*attempt{},
	}
	for _, name := range parts.Functions.Names() {
		f, err := parts.Functions.Get(name)
		if err == nil && f.Spec().Missing == "" {
			w.functions = append(w.functions, name+"@"+f.Spec().Version)
		}
	}
	return w
}

// Run works until ctx ends, then lets running work finish for the grace period
// and hands back what is left.
func (w *Worker) Run(ctx context.Context) error {
	stops, err := w.parts.Queue.Subscribe(ctx, job.SubjectStop+w.cfg.Name, "", w.onStop)
	if err != nil {
		return errs.Wrap("worker", err)
	}
	defer stops.Close()
	calls, err := w.parts.Queue.Subscribe(ctx, job.SubjectCall, "", w.onCall)
	if err != nil {
		return errs.Wrap("worker", err)
	}
	defer calls.Close()
	// What outlives ctx: leases of work that is finishing, and its answers.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var background, reported sync.WaitGroup
	background.Go(func() { w.renew(life) })
	if w.parts.Measure != nil {
		w.measure(w.parts.Measure()) // the first offer knows
		background.Go(func() { w.meter(life) })
	}
	reported.Go(func() { w.report(life) })
	w.signal()
	w.want(ctx, life)
	w.wind()
	close(w.answers)
	// What finished or was handed back is reported before the worker goes. If
	// the stream does not take it in time, leases end it instead.
	limit := time.AfterFunc(lastWords, end)
	reported.Wait()
	limit.Stop()
	end()
	background.Wait()
	return nil
}

// lastWords bounds how long a worker that stops tries to report.
const lastWords = 15 * time.Second

// wind lets running work finish for the grace period, then hands it back.
func (w *Worker) wind() {
	finished := make(chan struct{})
	go func() { w.done.Wait(); close(finished) }()
	select {
	case <-finished:
		return
	case <-time.After(w.cfg.Grace):
	}
	w.mu.Lock()
	for _, a := range w.running {
		a.cancel(errReturned)
	}
	w.mu.Unlock()
	<-finished
}

func (w *Worker) onStop(_ context.Context, m queue.Message) {
	var traces []string
	if err := json.Unmarshal(m.Data, &traces); err != nil {
		w.parts.Log.Warn("stop not understood", "err", err)
		return
	}
	w.stop(traces, errStopped)
}

// onCall has the offer made again: whoever matches now does not know it.
func (w *Worker) onCall(context.Context, queue.Message) {
	w.mu.Lock()
	w.offered = nil
	w.mu.Unlock()
	w.signal()
}

func (w *Worker) stop(traces []string, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, trace := range traces {
		if a := w.running[trace]; a != nil {
			a.cancel(why)
		} else {
			w.stopped.add(trace)
		}
	}
}

// stops remembers the last few attempts that were to stop before they began: a
// stop may overtake the grant.
type stops struct {
	traces [64]string
	next   int
}

func (s *stops) add(trace string) {
	s.traces[s.next%len(s.traces)] = trace
	s.next++
}

func (s *stops) has(trace string) bool { return slices.Contains(s.traces[:], trace) }

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// component splits an event or segment id for what is shown.
func component(id string) (task, name string, segment string) {
	parts := append(strings.SplitN(id, "_", 3), "", "")
	return parts[0], parts[1], parts[2]
}
