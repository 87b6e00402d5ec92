package controller

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/task"
)

// Metrics counts what a controller sees and decides. All methods do nothing on
// a nil Metrics. Labels are bounded: functions of the menu, configured tenants,
// the closed sets of pools, states and kinds of errors.
type Metrics struct {
	tenants map[string]bool

	ready, oldest, running, blocked, leases *prometheus.GaugeVec
	wait, run                               *prometheus.HistogramVec
	granted, ended, tasks                   *prometheus.CounterVec
	retries, lost                           *prometheus.CounterVec
	returned, refused, late, swept, bytes   prometheus.Counter
	turn, batch                             prometheus.Histogram

	mu      sync.Mutex
	reasons map[string]bool
	busy    map[string]bool // tenants that have been reported as running work
}

// seconds of work: from an image to a long film.
var seconds = []float64{.005, .02, .1, .5, 1, 2, 5, 15, 30, 60, 180, 600, 1800, 7200}

// NewMetrics registers a controller's metrics. Work of tenants that are not
// named counts as tenant "other"; without any, everything is "default".
func NewMetrics(reg prometheus.Registerer, tenants ...string) *Metrics {
	r := promauto.With(reg)
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return r.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return r.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	one := func(name, help string) prometheus.Counter {
		return r.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	histogram := func(name, help, label string) *prometheus.HistogramVec {
		return r.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: seconds}, []string{label})
	}
	if len(tenants) == 0 {
		tenants = []string{"default"}
	}
	m := &Metrics{
		tenants: map[string]bool{}, reasons: map[string]bool{}, busy: map[string]bool{},
		ready:    gauge("mediafn_work_ready", "Work that waits for a worker. Reported by the matcher.", "pool"),
		oldest:   gauge("mediafn_work_oldest_ready_seconds", "How long the oldest ready work has waited. Reported by the matcher.", "pool"),
		running:  gauge("mediafn_work_running", "Work that runs. Reported by the matcher.", "tenant"),
		blocked:  gauge("mediafn_work_blocked", "Ready work by what keeps it from being granted. Reported by the matcher.", "reason"),
		leases:   gauge("mediafn_lease_held", "1 for each singleton this process holds the lease of.", "lease"),
		wait:     histogram("mediafn_work_wait_seconds", "From ready to granted.", "tenant"),
		run:      histogram("mediafn_work_run_seconds", "From granted to the answer, of attempts that succeeded.", "fn"),
		granted:  counter("mediafn_work_granted_total", "Attempts given to workers.", "fn", "tenant"),
		ended:    counter("mediafn_work_ended_total", "Work that ended, by its last state.", "fn", "tenant", "outcome"),
		tasks:    counter("mediafn_tasks_ended_total", "Tasks that ended, by their last state.", "tenant", "outcome"),
		retries:  counter("mediafn_work_retries_total", "Attempts that failed and are tried again, by kind of error.", "kind"),
		lost:     counter("mediafn_work_lost_total", "Attempts taken from their workers: their lease or their deadline had passed.", "reason"),
		returned: one("mediafn_work_returned_total", "Attempts workers handed back unfinished."),
		refused:  one("mediafn_decisions_refused_total", "Decisions on rows that somebody had changed; they are made again."),
		late:     one("mediafn_answers_late_total", "Answers of attempts that no longer counted."),
		swept:    one("mediafn_fragments_swept_total", "Objects deleted after their tasks had ended."),
		bytes:    one("mediafn_fragments_swept_bytes_total", "Bytes of the objects deleted."),
		turn: r.NewHistogram(prometheus.HistogramOpts{
			Name: "mediafn_turn_seconds", Help: "One turn of a controller: deciding and committing.",
			Buckets: prometheus.ExponentialBuckets(.0005, 2, 14),
		}),
		batch: r.NewHistogram(prometheus.HistogramOpts{
			Name: "mediafn_turn_tasks", Help: "Tasks decided on in one turn.", Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
	}
	for _, t := range tenants {
		m.tenants[t] = true
	}
	return m
}

func (m *Metrics) tenant(name string) string {
	if m.tenants[name] {
		return name
	}
	return "other"
}

// Waiting reports how much work is ready in each pool and since when the
// oldest of it is. The matcher calls it after each matching.
func (m *Metrics) Waiting(pool fn.Pool, ready int, oldest time.Duration) {
	if m == nil {
		return
	}
	m.ready.WithLabelValues(string(pool)).Set(float64(ready))
	m.oldest.WithLabelValues(string(pool)).Set(max(oldest, 0).Seconds())
}

// Running reports how much work each tenant has running.
func (m *Metrics) Running(byTenant map[string]int) {
	if m == nil {
		return
	}
	sum := map[string]int{}
	for name, n := range byTenant {
		sum[m.tenant(name)] += n
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	gauges(m.running, m.busy, sum)
}

// Blocked reports why ready work is not granted: how many for each reason.
func (m *Metrics) Blocked(byReason map[string]int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	gauges(m.blocked, m.reasons, byReason)
}

// gauges sets a gauge for every key, and those to 0 that were seen before and
// are gone, so that no old number stays.
func gauges(v *prometheus.GaugeVec, seen map[string]bool, now map[string]int) {
	for key := range now {
		seen[key] = true
	}
	for key := range seen {
		v.WithLabelValues(key).Set(float64(now[key]))
	}
}

// Holds reports that a lease was taken or given up. Who gives up the matcher's
// no longer knows what waits.
func (m *Metrics) Holds(lease string, held bool) {
	if m == nil {
		return
	}
	if held {
		m.leases.WithLabelValues(lease).Set(1)
		return
	}
	m.leases.WithLabelValues(lease).Set(0)
	if lease == "match" {
		for _, pool := range []fn.Pool{fn.CPU, fn.GPU} {
			m.Waiting(pool, 0, 0)
		}
		m.Running(nil)
		m.Blocked(nil)
	}
}

// Granted counts work that was given to a worker; ready is when it could first
// have been.
func (m *Metrics) Granted(w *task.Work, ready, now time.Time) {
	if m == nil {
		return
	}
	m.granted.WithLabelValues(w.Fn, m.tenant(w.Tenant)).Inc()
	m.wait.WithLabelValues(m.tenant(w.Tenant)).Observe(max(now.Sub(ready), 0).Seconds())
}

// Ended counts work whose state is final.
func (m *Metrics) Ended(w *task.Work) {
	if m == nil {
		return
	}
	m.ended.WithLabelValues(w.Fn, m.tenant(w.Tenant), string(w.State)).Inc()
	if w.State == task.Succeeded && !w.StartedAt.IsZero() {
		m.run.WithLabelValues(w.Fn).Observe(max(w.EndedAt.Sub(w.StartedAt), 0).Seconds())
	}
}

// TaskEnded counts a task whose state is final.
func (m *Metrics) TaskEnded(t *task.Task) {
	if m != nil {
		m.tasks.WithLabelValues(m.tenant(t.Tenant), string(t.State)).Inc()
	}
}

// Retried counts an attempt that failed and is tried again.
func (m *Metrics) Retried(kind errs.Kind) {
	if m != nil {
		m.retries.WithLabelValues(kind.String()).Inc()
	}
}

// Why work is taken from its worker.
const (
	LostLease    = "lease"
	LostDeadline = "deadline"
	LostCallback = "callback" // an outside service never answered
)

// Lost counts an attempt that was taken from its worker.
func (m *Metrics) Lost(reason string) {
	if m != nil {
		m.lost.WithLabelValues(reason).Inc()
	}
}

// Returned counts an attempt its worker handed back.
func (m *Metrics) Returned() {
	if m != nil {
		m.returned.Inc()
	}
}

// Late counts an answer that no longer mattered.
func (m *Metrics) Late() {
	if m != nil {
		m.late.Inc()
	}
}

// Refused counts a decision that was not written since its rows had changed.
func (m *Metrics) Refused() {
	if m != nil {
		m.refused.Inc()
	}
}

// Turned reports one turn: how many tasks were decided on, and since when.
func (m *Metrics) Turned(tasks int, took time.Duration) {
	if m != nil && tasks > 0 {
		m.turn.Observe(took.Seconds())
		m.batch.Observe(float64(tasks))
	}
}

// Swept counts one deleted object.
func (m *Metrics) Swept(size int64) {
	if m != nil {
		m.swept.Inc()
		m.bytes.Add(float64(size))
	}
}
