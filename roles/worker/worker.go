// Package worker is the role that computes. It says what it can carry now,
// waits for grants, runs them through the executor, and reports how they
// ended. It touches media and never the database.
package worker

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/internal/span"
	"github.com/mediafn/mediafn/ports/queue"
)

// Config says what the machine may carry.
type Config struct {
	Name   string        // unique among all workers that ever lived
	Pools  []fn.Pool     // which pools it serves
	Cores  int           // to be kept busy
	Memory int64         // bytes all running work together may be priced at
	Most   int           // attempts at once
	Wait   time.Duration // how long an offer stands
	Grace  time.Duration // for running work at shutdown
	Stall  time.Duration // work without progress for so long is given up
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
	Metrics   *Metrics           // nil counts nothing
	Tracer    *span.Tracer       // nil traces nothing
}

// Worker is the role. Create it with New, run it once.
type Worker struct {
	cfg       Config
	parts     Parts
	functions []string
	freed     chan struct{} // holds one token while more may be wanted
	answers   chan job.Answer

	mu      sync.Mutex
	cores   int   // free
	memory  int64 // free
	running map[string]*attempt
	seen    int64 // grants received so far
	offered int   // cores in the offer that stands; -1 = none stands
	spoken  int64 // memory in it
	latest  int   // number of that offer; answers to older ones change nothing
	done    sync.WaitGroup
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
		cfg: cfg, parts: parts, freed: make(chan struct{}, 1), answers: make(chan job.Answer, 256),
		cores: cfg.Cores, memory: cfg.Memory, running: map[string]*attempt{}, offered: -1,
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
	// What outlives ctx: leases of work that is finishing, and its answers.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var background, reported sync.WaitGroup
	background.Go(func() { w.renew(life) })
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

func (w *Worker) signal() {
	select {
	case w.freed <- struct{}{}:
	default:
	}
}

// want keeps one offer standing that says what is free now. Offers that wait
// for grants do so on their own; a newer offer ends the older one.
func (w *Worker) want(ctx, life context.Context) {
	var offers sync.WaitGroup
	asking, end := context.WithCancel(life)
	defer end()
	for {
		select {
		case <-ctx.Done():
			w.withdraw(life)
			late := time.AfterFunc(withdrawal, end)
			offers.Wait()
			late.Stop()
			return
		case <-w.freed:
		}
		offer, number, ok := w.offer()
		if !ok {
			continue
		}
		offers.Go(func() {
			grants, err := w.ask(asking, offer)
			w.take(life, number, grants, ctx.Err() != nil)
			if err != nil && ctx.Err() == nil {
				if !errs.Is(err, errs.Timeout) && !errs.Is(err, errs.Busy) {
					w.parts.Log.Warn("no answer to the offer", "err", err)
				}
				pause(ctx, time.Second)
			}
			w.signal()
		})
	}
}

// withdrawal bounds how long a worker that stops waits for the answer to the
// offer it took back. A grant that comes later is lost with its lease.
const withdrawal = 2 * time.Second

// withdraw takes the standing offer back, so that nothing is granted to a
// worker that is going.
func (w *Worker) withdraw(ctx context.Context) {
	body, err := json.Marshal(job.Want{Schema: job.Schema, Worker: w.cfg.Name})
	if err == nil {
		err = w.parts.Queue.Publish(ctx, job.SubjectWant, body)
	}
	if err != nil {
		w.parts.Log.Warn("offer not withdrawn", "err", err)
	}
}

// offer describes what is free, if that is more than the standing offer says.
func (w *Worker) offer() (want job.Want, number int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	room := w.cfg.Most - len(w.running)
	// A little more memory is not worth a new offer, much more is.
	if room < 1 || (w.offered >= w.cores && w.memory <= max(2*w.spoken, 0)) {
		return want, 0, false
	}
	w.offered, w.spoken, w.latest = w.cores, w.memory, w.latest+1
	return job.Want{
		Schema: job.Schema, Worker: w.cfg.Name, Pools: w.cfg.Pools, Functions: w.functions,
		Cores: w.cores, Memory: w.memory, Most: room, Wait: w.cfg.Wait, Seen: w.seen,
	}, w.latest, true
}

func (w *Worker) ask(ctx context.Context, offer job.Want) (job.Grants, error) {
	var grants job.Grants
	body, err := json.Marshal(offer)
	if err != nil {
		return grants, err
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Wait+5*time.Second)
	defer cancel()
	reply, err := w.parts.Queue.Request(ctx, job.SubjectWant, body)
	if err != nil {
		return grants, err
	}
	return grants, json.Unmarshal(reply, &grants)
}

// take starts what was granted. A grant for which there is no room any more,
// because two offers crossed or the worker is stopping, is handed back.
func (w *Worker) take(life context.Context, number int, grants job.Grants, stopping bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if number == w.latest {
		w.offered = -1
	}
	w.seen += int64(len(grants.Grants))
	for _, g := range grants.Grants {
		a := &attempt{grant: g, cores: min(g.Job.Threads, g.Price.Cores), started: time.Now()}
		if stopping || a.cores > w.cores || g.Price.Memory > w.memory || len(w.running) >= w.cfg.Most {
			w.done.Go(func() { w.answer(life, a, job.Answer{Returned: true}) })
			continue
		}
		w.cores -= a.cores
		w.memory -= g.Price.Memory
		w.running[g.Job.Trace] = a
		ctx, cancel := context.WithCancelCause(life)
		a.cancel = cancel
		w.done.Go(func() { w.run(ctx, life, a) })
	}
	w.parts.Metrics.carries(w.cfg.Cores, w.cores, len(w.running))
}

func (w *Worker) release(a *attempt) {
	w.mu.Lock()
	delete(w.running, a.grant.Job.Trace)
	w.cores += a.cores
	w.memory += a.grant.Price.Memory
	w.parts.Metrics.carries(w.cfg.Cores, w.cores, len(w.running))
	w.mu.Unlock()
	w.signal()
}

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

func (w *Worker) stop(traces []string, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, trace := range traces {
		if a := w.running[trace]; a != nil {
			a.cancel(why)
		}
	}
}

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
