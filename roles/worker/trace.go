package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/span"
)

// begin begins an attempt's span, beneath its grant. What the attempt does
// comes beneath it, and its answer names it.
func (w *Worker) begin(ctx context.Context, a *attempt) (context.Context, *span.Span) {
	j := &a.grant.Job
	ctx, s := w.parts.Tracer.Begin(ctx, "attempt "+j.Fn, span.Options{Traceparent: a.grant.Traceparent, Kind: trace.SpanKindConsumer},
		attribute.String("work", a.grant.Work), attribute.Int("attempt", a.grant.Attempt), attribute.String("attempt.id", j.Trace),
		attribute.String("fn", j.Fn), attribute.String("tenant", a.grant.Tenant), attribute.Int("threads", j.Threads),
		attribute.String("worker", w.cfg.Name))
	a.traceparent = span.Traceparent(ctx)
	return ctx, s
}

// ended counts an attempt and logs it.
func (w *Worker) ended(ctx context.Context, a *attempt, o *job.Outcome, err error) {
	name, took, log := a.grant.Job.Fn, time.Since(a.started), w.parts.Log
	if err != nil || log.Enabled(ctx, slog.LevelDebug) { // ids cost, and thousands succeed a second
		log = log.With(task.Ids(a.grant.Work, a.grant.Job.Trace), "fn", name)
	}
	switch cause := context.Cause(ctx); {
	case err == nil && o.Pending:
		w.parts.Metrics.finished(name, "pending", nil)
		log.DebugContext(ctx, "attempt waits for an outside service")
	case err == nil:
		w.parts.Metrics.finished(name, "succeeded", &o.Usage)
		log.DebugContext(ctx, "attempt succeeded", "seconds", took.Seconds())
	case errors.Is(cause, errReturned):
		w.parts.Metrics.finished(name, "returned", nil)
		log.InfoContext(ctx, "attempt handed back")
	case errors.Is(cause, errLost), errors.Is(cause, errStopped):
		w.parts.Metrics.finished(name, "stopped", nil)
		log.InfoContext(ctx, "attempt stopped", "why", cause)
	default:
		w.parts.Metrics.finished(name, "failed", nil)
		log.InfoContext(ctx, "attempt failed", "seconds", took.Seconds(), "err", err)
	}
}
