// Package bench measures mediafn, always beside a reference in the same run.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/ports/state/sqlite"
)

// ControlOptions sets the load of Control.
type ControlOptions struct {
	Tasks   int
	Clients int
	Dir     string // on the disk to be measured; empty = the system's temporary folder
}

// ControlReport is what Control measured. Rates are per second.
type ControlReport struct {
	Tasks          int     `json:"tasks"`
	Clients        int     `json:"clients"`
	AcceptedRate   float64 `json:"accepted_per_second"`
	CompletedRate  float64 `json:"completed_per_second"`
	AcceptP50      float64 `json:"accept_p50_ms"`
	AcceptP99      float64 `json:"accept_p99_ms"`
	DoneSeconds    float64 `json:"done_seconds"`
	ReferenceRate  float64 `json:"reference_per_second"` // rows alone: insert, event, end, through the same store
	Ratio          float64 `json:"ratio"`                // completed ÷ reference
	CPUPerTaskMs   float64 `json:"cpu_per_task_ms"`
	MaxResidentMiB float64 `json:"max_resident_mib"`
}

// Control sends one-component tasks of a function that does nothing over HTTP
// to a mediafn in this process, with full durability, and waits until the end
// of every one is recorded. The reference writes the rows such a task needs
// into the same kind of database, group committed, and nothing else.
func Control(ctx context.Context, o ControlOptions) (*ControlReport, error) {
	dir, err := os.MkdirTemp(o.Dir, "mediafn-bench-")
	if err != nil {
		return nil, errs.As(errs.Internal, "bench", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r := &ControlReport{Tasks: o.Tasks, Clients: o.Clients}
	if r.ReferenceRate, err = reference(ctx, filepath.Join(dir, "reference.db"), o); err != nil {
		return nil, err
	}
	cfg := app.Config{
		Data: filepath.Join(dir, "data"), Listen: "127.0.0.1:0", Roles: []string{"gateway", "controller", "worker", "results"},
		Most: 256, Lease: 15 * time.Second, Tick: time.Second, Grace: 10 * time.Second,
	}
	a, err := app.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	var roles errgroup.Group
	roles.Go(func() error { return a.Run(running) })
	before := cpuSeconds()
	err = r.load(ctx, a.Address(), a.Count, o)
	r.CPUPerTaskMs = (cpuSeconds() - before) * 1000 / float64(o.Tasks)
	r.MaxResidentMiB = maxResident()
	stop()
	if e := roles.Wait(); err == nil {
		err = e
	}
	if e := a.Close(); err == nil {
		err = e
	}
	r.Ratio = r.CompletedRate / r.ReferenceRate
	return r, err
}

func (r *ControlReport) load(ctx context.Context, address string, count func(context.Context, task.State) (int, error), o ControlOptions) error {
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: o.Clients, DialContext: (&net.Dialer{}).DialContext,
	}}
	defer client.CloseIdleConnections()
	took := make([]time.Duration, o.Tasks)
	var next atomic.Int64
	began := time.Now()
	var clients errgroup.Group
	for range o.Clients {
		clients.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= o.Tasks {
					return nil
				}
				start := time.Now()
				if err := submit(ctx, client, address, i); err != nil {
					return err
				}
				took[i] = time.Since(start)
			}
		})
	}
	if err := clients.Wait(); err != nil {
		return err
	}
	r.AcceptedRate = float64(o.Tasks) / time.Since(began).Seconds()
	for {
		n, err := count(ctx, task.Succeeded)
		if err != nil {
			return err
		}
		if n >= o.Tasks {
			break
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.DoneSeconds = time.Since(began).Seconds()
	r.CompletedRate = float64(o.Tasks) / r.DoneSeconds
	slices.Sort(took)
	ms := func(q float64) float64 { return took[int(q*float64(len(took)-1))].Seconds() * 1000 }
	r.AcceptP50, r.AcceptP99 = ms(0.50), ms(0.99)
	return nil
}

func submit(ctx context.Context, client *http.Client, address string, i int) error {
	body, err := json.Marshal(api.Submit{Cmd: "noop", MsgID: fmt.Sprintf("bench-%d", i)})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/v1/tasks", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return errs.As(errs.Transient, "bench", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusAccepted {
		return errs.New(errs.Internal, "bench", "task %d: status %d: %s", i, resp.StatusCode, text)
	}
	return nil
}

// reference commits the three writes of a one-component task for every task,
// by as many callers as the benchmark has clients.
func reference(ctx context.Context, path string, o ControlOptions) (float64, error) {
	d, err := sqlite.Open(path)
	if err != nil {
		return 0, err
	}
	store, err := state.New(ctx, d)
	if err != nil {
		return 0, err
	}
	defer func() { _ = store.Close() }()
	began := time.Now()
	var next atomic.Int64
	var failed sync.Once
	var first error
	var callers sync.WaitGroup
	for range o.Clients {
		callers.Go(func() {
			for i := next.Add(1); i <= int64(o.Tasks); i = next.Add(1) {
				if err := rows(ctx, store, i); err != nil {
					failed.Do(func() { first = err })
					return
				}
			}
		})
	}
	callers.Wait()
	return float64(o.Tasks) / time.Since(began).Seconds(), first
}

func rows(ctx context.Context, store *state.Store, i int64) error {
	now := time.Now()
	t, _, err := store.Submit(ctx, task.Task{
		ID: task.NewID(), Tenant: "default", Flow: "single", FlowVer: "1", CreatedAt: now,
		Request: task.Request{MsgID: fmt.Sprint(i), Cmd: "noop", Params: json.RawMessage("{}")},
	})
	if err != nil {
		return err
	}
	w := task.Work{ID: task.EventID(t.ID, "Run"), TaskID: t.ID, Component: "Run", Order: -1, State: task.Running, CreatedAt: now}
	t.State = task.Running
	if err := store.Apply(ctx, []state.Change{{Task: &t, Insert: []task.Work{w}}})[0]; err != nil {
		return err
	}
	t.Version++
	t.State = task.Succeeded
	done := w.Done(now)
	return store.Apply(ctx, []state.Change{{Task: &t, Update: []state.Guarded{{Work: done, Was: task.Running}}}})[0]
}
