package tus

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what arrives. All methods do nothing on a nil Metrics.
type Metrics struct {
	open      prometheus.Gauge
	created   prometheus.Counter
	ended     *prometheus.CounterVec
	bytes     prometheus.Counter
	dropped   prometheus.Counter
	pieces    *prometheus.HistogramVec
	receiving prometheus.Gauge
	broken    prometheus.Counter
}

// How an upload ends.
const (
	endedDone    = "done"       // its object is there, or, of a part, all its bytes
	endedCaller  = "terminated" // DELETE
	endedExpired = "expired"
	endedFailed  = "failed" // its object can't be stored
)

// Where the time of a piece goes.
const (
	phaseReceive = "receive" // waiting for the sender
	phaseStore   = "store"
	phaseCommit  = "commit" // of the rows
)

// NewMetrics registers the metrics of uploads.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	r := promauto.With(reg)
	return &Metrics{
		open: r.NewGauge(prometheus.GaugeOpts{
			Name: "mediafn_uploads_open", Help: "Uploads that are not whole. Reported by the gateway that tends them.",
		}),
		created: r.NewCounter(prometheus.CounterOpts{
			Name: "mediafn_uploads_created_total", Help: "Uploads begun, parts and what is made of parts included.",
		}),
		ended: r.NewCounterVec(prometheus.CounterOpts{
			Name: "mediafn_uploads_ended_total", Help: "Uploads that ended: done, terminated by the caller, expired, or failed to be stored.",
		}, []string{"outcome"}),
		bytes: r.NewCounter(prometheus.CounterOpts{
			Name: "mediafn_upload_bytes_total", Help: "Bytes of uploads that arrived and count.",
		}),
		dropped: r.NewCounter(prometheus.CounterOpts{
			Name: "mediafn_upload_dropped_bytes_total", Help: "Bytes that were stored and did not count: a wrong checksum, or somebody else was first.",
		}),
		pieces: r.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mediafn_upload_piece_seconds", Help: "Time of pieces, by phase: receive from the sender, store, commit.",
			Buckets: prometheus.ExponentialBuckets(.0005, 2, 18), // to a minute
		}, []string{"phase"}),
		receiving: r.NewGauge(prometheus.GaugeOpts{
			Name: "mediafn_uploads_receiving", Help: "Requests that send bytes of uploads now.",
		}),
		broken: r.NewCounter(prometheus.CounterOpts{
			Name: "mediafn_upload_breaks_total", Help: "Connections that broke off while they sent.",
		}),
	}
}

func (m *Metrics) begun() {
	if m != nil {
		m.created.Inc()
	}
}

func (m *Metrics) over(outcome string) {
	if m != nil {
		m.ended.WithLabelValues(outcome).Inc()
	}
}

func (m *Metrics) arrived(bytes int64) {
	if m != nil {
		m.bytes.Add(float64(bytes))
	}
}

func (m *Metrics) lost(bytes int64) {
	if m != nil {
		m.dropped.Add(float64(bytes))
	}
}

func (m *Metrics) took(phase string, d time.Duration) {
	if m != nil {
		m.pieces.WithLabelValues(phase).Observe(d.Seconds())
	}
}

func (m *Metrics) stand(open int) {
	if m != nil {
		m.open.Set(float64(open))
	}
}

func (m *Metrics) broke() {
	if m != nil {
		m.broken.Inc()
	}
}

// receives counts a body until the returned function is called.
func (m *Metrics) receives() (done func()) {
	if m == nil {
		return func() {}
	}
	m.receiving.Inc()
	return m.receiving.Dec
}
