package app

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mediafn/mediafn/core/errs"
)

var update = flag.Bool("update", false, "rewrite the table of metrics in docs/observability.md")

// metric is one as the registry describes it.
type metric struct{ name, kind, labels, help string }

// playing runs every role in this process until the test ends, as a server
// with all that can be observed switched on.
func playing(t *testing.T, change func(*Config)) *App {
	t.Helper()
	cfg := Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Roles: slices.Clone(roleNames), Engine: "/bin/false", OTLP: "http://127.0.0.1:9",
		Most: 4, Lease: 15 * time.Second, Tick: time.Second,
	}
	change(&cfg)
	a, err := Open(t.Context(), cfg, silent)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errs.Is(err, errs.Canceled) { // some roles may not have begun yet
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return a
}

var described = regexp.MustCompile(`^Desc\{fqName: "(mediafn_\w+)", help: "(.*?)"(?:, unit: "[^"]*")?, constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// metricsOf lists what a server tells, once all its roles have begun to.
func metricsOf(t *testing.T) (all []metric) {
	t.Helper()
	a := playing(t, func(*Config) {})
	// The last ones each role registers, which is before it does anything else.
	roles := []string{"mediafn_sync_waiting", "mediafn_turn_tasks", "mediafn_attempt_written_bytes_total", "mediafn_webhooks_sending", "mediafn_outbox_oldest_seconds"}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		descs := make(chan *prometheus.Desc, 1000)
		a.parts.metrics.Describe(descs)
		close(descs)
		all = all[:0]
		for d := range descs {
			m := described.FindStringSubmatch(d.String())
			if m == nil {
				continue // of Go and the process
			}
			labels := m[4]
			for _, fixed := range strings.Split(m[3], ",") {
				if name, _, ok := strings.Cut(fixed, "="); ok {
					labels = strings.Trim(labels+","+name, ",")
				}
			}
			kind := "gauge"
			switch {
			case strings.HasSuffix(m[1], "_total"):
				kind = "counter"
			case slices.Contains(strings.Fields(histograms), m[1]):
				kind = "histogram"
			}
			all = append(all, metric{m[1], kind, strings.ReplaceAll(labels, ",", ", "), m[2]})
		}
		if !slices.ContainsFunc(roles, func(name string) bool {
			return !slices.ContainsFunc(all, func(m metric) bool { return m.name == name })
		}) {
			slices.SortFunc(all, func(x, y metric) int { return cmp.Compare(x.name, y.name) })
			return all
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal("not all roles have registered their metrics")
		}
	}
}

// histograms are those metrics: a description does not tell them from gauges.
const histograms = `mediafn_accept_seconds mediafn_attempt_seconds mediafn_commit_seconds mediafn_commit_writes mediafn_http_seconds
 mediafn_queue_seconds mediafn_turn_seconds mediafn_turn_tasks mediafn_upload_piece_seconds mediafn_webhook_seconds mediafn_work_run_seconds mediafn_work_wait_seconds`

// TestMetricsAreDocumented: the table of docs/observability.md is what a
// server tells, no more and no less.
func TestMetricsAreDocumented(t *testing.T) {
	const page, begin, end = "../docs/observability.md", "<!-- metrics -->\n", "<!-- /metrics -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	have, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("the page has no place for the table")
	}
	var want strings.Builder
	fmt.Fprint(&want, "| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range metricsOf(t) {
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", m.name, m.kind, m.labels, m.help)
	}
	if want.String() == have {
		return
	}
	if !*update {
		t.Fatalf("the table is old; -update rewrites it. It must be\n%s", want.String())
	}
	if err := os.WriteFile(page, []byte(before+begin+want.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestAlertsNameMetrics: the example rules are rules, and watch what there is.
func TestAlertsNameMetrics(t *testing.T) {
	text, err := os.ReadFile("../deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert       string
				Expr        string
				For         string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	known := map[string]metric{}
	for _, m := range metricsOf(t) {
		known[m.name] = m
	}
	selector := regexp.MustCompile(`(mediafn_\w+)(?:\{([^}]*)\})?`)
	seen := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if seen[r.Alert] || r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				t.Errorf("alert %q is there twice, or has no name, severity or summary", r.Alert)
			}
			seen[r.Alert] = true
			if r.For != "" {
				if _, err := time.ParseDuration(r.For); err != nil {
					t.Errorf("%s: %v", r.Alert, err)
				}
			}
			found := selector.FindAllStringSubmatch(r.Expr, -1)
			if len(found) == 0 || strings.Count(r.Expr, "(") != strings.Count(r.Expr, ")") {
				t.Errorf("%s watches nothing: %s", r.Alert, r.Expr)
			}
			for _, f := range found {
				m, ok := known[f[1]]
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					if base, cut := strings.CutSuffix(f[1], suffix); cut && known[base].kind == "histogram" {
						m, ok = known[base], true
					}
				}
				if !ok {
					t.Errorf("%s: there is no metric %s", r.Alert, f[1])
				}
				for _, match := range strings.Split(f[2], ",") {
					if label, _, _ := strings.Cut(strings.TrimSpace(match), "="); label != "" && !slices.Contains(strings.Split(m.labels, ", "), strings.Trim(label, "!~ ")) {
						t.Errorf("%s: %s has no label %s", r.Alert, f[1], label)
					}
				}
			}
		}
	}
	if len(seen) == 0 {
		t.Error("no alerts")
	}
}

func TestObservedConfigIsChecked(t *testing.T) {
	good := Config{Data: "data", Listen: "127.0.0.1:0", Roles: []string{"gateway"}, Most: 1, Lease: 15 * time.Second, Tick: time.Second}
	for field, change := range map[string]func(*Config){
		"otlp":  func(c *Config) { c.OTLP = "collector:4318" },
		"pprof": func(c *Config) { c.Pprof = true },
	} {
		c := good
		change(&c)
		if err := c.Complete(); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s: %v", field, err)
		}
	}
	good.OTLP, good.Ops, good.Pprof = "https://collector:4318", "127.0.0.1:0", true
	if err := good.Complete(); err != nil {
		t.Error(err)
	}
}

// TestWhereMetricsAre: on the API unless there is an address for them, and
// never where tenants would see one another's.
func TestWhereMetricsAre(t *testing.T) {
	tenant := Tenant{}
	tenant.Name, tenant.Keys = "acme", []string{"0123456789abcdef"}
	for _, c := range []struct {
		name     string
		change   func(*Config)
		api, ops int // status of GET /metrics; 0 = nobody listens
	}{
		{"alone", func(*Config) {}, 200, 0},
		{"apart", func(c *Config) { c.Ops = "127.0.0.1:0" }, 404, 200},
		{"tenants", func(c *Config) { c.Tenants = []Tenant{tenant} }, 404, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := playing(t, c.change)
			status := func(address, path string) (int, string) {
				if address == "" {
					return 0, ""
				}
				resp, err := http.Get("http://" + address + path)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = resp.Body.Close() }()
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(body)
			}
			if got, body := status(a.Address(), "/metrics"); got != c.api {
				t.Errorf("API: %d %s", got, body)
			}
			if got, body := status(a.OpsAddress(), "/metrics"); got != c.ops {
				t.Errorf("ops: %d %s", got, body)
			}
			if got, body := status(a.OpsAddress(), "/healthz"); got != c.ops {
				t.Errorf("health: %d %s", got, body)
			}
		})
	}
}
