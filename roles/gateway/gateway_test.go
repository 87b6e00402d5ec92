package gateway_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/blob"
	blobmem "github.com/mediafn/mediafn/ports/blob/mem"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/mem"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/ports/state/sqlite"
	"github.com/mediafn/mediafn/roles/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a gateway with a real database, queue and store. No controller runs:
// the tests end tasks by writing rows.
type rig struct {
	t     *testing.T
	store *state.Store
	queue *queue.Queue
	blobs *blob.Stores
	g     *gateway.Gateway
	made  gateway.Parts
	key   string
}

// parts are those of another gateway on the same database, queue and store.
func (r *rig) parts() gateway.Parts {
	p := r.made
	p.Blobs = r.blobs
	return p
}

const single = `{name: single, modules: [{module_name: R, status: init, next_status: done, components: [
 {component_name: Run, fn: {from: task.cmd}, inputs: task.inputs, params: {from: task.params}}]}]}`

func newRig(t *testing.T, change ...func(*gateway.Config)) *rig {
	return newRigWith(t, func(*rig, *gateway.Parts) {}, change...)
}

func newRigWith(t *testing.T, more func(*rig, *gateway.Parts), change ...func(*gateway.Config)) *rig {
	d, err := sqlite.Open(filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := state.New(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	q, err := mem.Open(mem.Options{}, queue.Default())
	if err != nil {
		t.Fatal(err)
	}
	objects, err := blobmem.Open(0, blob.Default())
	if err != nil {
		t.Fatal(err)
	}
	stores := blob.NewStores()
	if err := stores.Add("main", objects); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close(context.Background()); _ = store.Close(); _ = stores.Close() })
	plan, err := flow.Load([]byte(single))
	if err != nil {
		t.Fatal(err)
	}
	type params struct {
		Width int `json:"width" default:"10" min:"1" max:"100" help:"x"`
	}
	menu := fn.NewRegistry(
		fn.Define(fn.Spec{Name: "t.work", Version: "1", Summary: "x", Purity: fn.Exact,
			Inputs: []fn.Slot{{Name: "in", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1}}}, fn.Body[params]{}),
		fn.Define(fn.Spec{Name: "t.hidden", Version: "1", Summary: "x", Purity: fn.Exact, Hidden: true}, fn.Body[params]{}),
		fn.Define(fn.Spec{Name: "t.missing", Version: "1", Summary: "x", Purity: fn.Exact, Missing: "model missing"}, fn.Body[params]{}),
	)
	cfg := gateway.Default("g1")
	for _, f := range change {
		f(&cfg)
	}
	r := &rig{t: t, store: store, queue: q, blobs: stores}
	parts := gateway.Parts{
		Store: store, Queue: q, Blobs: stores, Functions: menu, Flows: flow.NewBook(plan), Log: slog.New(slog.DiscardHandler),
		Place: task.Place{Cloud: "main", Results: "results", Segments: "segments", Arriving: "arriving"},
	}
	more(r, &parts)
	r.made = parts
	r.g = gateway.New(cfg, parts)
	return r
}

func tenants(c *gateway.Config) {
	c.Tenants = []gateway.Tenant{{Name: "a", Keys: []string{"key-a"}, Buckets: []string{"bucket-a"}}, {Name: "b", Keys: []string{"key-b"}, Buckets: []string{"bucket-b"}}}
}

func (r *rig) as(key string) *rig { other := *r; other.key = key; return &other }

// do sends one request; header is "Name: value".
func (r *rig) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	r.g.ServeHTTP(w, req)
	return w
}

func read[T any](t *testing.T, w *httptest.ResponseRecorder, status int) (v T) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

func body(msgID, bucket string) string {
	return `{"msg_id":"` + msgID + `","cmd":"t.work","input_files":[{"bucket":"` + bucket + `","key":"k"}]}`
}

func (r *rig) submit(msgID, bucket string) string {
	r.t.Helper()
	return read[api.Response](r.t, r.do("POST", "/v1/tasks", body(msgID, bucket)), 202).TaskID
}

