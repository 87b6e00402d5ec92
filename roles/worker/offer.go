package worker

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/roles/worker/load"
)

func (w *Worker) signal() {
	select {
	case w.freed <- struct{}{}:
	default:
	}
}

// want keeps one offer standing that says what the machine can carry now.
// Offers that wait for grants do so on their own; a newer offer ends the older.
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

// offer describes what the machine can carry, if the standing offer says
// something else.
func (w *Worker) offer() (want job.Want, number int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	want = w.room()
	if want.Most < 1 || (w.offered != nil && !differs(w.offered, &want)) {
		return want, 0, false
	}
	w.offered = &want
	w.latest++
	return want, w.latest, true
}

// differs reports whether a new offer is worth sending. A little more or less
// memory is not, twice as much or half is.
func differs(old, now *job.Want) bool {
	return old.Cores != now.Cores || old.GPU != now.GPU || old.Total.Cores != now.Total.Cores ||
		now.Memory > 2*old.Memory || now.Memory < old.Memory/2 ||
		!maps.Equal(old.Kinds, now.Kinds) || !slices.Equal(old.Groups, now.Groups)
}

// room is what the machine can carry now: what the books say is free, or less
// if others use the machine. The caller holds the lock.
func (w *Worker) room() job.Want {
	groups, counts, cards := w.carried()
	want := job.Want{
		Schema: job.Schema, Worker: w.cfg.Name, Pools: w.cfg.Pools, Functions: w.functions, Sizes: w.cfg.Sizes,
		Cores: w.cores, Memory: w.memory, GPU: w.cfg.GPU - cards, Most: w.cfg.Most - len(w.running),
		Groups: groups, Total: job.Room{Cores: w.cfg.Cores, Memory: w.cfg.Memory, GPU: w.cfg.GPU}, Owns: w.cfg.Cores,
		Load: w.measured.Load, Wait: w.cfg.Wait, Seen: w.seen,
	}
	if len(w.cfg.Kinds) > 0 {
		want.Kinds = make(map[media.Kind]int, len(w.cfg.Kinds))
		for kind, most := range w.cfg.Kinds {
			want.Kinds[kind] = max(most-counts[kind], 0)
		}
	}
	if w.parts.Measure == nil {
		return want
	}
	m := &w.measured
	// One core at least counts as ours: beside a load that never ends, a worker
	// that refused everything would never work, and one attempt at a time has its
	// share of the machine by the scheduler.
	want.Total.Cores = min(w.cfg.Cores, max(m.Room, 1))
	want.Cores = max(min(w.cores, want.Total.Cores-(w.cfg.Cores-w.cores)), 0)
	// Attempts that run will still grow to what they are priced.
	growth := max(w.cfg.Memory-w.memory-m.Tools, 0)
	want.Memory = max(min(w.memory, m.Memory-growth), 0)
	want.Total.Memory = min(w.cfg.Memory, m.Memory+m.Tools)
	if m.Tight {
		want.Cores, want.Memory = 0, 0
	}
	return want
}

// carried sums what runs: fan-outs, media by kind, cards.
func (w *Worker) carried() (groups []string, counts map[media.Kind]int, cards int) {
	counts = map[media.Kind]int{}
	for _, a := range w.running {
		cards += a.grant.Price.GPU
		if a.cores == 0 {
			continue
		}
		task, name, segment := component(a.grant.Work)
		if segment == "" {
			counts[a.grant.Kind]++
			continue
		}
		if group := task + "_" + name; !slices.Contains(groups, group) {
			groups = append(groups, group)
			counts[a.grant.Kind]++
		}
	}
	slices.Sort(groups)
	return groups, counts, cards
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

// take starts what was granted. A grant the books have no room for any more,
// because two offers crossed or the worker is stopping, is handed back. One
// beyond a bound by kind is carried: it only delays the others.
func (w *Worker) take(life context.Context, number int, grants job.Grants, stopping bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if number == w.latest {
		w.offered = nil
	}
	w.seen += int64(len(grants.Grants))
	_, _, cards := w.carried()
	for _, g := range grants.Grants {
		a := &attempt{grant: g, cores: min(g.Job.Threads, g.Price.Cores), started: time.Now()}
		if stopping || a.cores > w.cores || g.Price.Memory > w.memory || len(w.running) >= w.cfg.Most || cards+g.Price.GPU > max(w.cfg.GPU, 0) {
			w.done.Go(func() { w.answer(life, a, job.Answer{Returned: true}) })
			continue
		}
		w.cores -= a.cores
		w.memory -= g.Price.Memory
		cards += g.Price.GPU
		w.running[g.Job.Trace] = a
		ctx, cancel := context.WithCancelCause(life)
		a.cancel = cancel
		if w.stopped.has(g.Job.Trace) {
			cancel(errStopped)
		}
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

// meter measures the machine as long as the worker lives.
func (w *Worker) meter(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.measure(w.parts.Measure())
		}
	}
}

func (w *Worker) measure(s load.State) {
	w.parts.Metrics.measured(s.Load)
	w.mu.Lock()
	w.measured = s
	w.mu.Unlock()
	w.signal() // the standing offer may promise too much, or too little
}
