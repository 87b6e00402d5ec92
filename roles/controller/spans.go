package controller

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/span"
)

// decided records a decision on a task that has a trace, beneath the request
// and linked to the attempts whose answers led to it.
func decided(ctx context.Context, tracer *span.Tracer, t *task.Task, began time.Time, created int, answers []string) {
	if tracer == nil || t.Traceparent == "" {
		return
	}
	_, s := tracer.Begin(ctx, "decide", span.Options{Traceparent: t.Traceparent, Began: began, Links: answers},
		attribute.String("task", t.ID), attribute.String("state", string(t.State)), attribute.Int("created", created))
	s.End(nil)
}

// granted records that work with a trace went to a worker, as a span from when
// it was ready, and puts what the worker does beneath it.
func granted(ctx context.Context, tracer *span.Tracer, g *job.Grant, w *task.Work, ready time.Time) {
	if tracer == nil || g.Traceparent == "" {
		return
	}
	ctx, s := tracer.Begin(ctx, "grant", span.Options{Traceparent: g.Traceparent, Began: ready, Kind: trace.SpanKindProducer},
		attribute.String("task", w.TaskID), attribute.String("work", w.ID), attribute.Int("attempt", w.Attempt),
		attribute.String("fn", w.Fn), attribute.String("pool", string(w.Pool)), attribute.String("worker", w.Worker))
	g.Traceparent = span.Traceparent(ctx)
	s.End(nil)
}
