package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// reference writes rows into a database of the same kind and does nothing
// else, by as many callers as the benchmark has clients.
func (b *control) reference(ctx context.Context, s *shape, r *ShapeReport) error {
	dir := filepath.Join(b.dir, "reference-"+s.name)
	cfg := app.Config{
		Data: dir, State: b.o.State, Queue: "mem", Roles: []string{"results"}, // opens the database, and is not run
		Most: 1, Lease: time.Minute, Tick: time.Second,
	}
	if cfg.State == "" {
		cfg.State = "sqlite:" + filepath.Join(dir, "reference.db")
	}
	a, err := app.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { _ = a.Close() }()
	if b.o.Rate > 0 {
		r.ReferenceAccept, err = b.inserts(ctx, s, a.Store(), min(r.Tasks, int(5*b.o.Rate)))
		return err
	}
	began := time.Now()
	err = each(ctx, r.Tasks, b.o.Clients, func(i int) error { return s.rows(ctx, a.Store(), b.run, i) })
	r.ReferenceRate = float64(r.Tasks) / time.Since(began).Seconds()
	return err
}

// inserts writes the row of a request at the pace requests are offered, and
// ends these tasks when all are measured.
func (b *control) inserts(ctx context.Context, s *shape, store *state.Store, n int) (*Latency, error) {
	due, took, tasks := make([]time.Time, n), make([]time.Duration, n), make([]task.Task, n)
	err := byClock(ctx, b.o.Rate, time.Now(), due, func(ctx context.Context, i int) (err error) {
		tasks[i], err = s.submit(ctx, store, b.run, i)
		took[i] = time.Since(due[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	all := latency(took)
	return &all, each(ctx, n, b.o.Clients, func(i int) error {
		tasks[i].State, tasks[i].EndedAt = task.Succeeded, time.Now()
		return store.Apply(ctx, []state.Change{{Task: &tasks[i]}})[0]
	})
}

func (s *shape) submit(ctx context.Context, store *state.Store, run string, i int) (task.Task, error) {
	t, _, err := store.Submit(ctx, task.Task{
		ID: task.NewID(), Tenant: "default", Flow: "reference", FlowVer: "1", CreatedAt: time.Now(),
		Request: task.Request{MsgID: fmt.Sprintf("reference-%s-%s-%d", run, s.name, i), Cmd: s.cmd, Priority: 5, Params: s.params},
	})
	return t, err
}

// rows writes what has to be written for one task: its row, then each round of
// its components as they begin, with the end of the round before and its
// traces, then the end.
func (s *shape) rows(ctx context.Context, store *state.Store, run string, i int) error {
	now := time.Now()
	t, err := s.submit(ctx, store, run, i)
	if err != nil {
		return err
	}
	var under []task.Work
	for round := 0; round <= len(s.rounds); round++ {
		t.State = task.Running
		change := state.Change{Task: &t}
		for _, w := range under {
			change.Update = append(change.Update, state.Guarded{Work: w.Done(now), Was: task.Running, Attempt: w.Attempt})
			if w.Trace != "" {
				change.Traces = append(change.Traces, state.Trace{
					ID: w.Trace, WorkID: w.ID, TaskID: t.ID, Attempt: w.Attempt, Worker: w.Worker, Outcome: "succeeded", StartedAt: now, EndedAt: now,
				})
			}
		}
		if round < len(s.rounds) {
			under = s.begin(&t, round, now)
			change.Insert = under
		} else {
			t.State, t.EndedAt = task.Succeeded, now
		}
		if err := store.Apply(ctx, []state.Change{change})[0]; err != nil {
			return err
		}
		t.Version++
	}
	return nil
}

// begin makes the rows of one round, granted in the commit that makes them.
func (s *shape) begin(t *task.Task, round int, now time.Time) []task.Work {
	row := func(id, component string, order int) task.Work {
		return task.Work{
			ID: id, TaskID: t.ID, Component: component, Order: order, Tenant: t.Tenant, Priority: 5, Pool: fn.CPU, Fn: "noop", FnVersion: "1",
			State: task.Running, Attempt: 1, Trace: task.NewID(), Worker: "reference", Price: fn.Price{CPUSeconds: 0.0001},
			Job:     json.RawMessage(`{"trace":"","fn":"noop","version":"1","params":{},"out":{"cloud":"local","bucket":"segments","prefix":"` + t.ID + `"}}`),
			Timeout: time.Minute, CreatedAt: now, StartedAt: now, LeaseTill: now.Add(time.Minute), Deadline: now.Add(time.Minute),
		}
	}
	var all []task.Work
	for k := range s.rounds[round] {
		component := fmt.Sprintf("C%d-%d", round, k)
		event := row(task.EventID(t.ID, component), component, -1)
		if s.fan > 0 { // the event itself waits for its segments and is computed by nobody
			event.Trace, event.Job, event.Attempt, event.Worker = "", nil, 0, ""
		}
		all = append(all, event)
		for order := range s.fan {
			all = append(all, row(task.SegmentID(event.ID, order), component, order))
		}
	}
	return all
}
