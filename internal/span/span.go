// Package span times the steps of a request and joins them to one trace over
// all processes that had a part in it. Between processes the W3C traceparent
// travels in headers, rows and messages.
//
// There is no global provider. A role begins spans with the Tracer it was
// given; what works beneath it takes the tracer from its context. Without an
// exporter nothing is recorded and nothing costs, but a caller's traceparent is
// still carried through.
package span

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/mediafn/mediafn/core/errs"
)

const scope = "github.com/mediafn/mediafn"

// header is the name of the W3C header and of the field in messages.
const header = "traceparent"

// Tracer begins spans of one process. A nil Tracer begins none.
type Tracer struct{ t trace.Tracer }

// New returns a tracer over a provider.
func New(p trace.TracerProvider) *Tracer { return &Tracer{p.Tracer(scope)} }

// Options of a span that does not simply begin now and here.
type Options struct {
	Traceparent string // of the step that asked for this one, in another process
	Kind        trace.SpanKind
	Began       time.Time // zero = now
	Links       []string  // traceparents of other steps that led here
}

// Begin begins a span under o.Traceparent, or under ctx if that is empty, or
// else as a trace of its own.
func (t *Tracer) Begin(ctx context.Context, name string, o Options, attrs ...attribute.KeyValue) (context.Context, *Span) {
	ctx = Remote(ctx, o.Traceparent)
	if t == nil {
		return ctx, nil
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(o.Kind), trace.WithAttributes(attrs...)}
	if !o.Began.IsZero() {
		options = append(options, trace.WithTimestamp(o.Began))
	}
	for _, link := range o.Links {
		if sc := parse(link); sc.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: sc}))
		}
	}
	ctx, s := t.t.Start(ctx, name, options...)
	return ctx, &Span{s}
}

// Step begins a span beneath the one ctx carries, if that is recorded.
func Step(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, *Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, nil
	}
	ctx, s := parent.TracerProvider().Tracer(scope).Start(ctx, name, trace.WithAttributes(attrs...))
	return ctx, &Span{s}
}

// Span is one step under way. A nil Span does nothing.
type Span struct{ s trace.Span }

// Set adds attributes.
func (s *Span) Set(attrs ...attribute.KeyValue) {
	if s != nil {
		s.s.SetAttributes(attrs...)
	}
}

// End ends the span. An error makes it a failed one, with the error's kind.
func (s *Span) End(err error) {
	if s == nil {
		return
	}
	if err != nil {
		s.s.SetAttributes(attribute.String("error.type", errs.KindOf(err).String()))
		s.s.SetStatus(codes.Error, err.Error())
	}
	s.s.End()
}

// Traceparent is what to send on so that the receiver's spans come beneath
// those of ctx; empty without any.
func Traceparent(ctx context.Context) string {
	c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, c)
	return c[header]
}

// Remote returns ctx beneath a step of another process. What is no W3C
// traceparent is ignored.
func Remote(ctx context.Context, traceparent string) context.Context {
	if sc := parse(traceparent); sc.IsValid() {
		return trace.ContextWithRemoteSpanContext(ctx, sc)
	}
	return ctx
}

func parse(traceparent string) trace.SpanContext {
	if traceparent == "" {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{header: traceparent})
	return trace.SpanContextFromContext(ctx)
}
