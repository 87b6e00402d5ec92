package results_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/mem"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/ports/state/sqlite"
	"github.com/mediafn/mediafn/roles/results"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var secret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of at least 24 bytes"))

// receiver is a caller's HTTP handler, reached without a network so that time
// can be synctest's.
type receiver struct {
	http.Handler
	fail error // instead of an answer

	mu    sync.Mutex
	calls []call
}

type call struct {
	at     time.Time
	header http.Header
	body   string
}

func (r *receiver) Post(ctx context.Context, addr string, header http.Header, body []byte) (int, http.Header, error) {
	r.mu.Lock()
	r.calls = append(r.calls, call{time.Now(), header.Clone(), string(body)})
	r.mu.Unlock()
	if r.fail != nil {
		return 0, nil, r.fail
	}
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, addr, strings.NewReader(string(body)))
	req.Header = header
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	if err := ctx.Err(); err != nil {
		return 0, nil, errs.As(errs.Transient, "post", err)
	}
	return w.Code, w.Header(), nil
}

func (r *receiver) got() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

type rig struct {
	t     *testing.T
	store *state.Store
	queue *queue.Queue
	r     *receiver
	task  task.Task
	poll  time.Duration
}

func bubble(t *testing.T, h http.Handler, test func(t *testing.T, r *rig)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d, err := sqlite.Open(filepath.Join(dir, "s.db"))
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
		t.Cleanup(func() { _ = q.Close(context.Background()); _ = store.Close() })
		r := &rig{t: t, store: store, queue: q, r: &receiver{Handler: h}}
		r.task, _, err = store.Submit(context.Background(), task.Task{ID: task.NewID(), Tenant: "a", CreatedAt: time.Now(), Request: task.Request{MsgID: "m"}})
		if err != nil {
			t.Fatal(err)
		}
		test(t, r)
	})
}

// post puts a webhook into the outbox, as the end of a task does.
func (r *rig) post(body string) string {
	r.t.Helper()
	id := "msg_" + task.NewID()
	err := r.store.Apply(context.Background(), []state.Change{{Posts: []state.Post{{ID: id, TaskID: r.task.ID, Kind: state.Webhook,
		Target: "http://caller/hook", Body: body, NotBefore: time.Now(), CreatedAt: time.Now()}}}})[0]
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) start(reached func(string)) (stop func()) {
	cfg := results.Default(task.NewID())
	cfg.Secret = func(string) string { return secret }
	if r.poll > 0 {
		cfg.Poll = r.poll
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	role := results.New(cfg, results.Parts{Store: r.store, Queue: r.queue, Sender: r.r, Log: slog.New(slog.DiscardHandler), Reached: reached})
	go func() { done <- role.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				r.t.Error(err)
			}
		})
	}
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) left() int {
	r.t.Helper()
	posts, err := r.store.PostsOf(context.Background(), r.task.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	return len(posts)
}

func TestSigned(t *testing.T) {
	bubble(t, status(204), func(t *testing.T, r *rig) {
		r.start(nil)
		id := r.post(`{"msg_id":"m"}`)
		time.Sleep(5 * time.Second) // synctest's time
		calls := r.r.got()
		if len(calls) != 1 || r.left() != 0 {
			t.Fatalf("%d calls, %d posts left", len(calls), r.left())
		}
		hook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		// The library compares with its own clock, which is the bubble's.
		if err := hook.Verify([]byte(calls[0].body), calls[0].header); err != nil {
			t.Errorf("signature: %v", err)
		}
		if err := hook.Verify([]byte(calls[0].body+" "), calls[0].header); err == nil {
			t.Error("another body verifies too")
		}
		if calls[0].header.Get("webhook-id") != id {
			t.Errorf("id %q, want %q", calls[0].header.Get("webhook-id"), id)
		}
		log, err := r.store.Deliveries(context.Background(), r.task.ID)
		if err != nil || len(log) != 1 || log[0].Status != 204 || log[0].Attempt != 1 {
			t.Errorf("log %+v, %v", log, err)
		}
	})
}

// TestSchedule holds that a receiver that never takes it is tried ten times in
// growing distances with one id and one body, and then no more.
func TestSchedule(t *testing.T) {
	bubble(t, status(500), func(t *testing.T, r *rig) {
		r.poll = time.Minute // three days of looks
		r.start(nil)
		id := r.post("frozen")
		// The task goes on; what was promised to the caller does not change.
		next := r.task
		next.State = task.Running
		if err := r.store.Apply(context.Background(), []state.Change{{Task: &next}})[0]; err != nil {
			t.Fatal(err)
		}
		for range 5 * 24 {
			time.Sleep(time.Hour) // synctest's time
			if r.left() == 0 {
				break
			}
		}
		calls := r.r.got()
		schedule := results.Default("r").Schedule
		if len(calls) != len(schedule)+1 || r.left() != 0 {
			t.Fatalf("%d calls, %d posts left", len(calls), r.left())
		}
		for i, c := range calls {
			if c.body != "frozen" || c.header.Get("webhook-id") != id {
				t.Errorf("try %d: %q %q", i+1, c.body, c.header.Get("webhook-id"))
			}
			if i == 0 {
				continue
			}
			if wait := c.at.Sub(calls[i-1].at); wait < schedule[i-1] || wait > schedule[i-1]*11/10+2*time.Minute {
				t.Errorf("try %d came after %s, want %s", i+1, wait, schedule[i-1])
			}
		}
	})
}

func TestGone(t *testing.T) {
	bubble(t, status(410), func(t *testing.T, r *rig) {
		r.start(nil)
		r.post("x")
		time.Sleep(time.Hour) // synctest's time
		if n := len(r.r.got()); n != 1 || r.left() != 0 {
			t.Errorf("%d calls, %d posts left", n, r.left())
		}
	})
}

func TestRetryAfter(t *testing.T) {
	first := true
	bubble(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if first {
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(503)
		}
		first = false
	}), func(t *testing.T, r *rig) {
		r.start(nil)
		r.post("x")
		time.Sleep(20 * time.Minute) // synctest's time
		calls := r.r.got()
		if len(calls) != 2 || r.left() != 0 {
			t.Fatalf("%d calls, %d posts left", len(calls), r.left())
		}
		if wait := calls[1].at.Sub(calls[0].at); wait < 10*time.Minute || wait > 10*time.Minute+5*time.Second {
			t.Errorf("came again after %s", wait)
		}
	})
}

