package ops

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel/trace"
)

// Of lines that say the same, calmBurst are printed in each calmWindow. The
// rest are counted: the next one printed says how many were left out.
const (
	calmWindow = 10 * time.Second
	calmBurst  = 20
	calmKinds  = 1024 // different messages that are told apart
)

// Calm keeps floods out of a log: a database that is away for a minute is not
// worth ten thousand lines. Debug lines are never left out. Lines written with
// a context that is part of a trace get its id.
func Calm(next slog.Handler, reg prometheus.Registerer) slog.Handler {
	return &calm{next: next, counts: &counts{
		kinds: map[kind]*count{},
		left: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "mediafn_log_suppressed_total", Help: "Lines left out of the log since they repeated others.",
		}, []string{"level"}),
	}}
}

type calm struct {
	next   slog.Handler
	counts *counts
}

// kind tells lines apart by level and message. Messages are constants; what
// varies is in their attributes.
type kind struct {
	level   slog.Level
	message string
}

type count struct {
	since   time.Time
	printed int
	left    int
}

type counts struct {
	left *prometheus.CounterVec

	mu    sync.Mutex
	kinds map[kind]*count
}

func (c *calm) Enabled(ctx context.Context, level slog.Level) bool { return c.next.Enabled(ctx, level) }

func (c *calm) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &calm{c.next.WithAttrs(attrs), c.counts}
}

func (c *calm) WithGroup(name string) slog.Handler { return &calm{c.next.WithGroup(name), c.counts} }

func (c *calm) Handle(ctx context.Context, r slog.Record) error {
	print, left := true, 0
	if r.Level > slog.LevelDebug {
		print, left = c.counts.take(kind{r.Level, r.Message}, r.Time)
	}
	if !print {
		c.counts.left.WithLabelValues(r.Level.String()).Inc()
		return nil
	}
	traced := trace.SpanContextFromContext(ctx)
	if left > 0 || traced.IsValid() {
		r = r.Clone()
	}
	if left > 0 {
		r.AddAttrs(slog.Int("left_out", left))
	}
	if traced.IsValid() {
		r.AddAttrs(slog.String("trace_id", traced.TraceID().String()))
	}
	return c.next.Handle(ctx, r)
}

// take says whether a line is printed, and how many like it were not.
func (c *counts) take(k kind, now time.Time) (print bool, left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.kinds[k]
	if n == nil {
		if len(c.kinds) >= calmKinds {
			clear(c.kinds)
		}
		n = &count{since: now}
		c.kinds[k] = n
	}
	if now.Sub(n.since) >= calmWindow {
		left = n.left
		*n = count{since: now}
	}
	if n.printed >= calmBurst {
		n.left++
		return false, 0
	}
	n.printed++
	return true, left
}
