package roles_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/roles/controller"
)

// gauges reads a metric's values by the value of its one label.
func gauges(t *testing.T, reg *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				all[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	return all
}

// TestWhyWorkWaits: the matcher's metrics say how much waits, since when, and
// what for; and nothing once nothing waits.
func TestWhyWorkWaits(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		reg := prometheus.NewRegistry()
		c.part(controller.New(controller.Default(), controller.Parts{
			Store: c.store, Queue: c.queue, Flows: c.book, Log: c.log, Metrics: controller.NewMetrics(reg),
			Decider: task.Decider{Functions: c.menu, Place: task.Place{Cloud: "main", Results: "results", Segments: "segments"}},
		}).Run)
		synctest.Wait()
		release := make(chan struct{})
		c.run.do["t.a"] = func(ctx context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return produce(j), nil
		}
		says := func(reason string, ready float64) {
			t.Helper()
			c.until(reason, 30*time.Second, func() bool {
				return gauges(t, reg, "mediafn_work_blocked")[reason] == ready && gauges(t, reg, "mediafn_work_ready")["cpu"] == ready
			})
		}
		tasks := []string{c.submit("lone", "default"), c.submit("lone", "default"), c.submit("lone", "default")}
		says("no_worker", 3)
		if age := gauges(t, reg, "mediafn_work_oldest_ready_seconds")["cpu"]; age <= 0 || age > 30 {
			t.Errorf("the oldest has waited for %g s", age)
		}
		c.worker("w") // of two cores
		says("busy", 1)
		if n := gauges(t, reg, "mediafn_work_running")["default"]; n != 2 {
			t.Errorf("%g run", n)
		}
		if n := gauges(t, reg, "mediafn_work_blocked")["no_worker"]; n != 0 {
			t.Errorf("%g are still said to be without a worker", n)
		}
		close(release)
		for _, id := range tasks {
			c.ends(id, task.Succeeded, time.Minute)
		}
		says("busy", 0)
	})
}
