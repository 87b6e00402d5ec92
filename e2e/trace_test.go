package e2e_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/media"
)

// spans is an OTLP collector.
type spans struct {
	t   *testing.T
	url string

	mu  sync.Mutex
	all map[string]*otlp.Span // by id
}

func collect(t *testing.T) *spans {
	c := &spans{t: t, all: map[string]*otlp.Span{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its sender died
	}
	var batch collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &batch); err != nil || r.URL.Path != "/v1/traces" {
		c.t.Errorf("spans sent to %s: %v", r.URL.Path, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range batch.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				c.all[hex.EncodeToString(s.SpanId)] = s
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// path names a span and those above it, the outermost first.
func (c *spans) path(s *otlp.Span) string {
	name := s.Name
	for parent := c.all[hex.EncodeToString(s.ParentSpanId)]; parent != nil; parent = c.all[hex.EncodeToString(parent.ParentSpanId)] {
		name = parent.Name + " > " + name
	}
	return name
}

// TestOneTrace: what a caller's request set off, over all roles down to the
// tools, is one trace beneath the caller's span.
func TestOneTrace(t *testing.T) {
	t.Parallel()
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	c := collect(t)
	heard := make(chan string, 10)
	hooks := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r.Header.Get("Traceparent") }))
	t.Cleanup(hooks.Close)
	s := serve(t, t.TempDir(), "", "--otlp", c.url, hooksAllowed)
	source := clip(t, "trace.mp4", "-f lavfi -i testsrc2=s=160x90:r=10:d=2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p")
	body, err := json.Marshal(api.Submit{
		Cmd: "video.transcode", Inputs: []media.Ref{s.upload("in", source)}, Params: json.RawMessage(`{"crf":30}`), NotifyURL: hooks.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	rq, err := http.NewRequest(http.MethodPost, s.url+"/v1/tasks", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	rq.Header.Set("Traceparent", fmt.Sprintf("00-%s-%s-01", trace, parent))
	resp, err := http.DefaultClient.Do(rq)
	if err != nil {
		t.Fatal(err)
	}
	var accepted api.Response
	err = json.NewDecoder(resp.Body).Decode(&accepted)
	_ = resp.Body.Close()
	if err != nil || accepted.TaskID == "" {
		t.Fatalf("%+v, %v", accepted, err)
	}
	s.succeeded(accepted.TaskID)
	var told string
	select {
	case told = <-heard:
	case <-time.After(time.Minute):
		t.Fatal("no webhook")
	}
	still := s.submit(api.Submit{Cmd: "image.transform", Inputs: []media.Ref{s.upload("in", picture(t))}, Params: json.RawMessage(`{"width":40}`)})
	s.succeeded(still)
	s.stop() // sends the last spans

	var paths []string
	webhook := ""
	images := 0
	for id, span := range c.all {
		if strings.HasSuffix(c.path(span), "POST /v1/tasks > grant > attempt image.transform > compute > mediafn-engine") {
			images++ // in a trace that mediafn began
		}
		if hex.EncodeToString(span.TraceId) != trace {
			continue // of the upload and the polls
		}
		paths = append(paths, c.path(span))
		if span.Name == "webhook" {
			webhook = id
		}
		if span.Name == "POST /v1/tasks" && hex.EncodeToString(span.ParentSpanId) != parent {
			t.Errorf("the request is beneath %x, not the caller's span", span.ParentSpanId)
		}
		if strings.Contains(span.String(), "127.0.0.1") {
			t.Errorf("an address or a token is in %s", span)
		}
	}
	slices.Sort(paths)
	const request = "POST /v1/tasks"
	for _, want := range []string{
		request, request + " > decide", request + " > grant", request + " > webhook",
		request + " > grant > attempt video.transcode > fetch",
		request + " > grant > attempt video.transcode > compute > ffmpeg",
		request + " > grant > attempt video.transcode > store",
	} {
		if !slices.Contains(paths, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, p := range paths {
		if !strings.HasPrefix(p, request) {
			t.Errorf("%s hangs in the air", p)
		}
	}
	if t.Failed() {
		t.Logf("spans:\n%s", strings.Join(paths, "\n"))
	}
	if images == 0 {
		t.Error("no engine is in the trace of an image")
	}
	if want := fmt.Sprintf("00-%s-%s-01", trace, webhook); told != want {
		t.Errorf("the webhook says %s, its span is %s", told, want)
	}
}
