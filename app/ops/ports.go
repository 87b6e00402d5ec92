package ops

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/exec"
	"github.com/mediafn/mediafn/exec/gate"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/tools/engine"
)

// brief are the buckets of what takes milliseconds.
var brief = prometheus.ExponentialBuckets(.00025, 2, 16)

// Queue returns what a queue.Config is to observe with.
func Queue(reg prometheus.Registerer) func(op string, msgs int, took time.Duration, err error) {
	r := promauto.With(reg)
	ops := r.NewCounterVec(prometheus.CounterOpts{
		Name: "mediafn_queue_operations_total", Help: "Operations on the queue, by how they ended.",
	}, []string{"op", "outcome"})
	messages := r.NewCounterVec(prometheus.CounterOpts{
		Name: "mediafn_queue_messages_total", Help: "Messages those operations moved.",
	}, []string{"op"})
	seconds := r.NewHistogramVec(prometheus.HistogramOpts{
		Name: "mediafn_queue_seconds", Help: "Time of operations that wait for nobody: publish, append.", Buckets: brief,
	}, []string{"op"})
	return func(op string, msgs int, took time.Duration, err error) {
		ops.WithLabelValues(op, outcome(err)).Inc()
		messages.WithLabelValues(op).Add(float64(msgs))
		if op == "publish" || op == "append" {
			seconds.WithLabelValues(op).Observe(took.Seconds())
		}
	}
}

func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	return errs.KindOf(err).String()
}

// Commits has a store's group commits counted.
func Commits(reg prometheus.Registerer, store *state.Store) {
	r := promauto.With(reg)
	seconds := r.NewHistogram(prometheus.HistogramOpts{
		Name: "mediafn_commit_seconds", Help: "Group commits, with the disk's or the server's sync.", Buckets: brief,
	})
	writes := r.NewHistogram(prometheus.HistogramOpts{
		Name: "mediafn_commit_writes", Help: "Callers that shared a group commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 9),
	})
	statements := r.NewCounter(prometheus.CounterOpts{
		Name: "mediafn_commit_statements_total", Help: "Statements of committed transactions.",
	})
	failed := r.NewCounter(prometheus.CounterOpts{
		Name: "mediafn_commits_failed_total", Help: "Group commits the database did not take.",
	})
	store.Watch(func(c state.Commit) {
		if c.Err != nil {
			failed.Inc()
			return
		}
		seconds.Observe(c.Took.Seconds())
		writes.Observe(float64(c.Writes))
		statements.Add(float64(c.Statements))
	})
}

// Outbox watches what waits in a store's outbox.
type Outbox struct {
	store         *state.Store
	log           *slog.Logger
	posts, oldest *prometheus.GaugeVec
}

// NewOutbox registers the outbox's metrics. Every process with the database
// reports the same numbers: take their maximum.
func NewOutbox(reg prometheus.Registerer, store *state.Store, log *slog.Logger) *Outbox {
	r := promauto.With(reg)
	return &Outbox{
		store: store, log: log,
		posts: r.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mediafn_outbox_posts", Help: "Posts in the outbox: what must still happen because of ended tasks.",
		}, []string{"kind"}),
		oldest: r.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mediafn_outbox_oldest_seconds", Help: "Age of the oldest post in the outbox.",
		}, []string{"kind"}),
	}
}

const outboxEvery = 10 * time.Second

// Run counts until ctx ends. Scrapes read the last count, not the database.
func (o *Outbox) Run(ctx context.Context) {
	ticker := time.NewTicker(outboxEvery)
	defer ticker.Stop()
	for {
		o.count(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (o *Outbox) count(ctx context.Context) {
	all, err := o.store.Backlog(ctx)
	if err != nil {
		if ctx.Err() == nil {
			o.log.Warn("outbox not counted", "err", err)
		}
		return
	}
	for _, kind := range []state.PostKind{state.Webhook, state.Sweep, state.Result} {
		b, age := all[kind], time.Duration(0)
		if b.Posts > 0 {
			age = max(time.Since(b.Oldest), 0)
		}
		o.posts.WithLabelValues(string(kind)).Set(float64(b.Posts))
		o.oldest.WithLabelValues(string(kind)).Set(age.Seconds())
	}
}

// Gate has the blob gate's counts scraped.
func Gate(reg prometheus.Registerer, stats func() gate.Stats) {
	r := promauto.With(reg)
	for _, c := range []struct {
		name, help string
		value      func(gate.Stats) int64
	}{
		{"mediafn_gate_fetched_bytes_total", "Bytes the blob gate read from stores and servers.", func(s gate.Stats) int64 { return s.Fetched }},
		{"mediafn_gate_fetches_total", "Blocks the blob gate read.", func(s gate.Stats) int64 { return s.Fetches }},
		{"mediafn_gate_hits_total", "Blocks the blob gate had in memory.", func(s gate.Stats) int64 { return s.Hits }},
		{"mediafn_gate_served_bytes_total", "Bytes the blob gate handed out.", func(s gate.Stats) int64 { return s.Served }},
	} {
		r.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help}, func() float64 { return float64(c.value(stats())) })
	}
}

// Reuse has an executor's counts of files used again scraped.
func Reuse(reg prometheus.Registerer, stats func() exec.Reuse) {
	r := promauto.With(reg)
	for _, c := range []struct {
		name, help string
		value      func(exec.Reuse) int64
	}{
		{"mediafn_slice_cache_hits_total", "Files of earlier attempts that were used instead of being computed.", func(s exec.Reuse) int64 { return s.Hits }},
		{"mediafn_slice_cache_misses_total", "Files that were looked for and computed.", func(s exec.Reuse) int64 { return s.Misses }},
		{"mediafn_slice_cache_kept_total", "Files left for later attempts.", func(s exec.Reuse) int64 { return s.Kept }},
	} {
		r.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help}, func() float64 { return float64(c.value(stats())) })
	}
}

// Engine has an engine pool's counts scraped.
func Engine(reg prometheus.Registerer, stats func() engine.Stats) {
	r := promauto.With(reg)
	for _, g := range []struct {
		name, help string
		value      func(engine.Stats) int
	}{
		{"mediafn_engine_children", "Engine processes alive.", func(s engine.Stats) int { return s.Children }},
		{"mediafn_engine_busy", "Engine processes with a request.", func(s engine.Stats) int { return s.Busy }},
		{"mediafn_engine_waiting", "Requests without an engine process.", func(s engine.Stats) int { return s.Waiting }},
	} {
		r.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, func() float64 { return float64(g.value(stats())) })
	}
	for _, c := range []struct {
		name, help string
		value      func(engine.Stats) int64
	}{
		{"mediafn_engine_requests_total", "Requests engine processes answered, refusals included.", func(s engine.Stats) int64 { return s.Served }},
		{"mediafn_engine_died_total", "Engine processes lost or killed during a request.", func(s engine.Stats) int64 { return s.Died }},
		{"mediafn_engine_recycled_total", "Engine processes replaced on schedule.", func(s engine.Stats) int64 { return s.Recycled }},
	} {
		r.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help}, func() float64 { return float64(c.value(stats())) })
	}
}
