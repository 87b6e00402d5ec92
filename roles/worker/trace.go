package worker

import (
	"context"
	"errors"
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
	name := a.grant.Job.Fn
	ids, took := task.Ids(a.grant.Work, a.grant.Job.Trace), time.Since(a.started)
	switch cause := context.Cause(ctx); {
	case err == nil && o.Pending:
		w.parts.Metrics.finished(name, "pending", nil)
		w.parts.Log.DebugContext(ctx, "attempt waits for an outside service", ids, "fn", name)
	case err == nil:
		w.parts.Metrics.finished(name, "succeeded", &o.Usage)
		w.parts.Log.DebugContext(ctx, "attempt succeeded", ids, "fn", name, "seconds", took.Seconds())
	case errors.Is(cause, errReturned):
		w.parts.Metrics.finished(name, "returned", nil)
		w.parts.Log.InfoContext(ctx, "attempt handed back", ids, "fn", name)
	case errors.Is(cause, errLost), errors.Is(cause, errStopped):
		w.parts.Metrics.finished(name, "stopped", nil)
		w.parts.Log.InfoContext(ctx, "attempt stopped", ids, "fn", name, "why", cause)
	default:
		w.parts.Metrics.finished(name, "failed", nil)
		w.parts.Log.InfoContext(ctx, "attempt failed", ids, "fn", name, "seconds", took.Seconds(), "err", err)
	}
}
