package gateway_test

import (
	"context"
	"io"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/roles/gateway"
)

// TestSubmissionsAreBounded holds one submission half sent: another is turned
// away at once, and health answers all the same.
func TestSubmissionsAreBounded(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.InFlight = 1 })
	body, send := io.Pipe()
	done := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		r.g.ServeHTTP(w, httptest.NewRequest("POST", "/v1/tasks", body))
		done <- w
	}()
	if _, err := send.Write([]byte(`{"cmd":"t.work",`)); err != nil { // it returns when somebody has read
		t.Fatal(err)
	}
	w := r.do("POST", "/v1/tasks", `{"cmd":"t.work","input_files":[{"bucket":"in-1","key":"k"}]}`)
	if p := read[api.Problem](t, w, 429); p.ErrorCode != "busy" || w.Header().Get("Retry-After") == "" {
		t.Errorf("%+v, %v", p, w.Header())
	}
	for _, path := range []string{"/healthz", "/readyz", "/v1/tasks"} {
		if w := r.do("GET", path, ""); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if _, err := send.Write([]byte(`"input_files":[{"bucket":"in-1","key":"k"}]}`)); err != nil {
		t.Fatal(err)
	}
	_ = send.Close()
	read[api.Response](t, <-done, 202)
	r.submit("then", "in-1")
}

func TestWaitsAreBounded(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Waits, c.Poll = 1, 10*time.Millisecond })
	woken := make(chan string, 9)
	sub, err := r.queue.Subscribe(t.Context(), job.SubjectTask+".*", "", func(_ context.Context, m queue.Message) {
		id, _, _ := task.ParseAnnouncement(m.Data)
		woken <- id
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	done := make(chan *httptest.ResponseRecorder, 1)
	go func() { done <- r.do("POST", "/v1/tasks", body("1", "in-1"), "Prefer: wait=60") }()
	id := <-woken
	if p := read[api.Problem](t, r.do("POST", "/v1/tasks", body("2", "in-1"), "Prefer: wait=60"), 429); p.MsgID != "2" {
		t.Errorf("%+v", p)
	}
	r.submit("3", "in-1") // who does not wait is not kept waiting
	r.end(id, task.Succeeded)
	read[api.Callback](t, <-done, 200)
}
