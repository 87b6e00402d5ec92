// Package bench measures mediafn, always beside a reference in the same run.
package bench

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
)

// ControlOptions sets the load of Control.
type ControlOptions struct {
	Shapes    []string // of Shapes
	Tasks     int      // of each shape; 0 = what suits the shape
	Clients   int      // connections
	Rate      float64  // tasks offered a second; 0 = as fast as they are accepted
	Callbacks int      // every so many tasks one has a callback; 0 = none
	Waiting   int      // measure so many tasks queued without a worker, instead
	Dir       string   // on the disk to be measured; empty = the system's temporary folder
	State     string   // database, as serve takes it; empty = SQLite in Dir
	Queue     string   // messages, as serve takes them; empty = embedded
	Profiles  Profiles
}

// ControlReport is what Control measured.
type ControlReport struct {
	State   string         `json:"state"` // kind of database
	Queue   string         `json:"queue"`
	Shapes  []ShapeReport  `json:"shapes,omitempty"`
	Waiting *WaitingReport `json:"waiting,omitempty"`
}

// ShapeReport is what one shape of task gave. Rates are per second.
type ShapeReport struct {
	Shape         string          `json:"shape"`
	What          string          `json:"what"`
	Tasks         int             `json:"tasks"`
	Units         int             `json:"units_per_task"` // components or segments
	Clients       int             `json:"clients"`
	OfferedRate   float64         `json:"offered_per_second,omitempty"`
	AcceptedRate  float64         `json:"accepted_per_second"`
	CompletedRate float64         `json:"completed_per_second"`
	UnitRate      float64         `json:"units_per_second"`
	DoneSeconds   float64         `json:"done_seconds"`
	Accept        Latency         `json:"accept"`
	End           *Latency        `json:"end_to_end,omitempty"` // where load is offered by the clock
	Callbacks     *CallbackReport `json:"callbacks,omitempty"`
	ReferenceRate float64         `json:"reference_per_second,omitempty"` // tasks whose rows alone are written
	// ReferenceAccept is how long writing a request's row takes, offered by the
	// same clock.
	ReferenceAccept *Latency `json:"reference_accept,omitempty"`
	// Ratio is completed ÷ reference; by the clock, accept's median ÷ reference's.
	Ratio          float64 `json:"ratio"`
	CPUPerTaskMs   float64 `json:"cpu_per_task_ms"`
	MaxResidentMiB float64 `json:"max_resident_mib"`
}

// CallbackReport tells of the tasks that had a callback.
type CallbackReport struct {
	Expected    int      `json:"expected"`
	Twice       int      `json:"twice"`
	DoneSeconds float64  `json:"done_seconds"`         // until the last had arrived
	End         *Latency `json:"end_to_end,omitempty"` // where load is offered by the clock
}