func TestRefusedAddress(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, r *rig) {
		r.r.fail = errs.New(errs.Denied, "egress", "a private address")
		r.start(nil)
		r.post("x")
		time.Sleep(time.Hour) // synctest's time
		if n := len(r.r.got()); n != 1 || r.left() != 0 {
			t.Errorf("%d calls, %d posts left", n, r.left())
		}
	})
}

// TestTwoSenders runs the role twice: no webhook is sent twice.
func TestTwoSenders(t *testing.T) {
	slow := func(w http.ResponseWriter, _ *http.Request) { time.Sleep(3 * time.Second) } // synctest's time
	bubble(t, http.HandlerFunc(slow), func(t *testing.T, r *rig) {
		r.start(nil)
		r.start(nil)
		for range 300 { // more than one look takes
			r.post("x")
		}
		time.Sleep(5 * time.Minute) // synctest's time
		if n := len(r.r.got()); n != 300 || r.left() != 0 {
			t.Errorf("%d calls for 300 posts, %d left", n, r.left())
		}
	})
}

// TestKilledBeforeSettling ends the sender between the receiver's answer and
// the database: the webhook comes again, under the same id.
func TestKilledBeforeSettling(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, r *rig) {
		dead := make(chan struct{}) // the first sender never comes back from here
		stopped := r.start(func(point string) {
			if point == "webhook sent" {
				<-dead
			}
		})
		id := r.post("x")
		time.Sleep(10 * time.Second) // synctest's time
		if n := len(r.r.got()); n != 1 || r.left() != 1 {
			t.Fatalf("%d calls, %d posts left", n, r.left())
		}
		r.start(nil)
		time.Sleep(time.Minute) // synctest's time
		calls := r.r.got()
		if len(calls) != 2 || r.left() != 0 || calls[1].header.Get("webhook-id") != id {
			t.Errorf("%d calls, %d posts left", len(calls), r.left())
		}
		close(dead)
		stopped()
	})
}

// TestShutdownKeepsIt stops the role while a receiver thinks: the try does not
// count, and the next start sends it at once.
func TestShutdownKeepsIt(t *testing.T) {
	bubble(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }), func(t *testing.T, r *rig) {
		stop := r.start(nil)
		r.post("x")
		time.Sleep(5 * time.Second) // synctest's time
		stop()
		posts, err := r.store.PostsOf(context.Background(), r.task.ID)
		if err != nil || len(posts) != 1 || posts[0].Attempt != 0 || posts[0].NotBefore.After(time.Now()) {
			t.Fatalf("%+v, %v", posts, err)
		}
		r.r.Handler = status(200)
		r.start(nil)
		time.Sleep(5 * time.Second) // synctest's time
		if r.left() != 0 {
			t.Error("it was not sent")
		}
	})
}
