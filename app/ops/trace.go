package ops

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/internal/span"
)

// Bounds of what waits to be exported. More spans are dropped: a collector
// that is away costs memory of a known size and no work.
const (
	spanQueue = 16384
	spanBatch = 1024
	spanDelay = 2 * time.Second
	spanTime  = 10 * time.Second // for one export
)

// Traces says where spans go and who sends them.
type Traces struct {
	URL      string // http://HOST:4318; without a path, /v1/traces
	Instance string // unique among processes
	Roles    []string
}

// Open returns a tracer that exports over OTLP/HTTP, and what flushes and
// closes it. Which traces are recorded is the caller's decision where it sent
// a traceparent, else OTEL_TRACES_SAMPLER's; by default all are.
func (t Traces) Open(ctx context.Context, reg prometheus.Registerer, log *slog.Logger) (*span.Tracer, func(context.Context) error, error) {
	u, err := url.Parse(t.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, nil, errs.InField("otlp", "must be http://HOST:4318, not %q", t.URL)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute}
	client, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()),
		otlptracehttp.WithHTTPClient(&http.Client{Transport: transport, Timeout: spanTime}))
	if err != nil {
		return nil, nil, errs.As(errs.Internal, "otlp", err)
	}
	counted := &exporter{SpanExporter: client, log: log, spans: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "mediafn_spans_total", Help: "Spans given to the collector, by whether it took them.",
	}, []string{"outcome"})}
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(counted, sdk.WithMaxQueueSize(spanQueue), sdk.WithMaxExportBatchSize(spanBatch),
			sdk.WithBatchTimeout(spanDelay), sdk.WithExportTimeout(spanTime)),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "mediafn"), attribute.String("service.version", Version()),
			attribute.String("service.instance.id", t.Instance), attribute.StringSlice("mediafn.roles", t.Roles),
		)),
	)
	return span.New(provider), func(ctx context.Context) error {
		defer transport.CloseIdleConnections()
		return errs.Wrap("otlp", provider.Shutdown(ctx))
	}, nil
}

// exporter counts what was sent, and logs what was not instead of telling
// OpenTelemetry's global handler.
type exporter struct {
	sdk.SpanExporter
	log   *slog.Logger
	spans *prometheus.CounterVec
}

func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	outcome := "sent"
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		outcome = "failed"
		e.log.Warn("spans not sent", "count", len(spans), "err", err)
	}
	e.spans.WithLabelValues(outcome).Add(float64(len(spans)))
	return nil
}
