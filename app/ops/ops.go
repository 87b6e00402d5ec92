// Package ops is what the people who run mediafn look at: metrics, health and
// traces of one process, and a log that no flood drowns. Roles declare their
// own metrics; what ports and tools count is turned into metrics here.
package ops

import (
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry returns a process's registry, with what Go and the system tell
// of the process and which build plays which roles.
func NewRegistry(roles []string) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mediafn_build_info", Help: "Always 1: the build and the roles it plays.",
		ConstLabels: prometheus.Labels{"version": Version(), "roles": strings.Join(roles, ",")},
	})
	build.Set(1)
	reg.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Version names this build.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

// Metrics serves a registry to Prometheus.
func Metrics(reg *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Registry: reg})
}
