package span

import (
	"context"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/mediafn/mediafn/core/errs"
)

const given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestOffCarriesTheCallersTraceThrough(t *testing.T) {
	var off *Tracer
	ctx, s := off.Begin(t.Context(), "request", Options{Traceparent: given})
	s.Set()
	s.End(errs.New(errs.Busy, "x", "y"))
	ctx, s = Step(ctx, "beneath")
	s.End(nil)
	if got := Traceparent(ctx); got != given {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"", "x", "00-0-0-01", given + "x", "00-00000000000000000000000000000000-b7ad6b7169203331-01"} {
		ctx, _ := off.Begin(t.Context(), "request", Options{Traceparent: bad})
		if got := Traceparent(ctx); got != "" {
			t.Errorf("%q is carried on as %q", bad, got)
		}
	}
}

func TestSpansOfTwoProcessesJoin(t *testing.T) {
	seen := tracetest.NewSpanRecorder()
	p := sdk.NewTracerProvider(sdk.WithSpanProcessor(seen))
	here, there := New(p), New(p)

	ctx, request := here.Begin(context.Background(), "request", Options{Traceparent: given})
	sent := Traceparent(ctx)
	request.End(nil)
	ctx, attempt := there.Begin(context.Background(), "attempt", Options{Traceparent: sent, Links: []string{given, "nonsense"}})
	_, tool := Step(ctx, "tool")
	tool.End(errs.New(errs.Timeout, "tool", "too slow"))
	attempt.End(nil)

	ended := seen.Ended()
	if len(ended) != 3 {
		t.Fatalf("%d spans", len(ended))
	}
	parent := "b7ad6b7169203331"
	for i, at := range []int{0, 2, 1} { // in the order they were begun
		s := ended[at]
		if s.SpanContext().TraceID().String() != "0af7651916cd43dd8448eb211c80319c" || s.Parent().SpanID().String() != parent {
			t.Errorf("span %d %s is in trace %s beneath %s, not beneath %s", i, s.Name(), s.SpanContext().TraceID(), s.Parent().SpanID(), parent)
		}
		parent = s.SpanContext().SpanID().String()
	}
	if n := len(ended[2].Links()); n != 1 {
		t.Errorf("%d links", n)
	}
	if st := ended[1].Status(); st.Code.String() != "Error" || ended[1].Attributes()[0].Value.AsString() != "timeout" {
		t.Errorf("%v %v", st, ended[1].Attributes())
	}
}
