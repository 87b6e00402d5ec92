package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/internal/testparts"
)

// behind is a gateway that listens, and a client of it that reaches it through a
// proxy.
func behind(t *testing.T) (*client.Client, *testparts.FaultProxy) {
	t.Helper()
	a, err := app.Open(t.Context(), app.Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Roles: []string{"gateway"}, Queue: "mem", Most: 1, Lease: 15 * time.Second, Tick: 50 * time.Millisecond,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errs.Is(err, errs.Canceled) {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	proxy := testparts.NewFaultProxy(t, a.Address())
	c, err := client.New("http://"+proxy.Endpoint, "", &http.Client{Transport: &http.Transport{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, proxy
}

const kib = 1 << 10

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

func only(method string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method }
}

// begun is an upload of body to inputs/k.
func begun(t *testing.T, c *client.Client, body []byte) string {
	t.Helper()
	id, err := c.CreateUpload(t.Context(), client.File{
		Ref: media.Ref{Bucket: "inputs", Key: "k"}, Name: "clip.mp4", Mime: "video/mp4", Size: int64(len(body)), Meta: map[string]string{"note": "mine"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestSendUpload sends a file over a line on which everything goes wrong that can
// be gone on after.
func TestSendUpload(t *testing.T) {
	c, proxy := behind(t)
	body := noise(3000 * kib)
	for name, fault := range map[string]testparts.Fault{
		"nothing":                 {},
		"the sum can't be asked":  {Only: only("OPTIONS"), Times: 2, Refuse: true},
		"the offset can't be":     {Only: only("HEAD"), Times: 2, Refuse: true},
		"a body breaks off":       {Only: only("PATCH"), Times: 3, CutBody: 200 * kib},
		"an answer is lost":       {Only: only("PATCH"), Times: 2, Lose: true},
		"a proxy is out of order": {Only: only("PATCH"), Times: 2, Status: 502},
		"the end is not told":     {Only: only("GET"), Times: 1, Refuse: true},
	} {
		t.Run(name, func(t *testing.T) {
			id := begun(t, c, body)
			proxy.Break(fault)
			defer proxy.Heal()
			var most int64
			u, err := c.SendUpload(t.Context(), id, bytes.NewReader(body), int64(len(body)), client.Sending{
				Pause: time.Millisecond, Told: func(n int64) { most = max(most, n) },
			})
			if err != nil || u.State != arrival.Done || u.Bucket != "inputs" || u.Key != "k" {
				t.Fatalf("%+v %v", u, err)
			}
			if most != int64(len(body)) {
				t.Errorf("told of %d bytes at the most", most)
			}
			if fault.Times > 0 && proxy.Hits() != fault.Times {
				t.Errorf("%d faults happened, not %d", proxy.Hits(), fault.Times)
			}
			r, _, err := c.GetObject(t.Context(), u.Ref)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, body) {
				t.Errorf("the object is another: %d bytes, %v", len(got), err)
			}
		})
	}
}

// TestSendUploadGoesOn: who gives up, or is told to, goes on later where it was.
func TestSendUploadGoesOn(t *testing.T) {
	c, proxy := behind(t)
	body := noise(2500 * kib) // requests of 1 MiB and the rest
	id := begun(t, c, body)
	patches := 0
	proxy.Break(testparts.Fault{Only: func(r *http.Request) bool {
		if r.Method == "PATCH" {
			patches++
		}
		return patches > 1
	}, Refuse: true})
	_, err := c.SendUpload(t.Context(), id, bytes.NewReader(body), int64(len(body)), client.Sending{Tries: 3, Pause: time.Millisecond})
	if !errs.Is(err, errs.Transient) {
		t.Fatal(err)
	}
	proxy.Heal()
	head, err := c.UploadHead(t.Context(), id)
	if err != nil || head.Offset != 1024*kib || head.Size != int64(len(body)) || head.Meta["note"] != "mine" || head.Meta["filename"] != "clip.mp4" {
		t.Fatalf("%+v %v", head, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone home")
	_, err = c.SendUpload(ctx, id, bytes.NewReader(body), int64(len(body)), client.Sending{Told: func(n int64) {
		if n > 1100*kib {
			cancel(gone)
		}
	}})
	if !errors.Is(err, gone) {
		t.Fatal(err)
	}
	if u, err := c.SendUpload(t.Context(), id, bytes.NewReader(body), int64(len(body)), client.Sending{}); err != nil || u.Offset != int64(len(body)) {
		t.Fatalf("%+v %v", u, err)
	}
}

// TestSendUploadStalls: a request in which nothing moves is broken off and made
// again.
func TestSendUploadStalls(t *testing.T) {
	c, proxy := behind(t)
	body := noise(300 * kib)
	id := begun(t, c, body)
	proxy.Break(testparts.Fault{Only: only("PATCH"), Times: 1, Delay: time.Hour})
	u, err := c.SendUpload(t.Context(), id, bytes.NewReader(body), int64(len(body)), client.Sending{Stall: 200 * time.Millisecond, Pause: time.Millisecond})
	if err != nil || u.State != arrival.Done || proxy.Hits() != 1 {
		t.Fatalf("%+v %v, %d hits", u, err, proxy.Hits())
	}
}

// TestSendUploadFails: what would only fail again is not tried again.
func TestSendUploadFails(t *testing.T) {
	c, _ := behind(t)
	ctx, body := t.Context(), noise(100*kib)
	send := func(id string, r io.ReaderAt, size int) error {
		_, err := c.SendUpload(ctx, id, r, int64(size), client.Sending{Pause: time.Hour})
		return err
	}
	id := begun(t, c, body)
	if err := send(id, bytes.NewReader(body[:50*kib]), len(body)); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "can't be read") {
		t.Errorf("a file that became shorter: %v", err)
	}
	if err := c.EndUpload(ctx, id); err != nil {
		t.Fatal(err)
	}
	if err := send(id, bytes.NewReader(body), len(body)); !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "the caller ended it") {
		t.Errorf("an upload that is over: %v", err)
	}
	if err := send("none", bytes.NewReader(body), len(body)); !errs.Is(err, errs.NotFound) {
		t.Errorf("no such upload: %v", err)
	}
	id = begun(t, c, body)
	if err := send(id, bytes.NewReader(body), len(body)); err != nil {
		t.Fatal(err)
	}
	if err := send(id, bytes.NewReader(body), len(body)-1); !errs.Is(err, errs.Invalid) {
		t.Errorf("a shorter file: %v", err)
	}
	if _, err := c.CreateUpload(ctx, client.File{Ref: media.Ref{Bucket: "arriving"}, Size: 1}); !errs.Is(err, errs.Denied) {
		t.Errorf("the platform's own bucket: %v", err)
	}
}
