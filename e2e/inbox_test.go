package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/mediafn/mediafn/api"
)

// inbox is the world outside a cluster: it takes webhooks, some of them only at
// the second try, and offers services that answer later, twice, or not at all.
type inbox struct {
	t        *testing.T
	url      string
	hook     *standardwebhooks.Webhook
	gateways []string // where answers of services may go
	ctx      context.Context
	wg       sync.WaitGroup

	mu     sync.Mutex
	posts  map[string]*post // by webhook id
	ended  map[string]*ending
	counts map[string]int
}

// post is one webhook, however often it came.
type post struct {
	api.Callback
	body  []byte
	times int
}

// ending is the end of a task's generation, as webhooks tell it.
type ending struct {
	told chan struct{} // closed when the first comes
	ids  []string      // of webhooks
}

// newInbox listens on an address of this machine.
func newInbox(t *testing.T, address string) *inbox {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	in := &inbox{t: t, hook: hook, posts: map[string]*post{}, ended: map[string]*ending{}, counts: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hooks", in.take)
	mux.HandleFunc("POST /service", in.serve)
	mux.HandleFunc("POST /refuse", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnprocessableEntity) })
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: mux}}
	server.Start()
	in.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	in.ctx = ctx
	t.Cleanup(func() {
		cancel()
		server.Close()
		in.wg.Wait()
	})
	return in
}

// take keeps a webhook. Of eight, one is refused at first, and one is taken but
// its sender does not learn of it.
func (in *inbox) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its sender died or was cut off; it will come again
	}
	if err := in.hook.Verify(body, r.Header); err != nil {
		in.t.Errorf("webhook %s: %v", body, err)
	}
	id := r.Header.Get("Webhook-Id")
	in.mu.Lock()
	defer in.mu.Unlock()
	p := in.posts[id]
	if p == nil {
		p = &post{body: body}
		if err := json.Unmarshal(body, &p.Callback); err != nil {
			in.t.Errorf("webhook %s: %v", body, err)
		}
		in.posts[id] = p
		if p.Kind == api.Final {
			e := in.end(p.MsgID, p.Generation)
			if e.ids = append(e.ids, id); len(e.ids) == 1 {
				close(e.told)
			}
		}
	}
	if !bytes.Equal(p.body, body) {
		in.t.Errorf("webhook %s came with two bodies:\n%s\n%s", id, p.body, body)
	}
	if p.times++; p.times > 1 {
		in.counts["webhooks that came again"]++
		return
	}
	switch number(id) % 8 {
	case 0:
		w.WriteHeader(http.StatusInternalServerError)
	case 1:
		panic(http.ErrAbortHandler)
	}
}

// end is what is known of the end of a task's generation. in.mu is held.
func (in *inbox) end(msgID string, generation int) *ending {
	key := msgID + "/" + strconv.Itoa(generation)
	if in.ended[key] == nil {
		in.ended[key] = &ending{told: make(chan struct{})}
	}
	return in.ended[key]
}

// await returns a channel that is closed when a webhook has told the end.
func (in *inbox) await(msgID string, generation int) <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.end(msgID, generation).told
}

// serve is an outside service. How it behaves goes by the attempt.
func (in *inbox) serve(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Trace    string `json:"trace_id"`
		Callback string `json:"callback_url"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return // its caller died or was cut off
	}
	times, after := 1, time.Duration(0)
	switch number(asked.Trace) % 24 {
	case 0, 1, 2:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case 3, 4, 5, 6:
		times = 2
	case 7, 8, 9, 10:
		after = 3 * time.Second
	case 11:
		times = 0 // never
	}
	w.WriteHeader(http.StatusAccepted)
	for range times {
		in.wg.Go(func() { in.answer(asked.Callback, after) })
	}
}

// answer posts an answer until a gateway takes it, or says that nobody wants it.
func (in *inbox) answer(callback string, after time.Duration) {
	u, err := url.Parse(callback)
	if err != nil {
		in.t.Errorf("callback %q: %v", callback, err)
		return
	}
	wait := time.NewTimer(after)
	defer wait.Stop()
	for try := 0; try < 60; try++ {
		select {
		case <-wait.C:
		case <-in.ctx.Done():
			return
		}
		u.Host = in.gateways[try%len(in.gateways)] // a balancer stands before them
		ctx, cancel := context.WithTimeout(in.ctx, 5*time.Second)
		rq, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(`{"success":true,"code":"ok","facts":{"answer":42}}`))
		if err != nil {
			in.t.Error(err)
		}
		resp, err := http.DefaultClient.Do(rq)
		status := 0
		if err == nil {
			status = resp.StatusCode
			_ = resp.Body.Close()
		}
		cancel()
		switch {
		case status/100 == 2:
			return
		case status/100 == 4 && status != http.StatusTooManyRequests:
			if status != http.StatusNotFound && status != http.StatusConflict {
				in.t.Errorf("an answer of the outside service was refused: %s", resp.Status)
			}
			in.mu.Lock()
			in.counts["answers of the outside service for attempts that were over"]++
			in.mu.Unlock()
			return
		}
		wait.Reset(500 * time.Millisecond)
	}
}

// number spreads ids.
func number(id string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // cannot fail
	return h.Sum32()
}
