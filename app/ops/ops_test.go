package ops

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/internal/span"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReadinessFollowsItsChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fault error
		hang := false
		r := NewReadiness(map[string]Check{
			"queue": func(context.Context) error { return nil },
			"database": func(ctx context.Context) error {
				if hang {
					<-ctx.Done()
					return ctx.Err()
				}
				return fault
			},
		})
		state := func(want bool, said string) {
			t.Helper()
			synctest.Wait()
			if ready, checks := r.State(); ready != want || !strings.Contains(checks["database"], said) {
				t.Errorf("ready %v, %v; want %v, %q", ready, checks, want, said)
			}
		}
		state(false, "not asked yet")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.Run(ctx); close(done) }()
		state(true, "ok")
		fault = errors.New("connection refused")
		<-time.After(checkEvery)
		state(false, "connection refused")
		fault = nil
		<-time.After(checkEvery)
		state(true, "ok")
		hang = true
		<-time.After(2*checkEvery + time.Millisecond)
		state(false, "deadline exceeded")
		stop()
		<-done
		state(false, "stopping")
	})
}

func TestServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reg := NewRegistry([]string{"worker"})
	ready := NewReadiness(map[string]Check{"queue": func(context.Context) error { return nil }})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := &Server{Metrics: Metrics(reg), Ready: ready, Log: slog.New(slog.DiscardHandler)}
	go func() { ended <- s.Run(ctx, listener) }()
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get("http://" + listener.Addr().String() + path)
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
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 503, "/metrics": 200, "/debug/pprof/": 404, "/v1/tasks": 404,
	} {
		if status, body := get(path); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if _, body := get("/metrics"); !strings.Contains(body, `mediafn_build_info{roles="worker"`) || !strings.Contains(body, "process_cpu_seconds_total") {
		t.Error(body)
	}
	profiled := httptest.NewRecorder()
	(&Server{Metrics: s.Metrics, Ready: ready, Pprof: true}).handler().ServeHTTP(profiled, httptest.NewRequest("GET", "/debug/pprof/heap", nil))
	if profiled.Code != 200 || profiled.Body.Len() == 0 {
		t.Errorf("a profile: %d", profiled.Code)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		reg := prometheus.NewRegistry()
		log := slog.New(Calm(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}), reg)).With("component", "x")
		for i := range 100 {
			log.Warn("the database is away", "try", i)
			log.Debug("in detail")
		}
		log.Error("something else")
		if n := strings.Count(out.String(), "the database is away"); n != calmBurst {
			t.Errorf("%d lines of a flood", n)
		}
		if n := strings.Count(out.String(), "in detail"); n != 100 {
			t.Errorf("%d lines of detail", n)
		}
		if !strings.Contains(out.String(), "something else") {
			t.Error("another line fell to the flood")
		}
		out.Reset()
		<-time.After(calmWindow)
		log.WithGroup("g").Warn("the database is away")
		if !strings.Contains(out.String(), "left_out=80") {
			t.Error(out.String())
		}
		want := "# HELP mediafn_log_suppressed_total Lines left out of the log since they repeated others.\n" +
			"# TYPE mediafn_log_suppressed_total counter\nmediafn_log_suppressed_total{level=\"WARN\"} 80\n"
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "mediafn_log_suppressed_total"); err != nil {
			t.Error(err)
		}
	})
}

func TestCalmNamesTheTrace(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(Calm(slog.NewTextHandler(&out, nil), nil))
	ctx := span.Remote(t.Context(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	log.InfoContext(ctx, "x")
	if !strings.Contains(out.String(), "trace_id=0af7651916cd43dd8448eb211c80319c") {
		t.Error(out.String())
	}
	if trace.SpanContextFromContext(t.Context()).IsValid() {
		t.Error("the test's own context is part of a trace")
	}
}

func TestTracesWantAnAddress(t *testing.T) {
	for _, bad := range []string{"collector:4318", "ftp://x", "http://", "%"} {
		if _, _, err := (Traces{URL: bad}).Open(t.Context(), prometheus.NewRegistry(), nil); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestACollectorThatRefuses costs spans and a line in the log, nothing else.
func TestACollectorThatRefuses(t *testing.T) {
	asked := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		w.WriteHeader(http.StatusForbidden)
	}))
	defer collector.Close()
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	tracer, shut, err := Traces{URL: collector.URL, Instance: "here", Roles: []string{"worker"}}.Open(t.Context(), reg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, s := tracer.Begin(t.Context(), "attempt", span.Options{})
	s.End(nil)
	if err := shut(t.Context()); err != nil {
		t.Error(err)
	}
	if path := <-asked; path != "/v1/traces" {
		t.Errorf("asked at %s", path)
	}
	want := "# HELP mediafn_spans_total Spans given to the collector, by whether it took them.\n" +
		"# TYPE mediafn_spans_total counter\nmediafn_spans_total{outcome=\"failed\"} 1\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "mediafn_spans_total"); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "spans not sent") {
		t.Error(log.String())
	}
}
