package bench

import (
	"context"
	"runtime"
	"time"

	"github.com/mediafn/mediafn/app"
)

// WaitingReport tells how a mediafn without a worker takes tasks that pile up.
type WaitingReport struct {
	Tasks          int           `json:"tasks"`
	Clients        int           `json:"clients"`
	ResidentMiB    float64       `json:"resident_mib"` // before the first
	HeapMiB        float64       `json:"heap_mib"`     // live, after a collection
	Steps          []WaitingStep `json:"steps"`
	DecidedSeconds float64       `json:"decided_seconds"` // from the first until all are decided and wait for a worker
	After          WaitingMemory `json:"after"`           // then
	MaxResidentMiB float64       `json:"max_resident_mib"`
}

// WaitingStep is a tenth of the tasks.
type WaitingStep struct {
	Tasks        int     `json:"tasks"` // so far
	AcceptedRate float64 `json:"accepted_per_second"`
	Accept       Latency `json:"accept"`
	WaitingMemory
}

// WaitingMemory is what the process holds.
type WaitingMemory struct {
	ResidentMiB float64 `json:"resident_mib"`
	HeapMiB     float64 `json:"heap_mib"`
}

// waiting queues tasks while no worker is there.
func (b *control) waiting(ctx context.Context) (*WaitingReport, error) {
	r := &WaitingReport{Tasks: b.o.Waiting, Clients: b.o.Clients}
	return r, b.with(ctx, "waiting", []string{"gateway", "controller", "results"}, func(ctx context.Context, a *app.App) error {
		return b.pile(ctx, a, r)
	})
}

func (b *control) pile(ctx context.Context, a *app.App, r *WaitingReport) error {
	one, err := shapeOf("one")
	if err != nil {
		return err
	}
	resetPeak()
	before := memory()
	r.ResidentMiB, r.HeapMiB = before.ResidentMiB, before.HeapMiB
	began := time.Now()
	for sent := 0; sent < r.Tasks; {
		n := min((r.Tasks+9)/10, r.Tasks-sent)
		l := b.load(a.Address(), &one, n, 0)
		body := l.body
		l.body = func(i int) ([]byte, error) { return body(sent + i) }
		if err := l.send(ctx); err != nil {
			return err
		}
		step := WaitingStep{AcceptedRate: float64(n) / time.Since(l.began).Seconds(), Accept: latency(l.took)}
		sent += n
		step.Tasks, step.WaitingMemory = sent, memory()
		r.Steps = append(r.Steps, step)
	}
	if err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
		queued, err := a.Store().Queued(ctx, time.Now().Add(time.Hour), 1)
		return len(queued) == 0, err
	}); err != nil {
		return err
	}
	r.DecidedSeconds = time.Since(began).Seconds()
	r.After, r.MaxResidentMiB = memory(), peak()
	return nil
}

func memory() WaitingMemory {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return WaitingMemory{ResidentMiB: resident(), HeapMiB: float64(m.HeapAlloc) / (1 << 20)}
}
