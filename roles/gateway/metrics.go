package gateway

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/internal/span"
	"github.com/mediafn/mediafn/roles/gateway/tus"
)

// Metrics counts what callers ask for. All methods do nothing on a nil
// Metrics. Tenants are configured ones, routes those of the API.
type Metrics struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	accepted *prometheus.CounterVec
	existed  prometheus.Counter
	refused  *prometheus.CounterVec
	accept   prometheus.Histogram
	waits    *prometheus.CounterVec
	waiting  prometheus.Gauge
	uploads  *tus.Metrics
}

// NewMetrics registers a gateway's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	r := promauto.With(reg)
	buckets := prometheus.ExponentialBuckets(.0005, 2, 17) // to half a minute
	return &Metrics{
		uploads: tus.NewMetrics(reg),
		requests: r.NewCounterVec(prometheus.CounterOpts{
			Name: "mediafn_http_requests_total", Help: "Requests of the API, by route and status.",
		}, []string{"route", "status"}),
		took: r.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mediafn_http_seconds", Help: "Time of requests, waits and streams included.", Buckets: buckets,
		}, []string{"route"}),
		accepted: r.NewCounterVec(prometheus.CounterOpts{
			Name: "mediafn_tasks_accepted_total", Help: "Tasks stored.",
		}, []string{"tenant"}),
		existed: r.NewCounter(prometheus.CounterOpts{
			Name: "mediafn_tasks_repeated_total", Help: "Submissions whose msg_id was known: the same task again.",
		}),
		refused: r.NewCounterVec(prometheus.CounterOpts{
			Name: "mediafn_tasks_refused_total", Help: "Submissions that were refused, by kind of error.",
		}, []string{"kind"}),
		accept: r.NewHistogram(prometheus.HistogramOpts{
			Name: "mediafn_accept_seconds", Help: "From a submission's arrival until it is stored for good.", Buckets: buckets,
		}),
		waits: r.NewCounterVec(prometheus.CounterOpts{
			Name: "mediafn_sync_waits_total", Help: "Waits for a result: answered, ran_out, or left by the caller.",
		}, []string{"outcome"}),
		waiting: r.NewGauge(prometheus.GaugeOpts{
			Name: "mediafn_sync_waiting", Help: "Requests that wait for a result now.",
		}),
	}
}

func (m *Metrics) requested(route string, status int, took time.Duration) {
	if m != nil {
		m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
		m.took.WithLabelValues(route).Observe(took.Seconds())
	}
}

func (m *Metrics) submitted(tenant string, s *submission, took time.Duration, err error) {
	switch {
	case m == nil:
	case err != nil:
		m.refused.WithLabelValues(errs.KindOf(err).String()).Inc()
	case s.existed:
		m.existed.Inc()
	default:
		m.accepted.WithLabelValues(tenant).Inc()
		m.accept.Observe(took.Seconds())
	}
}

func (m *Metrics) ofUploads() *tus.Metrics {
	if m == nil {
		return nil
	}
	return m.uploads
}

// wait counts a wait until the returned function is told how it ended.
func (m *Metrics) wait() func(answered bool, err error) {
	if m == nil {
		return func(bool, error) {}
	}
	m.waiting.Inc()
	return func(answered bool, err error) {
		m.waiting.Dec()
		outcome := "ran_out"
		switch {
		case err != nil:
			outcome = "left"
		case answered:
			outcome = "answered"
		}
		m.waits.WithLabelValues(outcome).Inc()
	}
}

// seen counts and traces the requests of a route.
func (g *Gateway) seen(route string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, status := g.parts.Now(), &recorder{ResponseWriter: w}
		ctx, s := g.parts.Tracer.Begin(r.Context(), route, span.Options{
			Traceparent: r.Header.Get("Traceparent"), Kind: trace.SpanKindServer,
		}, attribute.String("http.route", route))
		defer func() {
			g.parts.Metrics.requested(route, status.status, g.parts.Now().Sub(began))
			s.Set(attribute.Int("http.response.status_code", status.status))
			s.End(nil)
		}()
		if ctx != r.Context() { // else there is no trace, and nothing to copy a request for
			r = r.WithContext(ctx)
		}
		h.ServeHTTP(status, r)
	})
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// ReadFrom keeps the connection's own way of sending files.
func (r *recorder) ReadFrom(from io.Reader) (int64, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return io.Copy(r.ResponseWriter, from)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
