package controller

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/task"
)

func TestMetricsForgetNothingAndKeepNothingOld(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg, "a")
	now := time.Unix(1000, 0)
	w := &task.Work{Fn: "noop", Tenant: "gone", State: task.Succeeded, StartedAt: now, EndedAt: now.Add(3 * time.Second)}
	m.Holds("match", true)
	m.Waiting(fn.CPU, 7, 90*time.Second)
	m.Running(map[string]int{"a": 2, "gone": 1, "old": 1})
	m.Blocked(map[string]int{"cores": 5, "limit": 2})
	m.Blocked(map[string]int{"cores": 4})
	m.Granted(w, now, now.Add(time.Second))
	m.Ended(w)
	want := `
# HELP mediafn_work_blocked Ready work by what keeps it from being granted. Reported by the matcher.
# TYPE mediafn_work_blocked gauge
mediafn_work_blocked{reason="cores"} 4
mediafn_work_blocked{reason="limit"} 0
# HELP mediafn_work_granted_total Attempts given to workers.
# TYPE mediafn_work_granted_total counter
mediafn_work_granted_total{fn="noop",tenant="other"} 1
# HELP mediafn_work_oldest_ready_seconds How long the oldest ready work has waited. Reported by the matcher.
# TYPE mediafn_work_oldest_ready_seconds gauge
mediafn_work_oldest_ready_seconds{pool="cpu"} 90
# HELP mediafn_work_running Work that runs. Reported by the matcher.
# TYPE mediafn_work_running gauge
mediafn_work_running{tenant="a"} 2
mediafn_work_running{tenant="other"} 2
`
	names := []string{"mediafn_work_blocked", "mediafn_work_granted_total", "mediafn_work_oldest_ready_seconds", "mediafn_work_running"}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	m.Holds("match", false) // somebody else reports from now on
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		switch f.GetName() {
		case "mediafn_work_blocked", "mediafn_work_ready", "mediafn_work_running", "mediafn_work_oldest_ready_seconds", "mediafn_lease_held":
			for _, v := range f.GetMetric() {
				if v.GetGauge().GetValue() != 0 {
					t.Errorf("%s still says %v", f.GetName(), v)
				}
			}
		}
	}
}

func TestNoMetrics(t *testing.T) {
	var m *Metrics
	now := time.Now()
	m.Holds("match", false)
	m.Waiting(fn.CPU, 1, 0)
	m.Running(nil)
	m.Blocked(nil)
	m.Granted(nil, now, now)
	m.Ended(nil)
	m.TaskEnded(nil)
	m.Retried(errs.Busy)
	m.Lost(LostLease)
	m.Returned()
	m.Late()
	m.Refused()
	m.Turned(1, 0)
	m.Swept(1)
}
