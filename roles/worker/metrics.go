package worker

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
)

// Metrics says what a worker carries and what its attempts cost. All methods
// do nothing on a nil Metrics.
type Metrics struct {
	cores, granted, attempts prometheus.Gauge
	busy, outside, pressure  prometheus.Gauge
	memory                   prometheus.Gauge
	ended                    *prometheus.CounterVec
	phases                   *prometheus.HistogramVec
	cpu                      *prometheus.CounterVec
	in, out                  prometheus.Counter
}

// NewMetrics registers a worker's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	r := promauto.With(reg)
	gauge := func(name, help string) prometheus.Gauge {
		return r.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return r.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &Metrics{
		cores:    gauge("mediafn_worker_cores", "Cores the worker keeps busy at the most."),
		granted:  gauge("mediafn_worker_granted_cores", "Cores that attempts were granted."),
		attempts: gauge("mediafn_worker_attempts", "Attempts that run."),
		busy:     gauge("mediafn_worker_busy_cores", "Cores busy when last measured, by anybody."),
		outside:  gauge("mediafn_worker_outside_cores", "Of them, busy with something else than this worker's attempts."),
		pressure: gauge("mediafn_worker_pressure", "Share of time something waited for a core (PSI, 10 s), 0 to 1."),
		memory:   gauge("mediafn_worker_available_bytes", "Memory available when last measured."),
		ended: r.NewCounterVec(prometheus.CounterOpts{
			Name: "mediafn_attempts_total", Help: "Attempts that ended here: succeeded, failed, returned, stopped, or pending with an outside service.",
		}, []string{"fn", "outcome"}),
		phases: r.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mediafn_attempt_seconds", Help: "Time of attempts that succeeded, by phase: fetch, compute, store.",
			Buckets: []float64{.005, .02, .1, .5, 1, 2, 5, 15, 30, 60, 180, 600, 1800, 7200},
		}, []string{"fn", "phase"}),
		cpu: r.NewCounterVec(prometheus.CounterOpts{
			Name: "mediafn_attempt_cpu_seconds_total", Help: "CPU time of the tools of attempts that succeeded.",
		}, []string{"fn"}),
		in:  counter("mediafn_attempt_read_bytes_total", "Bytes attempts read from stores and servers."),
		out: counter("mediafn_attempt_written_bytes_total", "Bytes attempts stored."),
	}
}

func (m *Metrics) carries(cores, free, attempts int) {
	if m != nil {
		m.cores.Set(float64(cores))
		m.granted.Set(float64(cores - free))
		m.attempts.Set(float64(attempts))
	}
}

// measured shows what the machine is under.
func (m *Metrics) measured(l job.Load) {
	if m != nil {
		m.busy.Set(l.Busy)
		m.outside.Set(l.Outside)
		m.pressure.Set(l.Pressure)
		m.memory.Set(float64(l.Memory))
	}
}

// finished counts an attempt. usage is nil unless it succeeded.
func (m *Metrics) finished(name, outcome string, usage *fn.Usage) {
	if m == nil {
		return
	}
	m.ended.WithLabelValues(name, outcome).Inc()
	if usage == nil {
		return
	}
	for phase, s := range map[string]float64{"fetch": usage.FetchSeconds, "compute": usage.WallSeconds, "store": usage.StoreSeconds} {
		m.phases.WithLabelValues(name, phase).Observe(max(s, 0))
	}
	m.cpu.WithLabelValues(name).Add(max(usage.CPUSeconds, 0))
	m.in.Add(float64(max(usage.BytesIn, 0)))
	m.out.Add(float64(max(usage.BytesOut, 0)))
}
