package client_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/tools/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.MaybeExec()
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
		code = 1
	}
	os.Exit(code)
}

// server is a real one: all roles in this process.
func server(t *testing.T) *client.Client {
	t.Helper()
	l, err := app.OpenLocal(t.Context(), app.LocalConfig{Temp: t.TempDir(), Cores: 2}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l.Client
}

func TestTasks(t *testing.T) {
	ctx, c := t.Context(), server(t)
	done, err := c.Submit(ctx, &api.Submit{Cmd: "noop", MsgID: "m 1"}, time.Minute)
	if err != nil || done.Callback == nil || !done.Callback.Success || done.MsgID != "m 1" {
		t.Fatalf("%+v %v", done, err)
	}
	again, err := c.Submit(ctx, &api.Submit{Cmd: "noop", MsgID: "m 1"}, 0)
	if err != nil || again.Response == nil || !again.Response.Existed || again.TaskID != done.TaskID {
		t.Fatalf("%+v %v", again, err)
	}
	for range 2 {
		more, err := c.Submit(ctx, &api.Submit{Cmd: "noop"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range c.Events(ctx, more.TaskID) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	seen := map[string]bool{}
	for f, pages := (client.Filter{Limit: 2, State: task.Succeeded, Cmd: "noop"}), 0; ; pages++ {
		page, err := c.Tasks(ctx, f)
		if err != nil || pages > 3 {
			t.Fatal(err)
		}
		for _, x := range page.Tasks {
			seen[x.TaskID] = true
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			break
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d tasks in pages", len(seen))
	}
	shown, err := c.Task(ctx, done.TaskID)
	if err != nil || shown.State != task.Succeeded || len(shown.Work) == 0 {
		t.Errorf("%+v %v", shown, err)
	}
	if h, err := c.History(ctx, done.TaskID); err != nil || len(h.Traces) != 1 {
		t.Errorf("%+v %v", h, err)
	}
	if _, err := c.Cancel(ctx, done.TaskID); !errs.Is(err, errs.Conflict) {
		t.Errorf("cancel what has ended: %v", err)
	}
	if _, err := c.Retry(ctx, done.TaskID); !errs.Is(err, errs.Conflict) {
		t.Errorf("retry what succeeded: %v", err)
	}
	if _, err := c.Task(ctx, "none/such"); !errs.Is(err, errs.NotFound) {
		t.Errorf("no such task: %v", err)
	}
	if _, err := c.Submit(ctx, &api.Submit{Cmd: "nothing.known"}, 0); !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != "cmd" {
		t.Errorf("unknown cmd: %v", err)
	}
	if _, err := c.Tasks(ctx, client.Filter{Limit: 5000}); errs.FieldOf(err) != "limit" {
		t.Errorf("limit: %v", err)
	}
}

func TestEvents(t *testing.T) {
	ctx, c := t.Context(), server(t)
	// Its input is not there: it fails, is retried by hand, fails again.
	a, err := c.Submit(ctx, &api.Submit{Cmd: "inspect.probe", Inputs: []media.Ref{{Bucket: "inputs", Key: "none.mp4"}}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for generation := range 2 {
		var last client.Event
		for e, err := range c.Events(ctx, a.TaskID) {
			if err != nil {
				t.Fatal(err)
			}
			last = e
		}
		if last.Type != "end" || last.Task.State != task.Failed || last.Task.Error.Kind != errs.NotFound || last.Task.Generation != generation {
			t.Errorf("generation %d ends with %+v", generation, last)
		}
		if generation == 0 {
			if _, err := c.Retry(ctx, a.TaskID); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, err := range c.Events(ctx, "none") {
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("events of nothing: %v", err)
		}
	}
}

func TestCatalogue(t *testing.T) {
	ctx, c := t.Context(), server(t)
	all, err := c.Functions(ctx)
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	if f, err := c.Function(ctx, "noop"); err != nil || f.Name != "noop" {
		t.Error(f, err)
	}
	if _, err := c.Function(ctx, "no op"); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	if flows, err := c.Flows(ctx); err != nil || len(flows) < 2 || flows[0].Version == "" {
		t.Error(flows, err)
	}
}

func TestObjects(t *testing.T) {
	ctx, c := t.Context(), server(t)
	body := bytes.Repeat([]byte("ab"), 1<<17)
	ref := media.Ref{Bucket: "inputs", Key: "a folder/100%?.txt"}
	for _, size := range []int64{int64(len(body)), -1} {
		o, err := c.PutObject(ctx, ref, io.NopCloser(bytes.NewReader(body)), size, "text/plain")
		if err != nil || o.Size != int64(len(body)) || o.Key != ref.Key || len(o.SHA256) != 64 {
			t.Fatalf("%+v %v", o, err)
		}
	}
	r, o, err := c.GetObject(ctx, ref)
	if err != nil || o.Size != int64(len(body)) || o.Mime != "text/plain" {
		t.Fatalf("%+v %v", o, err)
	}
	got, err := io.ReadAll(r)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := c.PutObject(ctx, media.Ref{Bucket: "inputs", Key: "empty"}, strings.NewReader(""), 0, ""); err != nil {
		t.Error(err)
	}
	if err := c.DeleteObject(ctx, ref); err != nil {
		t.Error(err)
	}
	if _, _, err := c.GetObject(ctx, ref); !errs.Is(err, errs.NotFound) {
		t.Errorf("a deleted object: %v", err)
	}
	if _, err := c.PutObject(ctx, media.Ref{Bucket: "results", Key: "x"}, strings.NewReader("x"), 1, ""); !errs.Is(err, errs.Denied) {
		t.Errorf("the platform's own bucket: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	c, err := client.New(gone.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Task(t.Context(), "x"); !errs.Is(err, errs.Transient) || !strings.Contains(err.Error(), gone.URL) {
		t.Errorf("nobody there: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Task(ended, "x"); !errs.Is(err, errs.Canceled) {
		t.Errorf("ended by us: %v", err)
	}
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "event: state\ndata: {}\n\nevent: sta")
	}))
	defer broken.Close()
	if c, err = client.New(broken.URL+"/", "secret", broken.Client()); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, err := range c.Events(t.Context(), "x") {
		if count++; count == 2 && !errs.Is(err, errs.Transient) {
			t.Errorf("a stream that breaks: %v", err)
		}
	}
	if count != 2 {
		t.Errorf("%d events", count)
	}
	if _, err := c.Task(t.Context(), "x"); !errs.Is(err, errs.Transient) {
		t.Errorf("no JSON: %v", err)
	}
}

// TestOperating makes every call of an operator once against a real server.
func TestOperating(t *testing.T) {
	ctx, c := t.Context(), server(t)
	task := func(cmd string) string {
		a, err := c.Submit(ctx, &api.Submit{Cmd: cmd}, 0)
		if err != nil {
			t.Fatal(err)
		}
		return a.TaskID
	}
	if s, err := c.PausePool(ctx, "cpu"); err != nil || !s.Paused {
		t.Fatalf("%+v %v", s, err)
	}
	id := task("noop")
	if v, err := c.Prioritize(ctx, id, 8); err != nil || v.Priority != 8 {
		t.Errorf("%+v %v", v, err)
	}
	if _, err := c.Prioritize(ctx, id, 11); !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != "priority" {
		t.Errorf("%v", err)
	}
	if g, err := c.Graph(ctx, id); err != nil || len(g.Nodes) == 0 {
		t.Errorf("%+v %v", g, err)
	}
	if page, err := c.AllTasks(ctx, client.AdminFilter{Tenant: "default"}); err != nil || len(page.Tasks) != 1 {
		t.Errorf("%+v %v", page, err)
	}
	if page, err := c.AllTasks(ctx, client.AdminFilter{Stuck: true}); err != nil || len(page.Tasks) != 0 {
		t.Errorf("%+v %v", page, err)
	}
	pools, err := c.Pools(ctx)
	if err != nil || len(pools.Pools) == 0 || !pools.Pools[0].Paused {
		t.Errorf("%+v %v", pools, err)
	}
	if s, err := c.ResumePool(ctx, "cpu"); err != nil || s.Paused {
		t.Errorf("%+v %v", s, err)
	}
	if _, err := c.RetryPart(ctx, "none", api.Retry{Component: "Run"}); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
	if _, err := c.Drain(ctx, "nobody"); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
	if s, err := c.Undrain(ctx, "nobody"); err != nil || s.Draining {
		t.Errorf("%+v %v", s, err)
	}
	if all, err := c.Workers(ctx); err != nil || all.Workers == nil {
		t.Errorf("%+v %v", all, err)
	}
	if k, err := c.Controllers(ctx); err != nil || len(k.Controllers) != 1 || len(k.Duties) == 0 {
		t.Errorf("%+v %v", k, err)
	}
	if p, err := c.Prices(ctx); err != nil || p.Prices == nil {
		t.Errorf("%+v %v", p, err)
	}
}
