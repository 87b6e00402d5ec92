package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/roles/gateway"
)

func admins(c *gateway.Config) {
	tenants(c)
	c.Tenants = append(c.Tenants, gateway.Tenant{Name: "ops", Keys: []string{"key-ops"}, Admin: true})
}

// matcher answers for the controller that matches work.
func (r *rig) matcher(workers ...string) {
	r.t.Helper()
	s := job.Status{Schema: job.Schema, Matcher: "c1", At: time.Now(), Pools: []job.PoolStatus{{Pool: fn.CPU, Ready: 3}, {Pool: fn.GPU}},
		Reasons: []job.WaitingBecause{{Reason: "no worker has the memory", Count: 3}}}
	for _, name := range workers {
		s.Workers = append(s.Workers, job.WorkerStatus{Name: name, Pools: []fn.Pool{fn.CPU}, Cores: 2})
	}
	body, err := json.Marshal(s)
	if err != nil {
		r.t.Fatal(err)
	}
	sub, err := r.queue.Subscribe(context.Background(), job.SubjectStatus, "", func(ctx context.Context, m queue.Message) {
		_ = r.queue.Publish(ctx, m.Reply, body)
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(sub.Close)
}

var adminCalls = [][2]string{
	{"GET", "/v1/admin/pools"}, {"POST", "/v1/admin/pools/cpu/pause"}, {"POST", "/v1/admin/pools/cpu/resume"}, {"GET", "/v1/admin/workers"},
	{"POST", "/v1/admin/workers/w1/drain"}, {"POST", "/v1/admin/workers/w1/undrain"}, {"GET", "/v1/admin/tasks"}, {"GET", "/v1/admin/controllers"}, {"GET", "/v1/admin/flows"},
	{"GET", "/v1/admin/prices"},
}

func TestAdminCallsTakeAnAdmin(t *testing.T) {
	r := newRig(t, admins)
	r.matcher("w1")
	for _, c := range adminCalls {
		for _, key := range []string{"", "key-a"} {
			if p := read[api.Problem](t, r.as(key).do(c[0], c[1], ""), 403); p.ErrorCode != "denied" {
				t.Errorf("%s %s with key %q: %+v", c[0], c[1], key, p)
			}
		}
		if w := r.as("key-ops").do(c[0], c[1], ""); w.Code != 200 {
			t.Errorf("%s %s: %d %s", c[0], c[1], w.Code, w.Body)
		}
	}
	open := newRig(t) // without tenants everybody is one
	open.matcher("w1")
	for _, c := range adminCalls {
		if w := open.do(c[0], c[1], ""); w.Code != 200 {
			t.Errorf("%s %s: %d %s", c[0], c[1], w.Code, w.Body)
		}
	}
}

// TestPauseAndDrain holds that switches are rows, that everybody is told, and
// that they show at once.
func TestPauseAndDrain(t *testing.T) {
	r := newRig(t)
	r.matcher("w1", "w2")
	told := make(chan string, 9)
	sub, err := r.queue.Subscribe(t.Context(), job.SubjectControl, "", func(_ context.Context, m queue.Message) { told <- string(m.Data) })
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if err := r.store.Set(t.Context(), "worker/long-gone", "draining"); err != nil {
		t.Fatal(err)
	}
	settings := func() map[string]string {
		s, err := r.store.Settings(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := read[api.PoolSwitch](t, r.do("POST", "/v1/admin/pools/gpu/pause", ""), 200); s.Pool != fn.GPU || !s.Paused {
		t.Errorf("%+v", s)
	}
	if s := read[api.WorkerSwitch](t, r.do("POST", "/v1/admin/workers/w2/drain", ""), 200); s.Name != "w2" || !s.Draining {
		t.Errorf("%+v", s)
	}
	if a, b := <-told, <-told; a != "pool/gpu" || b != "worker/w2" {
		t.Errorf("told %q, %q", a, b)
	}
	if s := settings(); len(s) != 2 || s["pool/gpu"] != "paused" || s["worker/w2"] != "draining" {
		t.Errorf("%v", s)
	}
	pools := read[api.Pools](t, r.do("GET", "/v1/admin/pools", ""), 200)
	if pools.Matcher != "c1" || pools.Pools[0].Paused || !pools.Pools[1].Paused || pools.Pools[0].Ready != 3 || len(pools.Reasons) != 1 || pools.Tenants == nil {
		t.Errorf("%+v", pools)
	}
	workers := read[api.Workers](t, r.do("GET", "/v1/admin/workers", ""), 200).Workers
	if len(workers) != 2 || workers[0].Draining || !workers[1].Draining {
		t.Errorf("%+v", workers)
	}
	r.do("POST", "/v1/admin/pools/gpu/resume", "")
	r.do("POST", "/v1/admin/workers/w2/undrain", "")
	if s := settings(); len(s) != 0 {
		t.Errorf("%v", s)
	}
	read[api.Problem](t, r.do("POST", "/v1/admin/pools/tpu/pause", ""), 404)
	read[api.Problem](t, r.do("POST", "/v1/admin/workers/w3/drain", ""), 404)
}

func TestNobodyMatches(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/v1/admin/pools", "/v1/admin/workers"} {
		w := r.do("GET", path, "")
		if p := read[api.Problem](t, w, http.StatusServiceUnavailable); p.ErrorCode != "transient" || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
	if w := r.do("POST", "/v1/admin/pools/cpu/pause", ""); w.Code != 200 {
		t.Errorf("a pool is paused by a row: %d", w.Code)
	}
}

func TestAllTasks(t *testing.T) {
	r := newRig(t, admins, func(c *gateway.Config) { c.StuckAfter = time.Hour })
	a, b, ops := r.as("key-a"), r.as("key-b"), r.as("key-ops")
	a.submit("1", "bucket-a")
	id := b.submit("2", "bucket-b")
	old := task.Task{ID: task.NewID(), Tenant: "b", CreatedAt: time.Now().Add(-2 * time.Hour), Request: task.Request{Cmd: "t.work", MsgID: "3"}}
	if _, _, err := r.store.Submit(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{"": 3, "?tenant=b": 2, "?stuck=true": 1, "?stuck=true&tenant=a": 0, "?msg_id=2": 1} {
		if page := read[api.Page](t, ops.do("GET", "/v1/admin/tasks"+query, ""), 200); len(page.Tasks) != want {
			t.Errorf("%s: %d tasks, want %d", query, len(page.Tasks), want)
		}
	}
	if p := read[api.Problem](t, ops.do("GET", "/v1/admin/tasks?stuck=maybe", ""), 400); p.Field != "stuck" {
		t.Errorf("%+v", p)
	}
	for _, query := range []string{"?tenant=b", "?stuck=true"} { // not an ordinary key's to ask
		read[api.Problem](t, a.do("GET", "/v1/tasks"+query, ""), 400)
	}
	read[api.Task](t, ops.do("GET", "/v1/tasks/"+id, ""), 200)
	if v := read[api.Task](t, ops.do("DELETE", "/v1/tasks/"+id, ""), 202); v.Ending != task.Canceled {
		t.Errorf("%+v", v)
	}
}

func TestPrices(t *testing.T) {
	r := newRig(t)
	at := time.Now()
	err := r.store.Learn(t.Context(), map[task.PriceKey]task.Learned{
		{Fn: "b@1", Class: "720p"}: {N: 10, Declared: 100, Actual: 200, Memory: 5, At: at},
		{Fn: "a@1"}:                {N: 2, Declared: 2, Actual: 20, At: at}, // too few to prove anything
	})
	if err != nil {
		t.Fatal(err)
	}
	got := read[api.Prices](t, r.do("GET", "/v1/admin/prices", ""), 200).Prices
	if len(got) != 2 || got[0].Fn != "a@1" || got[0].Factor != 1 || got[0].Actual != 10 {
		t.Fatalf("%+v", got)
	}
	if p := got[1]; p.Class != "720p" || p.Attempts != 10 || p.Declared != 10 || p.Actual != 20 || p.Factor != 2 || p.Memory != 5 {
		t.Errorf("%+v", p)
	}
}
