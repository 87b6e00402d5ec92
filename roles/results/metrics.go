package results

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts deliveries. All methods do nothing on a nil Metrics.
type Metrics struct {
	webhooks *prometheus.CounterVec
	took     prometheus.Histogram
	sending  prometheus.Gauge
	queued   prometheus.Counter
}

// NewMetrics registers the role's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	r := promauto.With(reg)
	return &Metrics{
		webhooks: r.NewCounterVec(prometheus.CounterOpts{
			Name: "mediafn_webhooks_total", Help: "Tries of webhooks: delivered, again later, or given_up.",
		}, []string{"outcome"}),
		took: r.NewHistogram(prometheus.HistogramOpts{
			Name: "mediafn_webhook_seconds", Help: "Time until a receiver answered, or did not.",
			Buckets: prometheus.ExponentialBuckets(.002, 2, 14),
		}),
		sending: r.NewGauge(prometheus.GaugeOpts{
			Name: "mediafn_webhooks_sending", Help: "Webhooks under way.",
		}),
		queued: r.NewCounter(prometheus.CounterOpts{
			Name: "mediafn_results_queued_total", Help: "Results put into tenants' result queues.",
		}),
	}
}

// begun counts a webhook under way until the returned function is called.
func (m *Metrics) begun() func(took time.Duration) {
	if m == nil {
		return func(time.Duration) {}
	}
	m.sending.Inc()
	return func(took time.Duration) {
		m.sending.Dec()
		m.took.Observe(took.Seconds())
	}
}

func (m *Metrics) relayed(results int) {
	if m != nil {
		m.queued.Add(float64(results))
	}
}

func (m *Metrics) tried(delivered, again bool) {
	if m == nil {
		return
	}
	outcome := "given_up"
	switch {
	case delivered:
		outcome = "delivered"
	case again:
		outcome = "again"
	}
	m.webhooks.WithLabelValues(outcome).Inc()
}
