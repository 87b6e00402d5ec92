package sweep

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what an Ager does. A nil Metrics counts nothing.
type Metrics struct {
	objects, bytes *prometheus.CounterVec
}

// NewMetrics registers them. Labels: rule (originals, results, segments, cache) and
// action (deleted, cooled).
func NewMetrics(reg prometheus.Registerer) *Metrics {
	r := promauto.With(reg)
	counter := func(name, help string) *prometheus.CounterVec {
		return r.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"rule", "action"})
	}
	return &Metrics{
		objects: counter("mediafn_lifecycle_objects_total", "Objects deleted, or moved to the colder class, for their age."),
		bytes:   counter("mediafn_lifecycle_bytes_total", "Bytes of these objects."),
	}
}

func (m *Metrics) aged(rule string, act int, size int64) {
	if m == nil {
		return
	}
	action := map[int]string{del: "deleted", cool: "cooled"}[act]
	m.objects.WithLabelValues(rule, action).Inc()
	m.bytes.WithLabelValues(rule, action).Add(float64(size))
}