// Control sends tasks of functions that do nothing over HTTP to a mediafn in
// this process, with full durability, and waits until the end of every one is
// in the rows and every callback has arrived. The reference writes the rows
// such tasks need into the same kind of database, group committed, and nothing
// else.
func Control(ctx context.Context, o ControlOptions) (_ *ControlReport, err error) {
	dir, err := os.MkdirTemp(o.Dir, "mediafn-bench-")
	if err != nil {
		return nil, errs.As(errs.Internal, "bench", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &control{o: o, dir: dir, run: task.NewID()}
	if b.receiver, err = receive(); err != nil {
		return nil, err
	}
	defer b.receiver.close()
	if err := writeFlows(b.flows()); err != nil {
		return nil, err
	}
	r := &ControlReport{State: kind(o.State, "sqlite"), Queue: kind(o.Queue, "embedded")}
	if o.Waiting > 0 {
		r.Waiting, err = b.waiting(ctx)
		return r, err
	}
	for _, name := range o.Shapes {
		s, err := shapeOf(name)
		if err != nil {
			return nil, err
		}
		one, err := b.shape(ctx, &s)
		if err != nil {
			return nil, errs.Wrap(name, err)
		}
		r.Shapes = append(r.Shapes, *one)
	}
	return r, nil
}

// kind is the technology of an address, which may hold a password.
func kind(address, otherwise string) string {
	scheme, _, _ := strings.Cut(address, ":")
	if scheme == "" {
		return otherwise
	}
	return scheme
}

type control struct {
	o        ControlOptions
	dir      string
	run      string // tells this run's tasks from those of earlier ones in the same database
	receiver *receiver
}

func (b *control) flows() string { return filepath.Join(b.dir, "flows") }

// with opens a mediafn with the given roles and runs it while do does. If the
// mediafn ends before do does, do's context ends too.
func (b *control) with(ctx context.Context, name string, roles []string, do func(context.Context, *app.App) error) error {
	a, err := app.Open(ctx, app.Config{
		Data: filepath.Join(b.dir, name), Listen: "127.0.0.1:0", Roles: roles, State: b.o.State, Queue: b.o.Queue,
		Flows: b.flows(), EgressAllow: []string{"127.0.0.1"}, Most: 256, Lease: 15 * time.Second, Tick: time.Second, Grace: 10 * time.Second,
	}, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return err
	}
	running, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- a.Run(running)
		end()
	}()
	err = do(running, a)
	end()
	if e := <-ended; e != nil { // then it is why do failed
		err = e
	}
	if e := a.Close(); err == nil {
		err = e
	}
	return err
}

func (b *control) shape(ctx context.Context, s *shape) (r *ShapeReport, err error) {
	tasks := b.o.Tasks
	if tasks == 0 {
		tasks = s.tasks
	}
	r = &ShapeReport{Shape: s.name, What: s.what, Tasks: tasks, Units: s.units(), Clients: b.o.Clients, OfferedRate: b.o.Rate}
	if err := b.reference(ctx, s, r); err != nil {
		return nil, errs.Wrap("reference", err)
	}
	err = b.with(ctx, s.name, []string{"gateway", "controller", "worker", "results"}, func(ctx context.Context, a *app.App) error {
		return b.measure(ctx, a, s, r)
	})
	if r.ReferenceAccept != nil {
		r.Ratio = r.Accept.P50 / r.ReferenceAccept.P50
	} else {
		r.Ratio = r.CompletedRate / r.ReferenceRate
	}
	return r, err
}

func (b *control) measure(ctx context.Context, a *app.App, s *shape, r *ShapeReport) error {
	if err := b.warm(ctx, a, s); err != nil {
		return err
	}
	already, err := a.Store().Count(ctx, task.Succeeded)
	if err != nil {
		return err
	}
	b.receiver.forget()
	var seen *ends
	if b.o.Rate > 0 {
		if seen, err = watchEnds(ctx, a.Queue()); err != nil {
			return err
		}
		defer seen.sub.Close()
	}
	l := b.load(a.Address(), s, r.Tasks, b.o.Callbacks)
	stop, err := b.o.Profiles.start(s.name, len(b.o.Shapes) > 1)
	if err != nil {
		return err
	}
	resetPeak()
	before := cpuSeconds()
	if err := l.send(ctx); err != nil {
		return err
	}
	r.AcceptedRate = float64(r.Tasks) / time.Since(l.began).Seconds()
	if err := poll(ctx, 20*time.Millisecond, func() (bool, error) { return idle(ctx, a) }); err != nil {
		return err
	}
	r.DoneSeconds = time.Since(l.began).Seconds()
	r.CPUPerTaskMs = (cpuSeconds() - before) * 1000 / float64(r.Tasks)
	r.CompletedRate = float64(r.Tasks) / r.DoneSeconds
	r.UnitRate = r.CompletedRate * float64(r.Units)
	r.Accept = latency(l.took)
	if err := stop(); err != nil {
		return err
	}
	if err := b.callbacks(ctx, l, r); err != nil {
		return err
	}
	r.MaxResidentMiB = peak()
	if seen != nil {
		end := latency(l.until(func(i int) (time.Time, bool) { return seen.of(l.ids[i]) }))
		r.End = &end
	}
	done, err := a.Store().Count(ctx, task.Succeeded)
	if err == nil && done-already != r.Tasks {
		err = errs.New(errs.Internal, "bench", "%d of %d tasks succeeded", done-already, r.Tasks)
	}
	return err
}

// warm sends some tasks before the first that counts: a mediafn that has just
// started still shares out its duties, and has no statement prepared.
func (b *control) warm(ctx context.Context, a *app.App, s *shape) error {
	l := load{address: a.Address(), tasks: b.o.Clients, clients: b.o.Clients, body: func(i int) ([]byte, error) {
		return s.body("warm-"+b.run, i, "")
	}}
	if err := l.send(ctx); err != nil {
		return err
	}
	return poll(ctx, 20*time.Millisecond, func() (bool, error) { return idle(ctx, a) })
}

// load prepares the requests of a run, every so many with a callback.
func (b *control) load(address string, s *shape, tasks, callbacks int) *load {
	return &load{address: address, tasks: tasks, clients: b.o.Clients, rate: b.o.Rate, body: func(i int) ([]byte, error) {
		notify := ""
		if callbacks > 0 && i%callbacks == 0 {
			notify = b.receiver.url(s.name, i)
		}
		return s.body(b.run, i, notify)
	}}
}

// callbacks waits for those that were asked for.
func (b *control) callbacks(ctx context.Context, l *load, r *ShapeReport) error {
	if b.o.Callbacks < 1 {
		return nil
	}
	c := &CallbackReport{Expected: (r.Tasks + b.o.Callbacks - 1) / b.o.Callbacks}
	if err := poll(ctx, 5*time.Millisecond, func() (bool, error) { return b.receiver.count() >= c.Expected, nil }); err != nil {
		return err
	}
	b.receiver.mu.Lock()
	defer b.receiver.mu.Unlock()
	c.Twice, c.DoneSeconds = b.receiver.twice, b.receiver.last.Sub(l.began).Seconds()
	if b.o.Rate > 0 {
		end := latency(l.until(func(i int) (time.Time, bool) { at, ok := b.receiver.came[i]; return at, ok }))
		c.End = &end
	}
	r.Callbacks = c
	return nil
}

// idle reports whether no task is under way. It looks for one instead of
// counting, which would cost more the more there are.
func idle(ctx context.Context, a *app.App) (bool, error) {
	queued, err := a.Store().Queued(ctx, time.Now().Add(time.Hour), 1)
	if err != nil || len(queued) > 0 {
		return false, err
	}
	live, err := a.Store().Live(ctx, "", 1)
	return len(live) == 0, err
}
