package e2e_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// receiver takes webhooks and keeps them by path.
type receiver struct {
	t    *testing.T
	url  string
	hook *standardwebhooks.Webhook

	mu  sync.Mutex
	got map[string]delivery
}

type delivery struct {
	id    string
	body  []byte
	times int
}

func receive(t *testing.T) *receiver {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, hook: hook, got: map[string]delivery{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// ServeHTTP checks the signature and that a repeated webhook is the same.
func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return // its sender died; it will come again
	}
	if err := r.hook.Verify(body, q.Header); err != nil {
		r.t.Errorf("webhook %s: %v", q.URL.Path, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d, again := r.got[q.URL.Path]
	id := q.Header.Get("Webhook-Id")
	if again && (d.id != id || !bytes.Equal(d.body, body)) {
		r.t.Errorf("webhook %s came as %s and as %s:\n%s\n%s", q.URL.Path, d.id, id, d.body, body)
	}
	r.got[q.URL.Path] = delivery{id, body, d.times + 1}
}

// at returns what came for a path.
func (r *receiver) at(path string) delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got[path]
}