// put stores an object as the platform does, where no tenant may.
func (r *rig) put(bucket, key, text string) {
	r.t.Helper()
	store, err := r.blobs.Get("main")
	if err == nil {
		_, err = store.Put(context.Background(), bucket, key, strings.NewReader(text), blob.PutOptions{Size: int64(len(text))})
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func decode64(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// end writes the end of a task, as a controller would, and tells its gateway.
func (r *rig) end(id string, s task.State) {
	r.t.Helper()
	tk, err := r.store.Task(context.Background(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	tk.State, tk.EndedAt = s, time.Now()
	tk.Outputs = []media.Object{{Ref: media.Ref{Cloud: "main", Bucket: "results", Key: id + "/Run/x/out"}}}
	if err := r.store.Apply(context.Background(), []state.Change{{Task: &tk}})[0]; err != nil {
		r.t.Fatal(err)
	}
	for subject, msg := range map[string]any{job.SubjectEvents + id: api.Event{Type: "task", TaskID: id, State: s}} {
		raw, _ := json.Marshal(msg)
		_ = r.queue.Publish(context.Background(), subject, raw)
	}
	_ = r.queue.Publish(context.Background(), job.SubjectEnded+"g1", []byte(id))
}

func TestBadSubmissions(t *testing.T) {
	r := newRig(t)
	in := `"input_files":[{"bucket":"in-1","key":"k"}]`
	for _, c := range []struct {
		body, field string
		status      int
	}{
		{`{`, "", 400}, {`[]`, "", 400}, {`{"cmd":"t.work",` + in + `}]`, "", 400}, {`{"cmd":"t.work"} {}`, "", 400},
		{`{"cmd":3}`, "cmd", 400}, {`{"cmd":"t.work","color":1}`, "color", 400}, {`{}`, "cmd", 400},
		{`{"cmd":"nothing"}`, "cmd", 400}, {`{"cmd":"t.hidden"}`, "cmd", 400}, {`{"cmd":"t.missing"}`, "cmd", 422},
		{`{"cmd":"t.work"}`, "input_files", 400},
		{`{"cmd":"t.work","input_files":[{"bucket":"in-1","key":"k"},{"bucket":"in-1","key":"k"}]}`, "input_files", 400},
		{`{"cmd":"t.work","priority":10,` + in + `}`, "priority", 400}, {`{"cmd":"t.work","priority":"x",` + in + `}`, "priority", 400},
		{`{"cmd":"t.work","create_time":-1,` + in + `}`, "create_time", 400},
		{`{"cmd":"t.work","msg_id":"` + strings.Repeat("x", 129) + `",` + in + `}`, "msg_id", 400}, {`{"cmd":"t.work","msg_id":"a\nb",` + in + `}`, "msg_id", 400},
		{`{"cmd":"t.work","notify_url":"ftp://x",` + in + `}`, "notify_url", 400},
		{`{"cmd":"t.work","extra":{"slice":"maybe"},` + in + `}`, "extra.slice", 400}, {`{"cmd":"t.work","extra":{"deadline":-1},` + in + `}`, "extra.deadline", 400},
		{`{"cmd":"t.work","params":{"width":0},` + in + `}`, "params.width", 400}, {`{"cmd":"t.work","params":{"hight":1},` + in + `}`, "params.hight", 400},
		{`{"cmd":"t.work","input_files":[{}]}`, "input_files.0", 400},
		{`{"cmd":"t.work","input_files":[{"url":"http://x","bucket":"b"}]}`, "input_files.0", 400},
		{`{"cmd":"t.work","input_files":[{"url":"file:///etc/passwd"}]}`, "input_files.0.url", 400},
		{`{"cmd":"t.work","input_files":[{"bucket":"in-1","key":"../x"}]}`, "input_files.0.key", 400},
		{`{"cmd":"t.work","input_files":[{"bucket":"..","key":"x"}]}`, "input_files.0.bucket", 400},
		{`{"cmd":"t.work","input_files":[{"cloud":"x","bucket":"in-1","key":"x"}]}`, "input_files.0.cloud", 400},
		{`{"cmd":"t.work","input_files":[{"bucket":"segments","key":"x"}]}`, "input_files.0.bucket", 403},
		{`{"cmd":"t.work","input_files":[{"bucket":"results","key":"nobody/x"}]}`, "input_files.0.key", 400},
		{`{"cmd":"t.work","input_files":[{"type":"image","bucket":"in-1","key":"x"}]}`, "input_files.0.type", 400},
		{`{"cmd":"t.work","output_files":[{"url":"http://x"}],` + in + `}`, "output_files.0.url", 400},
		{`{"cmd":"t.work","output_files":[{"bucket":"results","key":"x"}],` + in + `}`, "output_files.0.bucket", 403},
	} {
		w := r.do("POST", "/v1/tasks", c.body)
		if w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s", c.body, w.Header())
		}
		p := read[api.Problem](t, w, c.status)
		if p.Field != c.field || p.Success || p.ErrorCode == "" || p.ErrorMsg == "" || p.Status != c.status {
			t.Errorf("%s: field %q, want %q: %s", c.body, p.Field, c.field, w.Body)
		}
	}
	if p := read[api.Problem](t, r.do("POST", "/v1/tasks", `{"msg_id":"mine","cmd":"nothing"}`), 400); p.MsgID != "mine" {
		t.Errorf("the error does not say whose it is: %+v", p)
	}
	if all, err := r.store.Tasks(t.Context(), state.Filter{Limit: 9}); err != nil || len(all) != 0 {
		t.Errorf("bad requests left %d tasks, %v", len(all), err)
	}
}

func TestTooLarge(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.MaxBody, c.MaxObject = 100, 10 })
	read[api.Problem](t, r.do("POST", "/v1/tasks", strings.Repeat(" ", 101)), 413)
	read[api.Problem](t, r.do("PUT", "/v1/objects/in-1/k", strings.Repeat("x", 11)), 413)
}

func TestIdempotency(t *testing.T) {
	r := newRig(t)
	id := r.submit("m", "in-1")
	again := read[api.Response](t, r.do("POST", "/v1/tasks", body("m", "in-1")), 202)
	if again.TaskID != id || !again.Existed || !again.Success || again.MsgID != "m" {
		t.Errorf("%+v", again)
	}
	p := read[api.Problem](t, r.do("POST", "/v1/tasks", body("m", "in-2")), 409)
	if p.Field != "msg_id" {
		t.Errorf("%+v", p)
	}
}

func TestSyncWait(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Poll = time.Hour })
	if w := r.do("POST", "/v1/tasks", body("short", "in-1"), "Prefer: wait=0"); w.Code != 202 {
		t.Errorf("wait=0: %d", w.Code)
	}
	if p := read[api.Problem](t, r.do("POST", "/v1/tasks", body("x", "in-1"), "Prefer: wait=soon"), 400); p.Field != "Prefer" {
		t.Errorf("%+v", p)
	}
	// The wait runs out: the task goes on, and its id is answered.
	if a := read[api.Response](t, r.do("POST", "/v1/tasks", body("slow", "in-1"), "Prefer: respond-async, wait=1"), 202); a.TaskID == "" {
		t.Errorf("%+v", a)
	}
	// The end is told to this gateway: nobody polls in this test.
	ctx, cancel := context.WithCancel(t.Context())
	listen := httptest.NewUnstartedServer(nil).Listener
	done := make(chan error, 1)
	go func() { done <- r.g.Run(ctx, listen) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	woken := make(chan string, 9)
	sub, err := r.queue.Subscribe(t.Context(), job.SubjectTask+".*", "", func(_ context.Context, m queue.Message) {
		id, announced, err := task.ParseAnnouncement(m.Data)
		if err != nil || announced == nil || announced.Request.Cmd != "t.work" || m.Subject != job.TaskSubject(id) {
			t.Errorf("announced on %s: %s, %v", m.Subject, m.Data, err)
		}
		woken <- id
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	client, health := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+listen.Addr().String()+"/healthz"
	for resp, err := client.Get(health); ; resp, err = client.Get(health) { // the listener is open: it answers when Run has begun
		if err == nil {
			_ = resp.Body.Close()
			break
		}
	}
	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() { answered <- r.do("POST", "/v1/tasks", body("fast", "in-1"), "Prefer: wait=60") }()
	id := <-woken
	r.end(id, task.Succeeded)
	w := <-answered
	c := read[api.Callback](t, w, 200)
	if !c.Success || c.TaskID != id || c.MsgID != "fast" || c.Code != "ok" || len(c.Outputs) != 1 || w.Header().Get("Preference-Applied") != "wait=60" {
		t.Errorf("%+v", c)
	}
	// The same again, when it is over, is answered at once.
	if c := read[api.Callback](t, r.do("POST", "/v1/tasks", body("fast", "in-1"), "Prefer: wait=60"), 200); c.TaskID != id {
		t.Errorf("%+v", c)
	}
}

func TestEvents(t *testing.T) {
	r := newRig(t)
	id := r.submit("m", "in-1")
	server := httptest.NewServer(r.g)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(server.URL + "/v1/tasks/" + id + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	first := make([]byte, 12)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "event: state" {
		t.Fatalf("%q, %v", first, err)
	}
	r.end(id, task.Succeeded)
	rest, err := io.ReadAll(resp.Body) // the stream ends by itself
	if err != nil || !bytes.Contains(rest, []byte("event: end\n")) || !bytes.Contains(rest, []byte(`"state":"succeeded"`)) {
		t.Errorf("%v: %s", err, rest)
	}
	if w := r.do("GET", "/v1/tasks/"+id+"/events", ""); !strings.HasPrefix(w.Body.String(), "event: end\n") {
		t.Errorf("of a task that is over: %s", w.Body)
	}
	read[api.Problem](t, r.do("GET", "/v1/tasks/nobody/events", ""), 404)
}

func TestStreamsAreBounded(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Streams = 0 })
	id := r.submit("m", "in-1")
	w := r.do("GET", "/v1/tasks/"+id+"/events", "")
	if read[api.Problem](t, w, 429); w.Header().Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
}

func TestListPages(t *testing.T) {
	r := newRig(t)
	for _, id := range []string{"1", "2", "3"} {
		r.submit(id, "in-1")
	}
	page := read[api.Page](t, r.do("GET", "/v1/tasks?limit=2", ""), 200)
	next := read[api.Page](t, r.do("GET", "/v1/tasks?limit=2&cursor="+page.Next, ""), 200)
	if len(page.Tasks) != 2 || len(next.Tasks) != 1 || page.Tasks[0].MsgID != "3" || next.Tasks[0].MsgID != "1" || next.Next != "" {
		t.Errorf("%+v, %+v", page, next)
	}
	for query, field := range map[string]string{"limit=0": "limit", "limit=x": "limit", "state=odd": "state", "colour=red": "colour"} {
		if p := read[api.Problem](t, r.do("GET", "/v1/tasks?"+query, ""), 400); p.Field != field {
			t.Errorf("%s: %+v", query, p)
		}
	}
}

func TestCancelAndRetry(t *testing.T) {
	r := newRig(t)
	id := r.submit("m", "in-1")
	read[api.Problem](t, r.do("POST", "/v1/tasks/"+id+"/retry", ""), 409)
	if v := read[api.Task](t, r.do("DELETE", "/v1/tasks/"+id, ""), 202); v.Ending != task.Canceled {
		t.Errorf("%+v", v)
	}
	r.end(id, task.Failed)
	read[api.Problem](t, r.do("DELETE", "/v1/tasks/"+id, ""), 409)
	if v := read[api.Task](t, r.do("POST", "/v1/tasks/"+id+"/retry", ""), 202); v.State != task.Queued || v.Generation != 1 {
		t.Errorf("%+v", v)
	}
	h := read[api.History](t, r.do("GET", "/v1/tasks/"+id+"/history", ""), 200)
	if len(h.Notes) != 2 || h.Notes[0].Kind != "cancel" || h.Notes[1].Kind != "retry" {
		t.Errorf("%+v", h)
	}
}

// TestRetryOfAnOldFlow retries a task of a flow version this build lacks.
func TestRetryOfAnOldFlow(t *testing.T) {
	r := newRig(t)
	old := task.Task{ID: task.NewID(), Tenant: gateway.DefaultTenant, Flow: "single", FlowVer: "old", CreatedAt: time.Now(), Request: task.Request{Cmd: "t.work", MsgID: "m"}}
	if _, _, err := r.store.Submit(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	r.end(old.ID, task.Failed)
	read[api.Problem](t, r.do("POST", "/v1/tasks/"+old.ID+"/retry", ""), 409)
	if err := r.store.PutFlow(t.Context(), "single", "old", single, time.Now()); err != nil {
		t.Fatal(err)
	}
	read[api.Task](t, r.do("POST", "/v1/tasks/"+old.ID+"/retry", ""), 202)
}

func TestObjects(t *testing.T) {
	r := newRig(t)
	if w := r.do("PUT", "/v1/objects/in-1/a/b.txt", "0123456789", "Content-Type: text/plain"); w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	w := r.do("GET", "/v1/objects/in-1/a/b.txt", "")
	if w.Body.String() != "0123456789" || w.Header().Get("Content-Type") != "text/plain" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%s %v", w.Body, w.Header())
	}
	if w := r.do("HEAD", "/v1/objects/in-1/a/b.txt", ""); w.Code != 200 || w.Header().Get("Content-Length") != "10" || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d %v", w.Code, w.Header())
	}
	for rang, want := range map[string]string{"bytes=2-4": "234", "bytes=-3": "789", "bytes=8-": "89"} {
		if w := r.do("GET", "/v1/objects/in-1/a/b.txt", "", "Range: "+rang); w.Code != 206 || w.Body.String() != want {
			t.Errorf("%s: %d %q", rang, w.Code, w.Body)
		}
	}
	if w := r.do("GET", "/v1/objects/in-1/a/b.txt", "", "Range: bytes=20-"); w.Code != 416 {
		t.Errorf("past the end: %d", w.Code)
	}
	if w := r.do("GET", "/v1/objects/in-1/a/b.txt", "", "If-None-Match: "+w.Header().Get("ETag")); w.Code != 304 {
		t.Errorf("unchanged: %d", w.Code)
	}
	if w := r.do("DELETE", "/v1/objects/in-1/a/b.txt", ""); w.Code != 204 {
		t.Errorf("delete: %d", w.Code)
	}
	read[api.Problem](t, r.do("GET", "/v1/objects/in-1/a/b.txt", ""), 404)
	read[api.Problem](t, r.do("PUT", "/v1/objects/results/x", "x"), 403)
	read[api.Problem](t, r.do("GET", "/v1/objects/segments/x", ""), 403)
	if p := read[api.Problem](t, r.do("GET", "/v1/objects/in-1/x?cloud=nowhere", ""), 400); p.Field != "cloud" {
		t.Errorf("%+v", p)
	}
}

// TestTenants holds that nobody reads or changes another's tasks, results or
// objects, and that a wrong key opens nothing.
func TestTenants(t *testing.T) {
	r := newRig(t, tenants)
	a, b := r.as("key-a"), r.as("key-b")
	for _, key := range []string{"", "key", "key-aa", "Bearer key-a"} {
		if w := r.as(key).do("GET", "/v1/tasks", ""); w.Code != 403 || w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("key %q: %d", key, w.Code)
		}
	}
	id := a.submit("m", "bucket-a")
	if other := b.submit("m", "bucket-b"); other == id {
		t.Error("one msg_id of two tenants is one task")
	}
	for _, c := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"POST", "/retry"}, {"GET", "/events"}, {"GET", "/history"}, {"GET", "/graph"}, {"PATCH", ""}} {
		body := ""
		if c[0] == "PATCH" {
			body = `{"priority":9}`
		}
		read[api.Problem](t, b.do(c[0], "/v1/tasks/"+id+c[1], body), 404)
	}
	if page := read[api.Page](t, b.do("GET", "/v1/tasks", ""), 200); len(page.Tasks) != 1 || page.Tasks[0].TaskID == id {
		t.Errorf("%+v", page)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		read[api.Problem](t, b.do(method, "/v1/objects/bucket-a/k", "x"), 403)
	}
	read[api.Problem](t, b.do("GET", "/v1/objects/results/"+id+"/Run/x/out", ""), 404)
	p := read[api.Problem](t, b.do("POST", "/v1/tasks", body("x", "bucket-a")), 403)
	if p.Field != "input_files.0.bucket" {
		t.Errorf("%+v", p)
	}
	feed := `{"cmd":"t.work","input_files":[{"bucket":"results","key":"` + id + `/Run/x/out"}]}`
	read[api.Problem](t, b.do("POST", "/v1/tasks", feed), 400)
	read[api.Response](t, a.do("POST", "/v1/tasks", feed), 202)
}

func TestMenu(t *testing.T) {
	r := newRig(t)
	all := read[struct{ Functions []api.Function }](t, r.do("GET", "/v1/functions", ""), 200)
	if len(all.Functions) != 2 {
		t.Errorf("%+v", all)
	}
	if f := read[api.Function](t, r.do("GET", "/v1/functions/t.missing", ""), 200); f.Available || f.Missing == "" {
		t.Errorf("%+v", f)
	}
	read[api.Problem](t, r.do("GET", "/v1/functions/nothing", ""), 404)
	if w := r.do("GET", "/v1/flows", ""); !strings.Contains(w.Body.String(), `"single"`) {
		t.Errorf("%s", w.Body)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if w := r.do("GET", path, ""); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	read[api.Problem](t, r.do("GET", "/nowhere", ""), 404)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	if w := r.do("GET", "/readyz", ""); w.Code != 503 || !strings.Contains(w.Body.String(), errs.Transient.String()) {
		t.Errorf("ready without a database: %d %s", w.Code, w.Body)
	}
}
