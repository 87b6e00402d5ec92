package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/errs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const kib = 1 << 10

func body(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(b)
	return b
}

func open(t *testing.T, cfg Config) *Gate {
	t.Helper()
	g, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return g
}

func grant(t *testing.T, g *Gate, src Source, identity string) *Grant {
	t.Helper()
	gr, err := g.Grant(t.Context(), src, identity)
	if err != nil {
		t.Fatal(err)
	}
	return gr
}

func fetch(t *testing.T, method, url, ranges string) (*http.Response, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ranges != "" {
		req.Header.Set("Range", ranges)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, b, err
}

// TestServesWhatTheStandardLibraryServes compares with http.ServeContent.
func TestServesWhatTheStandardLibraryServes(t *testing.T) {
	g := open(t, Config{BlockSize: 4 * kib, CacheBytes: 16 * kib})
	for _, n := range []int{0, 1, 4 * kib, 100*kib + 7} {
		content := body(n)
		ref := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/octet-stream")
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		}))
		gr := grant(t, g, bytes.NewReader(content), "")
		for _, ranges := range []string{"", "bytes=0-0", "bytes=0-", "bytes=5-4099", "bytes=4096-8191", "bytes=100000-", "bytes=-1", "bytes=-5000",
			"bytes=-999999", "bytes=100-999999", "bytes=999999-", "bytes=999999-9999999"} {
			if n == 0 && ranges != "" {
				continue // ServeContent serves nothing with 200; the gate says 416, as the standard does
			}
			for _, method := range []string{"GET", "HEAD"} {
				want, wantBody, err1 := fetch(t, method, ref.URL, ranges)
				got, gotBody, err2 := fetch(t, method, gr.URL(), ranges)
				if err1 != nil || err2 != nil {
					t.Fatal(err1, err2)
				}
				if got.StatusCode != want.StatusCode || got.StatusCode < 300 && (!bytes.Equal(gotBody, wantBody) || got.ContentLength != want.ContentLength) ||
					got.Header.Get("Content-Range") != want.Header.Get("Content-Range") {
					t.Errorf("%d bytes, %s %q: %s %q, want %s %q", n, method, ranges, got.Status, got.Header.Get("Content-Range"), want.Status, want.Header.Get("Content-Range"))
				}
			}
		}
		ref.Close()
	}
}

func TestOnlyWhatWasGranted(t *testing.T) {
	g := open(t, Config{})
	a, b := grant(t, g, bytes.NewReader(body(10)), ""), grant(t, g, bytes.NewReader(body(20)), "")
	if a.URL() == b.URL() {
		t.Fatal("one token for two grants")
	}
	base := fmt.Sprintf("http://127.0.0.1:%d", g.Port())
	for _, path := range []string{"", "/", "/x", "/../" + a.token, "/" + a.token + "/", "/" + a.token + "x", "/healthz", "/" + a.token[:25]} {
		if resp, _, err := fetch(t, "GET", base+path, ""); err != nil || resp.StatusCode != 404 {
			t.Errorf("%q: %v %v", path, resp, err)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		if resp, _, err := fetch(t, method, a.URL(), ""); err != nil || resp.StatusCode != 405 {
			t.Errorf("%s: %v %v", method, resp, err)
		}
	}
	a.Revoke()
	a.Revoke()
	if resp, _, err := fetch(t, "GET", a.URL(), ""); err != nil || resp.StatusCode != 404 {
		t.Errorf("revoked: %v %v", resp, err)
	}
	if _, err := a.ReadAt(make([]byte, 1), 0); !errs.Is(err, errs.Canceled) {
		t.Errorf("revoked: %v", err)
	}
	if _, got, err := fetch(t, "GET", b.URL(), ""); err != nil || len(got) != 20 {
		t.Errorf("the other grant: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c, err := g.Grant(ctx, bytes.NewReader(body(5)), "")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if resp, _, err := fetch(t, "GET", c.URL(), ""); err != nil || resp.StatusCode != 404 {
		t.Errorf("after its context: %v %v", resp, err)
	}
}

func TestReadAt(t *testing.T) {
	g := open(t, Config{BlockSize: 1000})
	content := body(10_500)
	gr := grant(t, g, bytes.NewReader(content), "")
	if err := iotest.TestReader(io.NewSectionReader(gr, 0, gr.Size()), content); err != nil {
		t.Error(err)
	}
	p := make([]byte, 100)
	if n, err := gr.ReadAt(p, 10_450); n != 50 || !errors.Is(err, io.EOF) {
		t.Error(n, err)
	}
	if _, err := gr.ReadAt(p, -1); err == nil {
		t.Error("negative offset")
	}
}

// TestOneTransferForAllReaders: readers of one content in several grants cost
// the store each byte once.
func TestOneTransferForAllReaders(t *testing.T) {
	const size = 1 << 20
	g := open(t, Config{BlockSize: 64 * kib, CacheBytes: 2 << 20})
	content := body(size)
	var wg sync.WaitGroup
	for i := range 8 {
		gr := grant(t, g, bytes.NewReader(content), "blob v1")
		wg.Go(func() {
			if i%2 == 0 {
				if _, b, err := fetch(t, "GET", gr.URL(), ""); err != nil || !bytes.Equal(b, content) {
					t.Error(err)
				}
			} else if b, err := io.ReadAll(io.NewSectionReader(gr, 0, size)); err != nil || !bytes.Equal(b, content) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := g.Stats()
	// What a reader has is counted a moment after it has it.
	for over := time.After(10 * time.Second); s.Served != 8*size; s = g.Stats() {
		select {
		case <-over:
			t.Fatalf("%+v", s)
		case <-time.After(time.Millisecond):
		}
	}
	if s.Fetched != size || s.Fetches != 16 {
		t.Errorf("%+v", s)
	}
}

func TestCacheIsBounded(t *testing.T) {
	g := open(t, Config{BlockSize: 1000, CacheBytes: 4000})
	shared := grant(t, g, bytes.NewReader(body(10_000)), "a")
	private := grant(t, g, bytes.NewReader(body(2_000)), "")
	read := func(gr *Grant, block int64) {
		t.Helper()
		if _, err := gr.ReadAt(make([]byte, 1), block*1000); err != nil {
			t.Fatal(err)
		}
	}
	read(private, 0)
	for n := range int64(10) {
		read(shared, n)
		read(private, 0) // used again and again, so it stays
	}
	if g.cache.used != 4000 || len(g.cache.blocks) != 4 || g.Stats().Fetches != 11 {
		t.Errorf("%d bytes in %d blocks after %d fetches", g.cache.used, len(g.cache.blocks), g.Stats().Fetches)
	}
	private.Revoke()
	shared.Revoke()
	if g.cache.used != 3000 {
		t.Errorf("%d bytes after revoking", g.cache.used)
	}
	again := grant(t, g, bytes.NewReader(body(10_000)), "a")
	read(again, 9)
	if g.Stats().Fetches != 11 {
		t.Error("what is shared was fetched again")
	}
}

// stuck is a source whose reads wait for ctx or for release.
type stuck struct {
	size    int64
	entered chan struct{}
	release chan struct{}
	ended   atomic.Int64
}

func newStuck(size int64) *stuck {
	return &stuck{size: size, entered: make(chan struct{}, 100), release: make(chan struct{})}
}

func (s *stuck) Size() int64                             { return s.size }
func (s *stuck) ReadAt(p []byte, off int64) (int, error) { panic("the context is lost") }
func (s *stuck) ReadAtContext(ctx context.Context, p []byte, off int64) (int, error) {
	s.entered <- struct{}{}
	defer s.ended.Add(1)
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-s.release:
		return len(p), nil
	}
}

func TestStuckSources(t *testing.T) {
	g := open(t, Config{BlockSize: 100})
	t.Run("the reader gives up", func(t *testing.T) {
		s := newStuck(100)
		gr := grant(t, g, s, "")
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-s.entered; cancel() }()
		if _, err := gr.ReadAtContext(ctx, make([]byte, 1), 0); !errs.Is(err, errs.Canceled) {
			t.Error(err)
		}
		if gr.Err() != nil {
			t.Error("giving up is no fault of the source:", gr.Err())
		}
	})
	t.Run("one of two readers gives up", func(t *testing.T) {
		s := newStuck(100)
		gr := grant(t, g, s, "")
		got := make(chan error, 1)
		go func() { _, err := gr.ReadAt(make([]byte, 1), 0); got <- err }()
		<-s.entered
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := gr.ReadAtContext(ctx, make([]byte, 1), 50); err == nil {
			t.Error("no error")
		}
		close(s.release)
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
	t.Run("the grant a block is read through is revoked", func(t *testing.T) {
		s := newStuck(100)
		gone, stays := grant(t, g, s, "same"), grant(t, g, bytes.NewReader(body(100)), "same")
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { _, err := gone.ReadAt(make([]byte, 1), 0); first <- err }()
		<-s.entered
		go func() { _, err := stays.ReadAt(make([]byte, 1), 0); second <- err }()
		gone.Revoke()
		if err := <-first; !errs.Is(err, errs.Canceled) {
			t.Error(err)
		}
		if err := <-second; err != nil {
			t.Error(err)
		}
	})
	t.Run("revoked during a request", func(t *testing.T) {
		s := newStuck(100)
		gr := grant(t, g, s, "")
		go func() { <-s.entered; gr.Revoke() }()
		if resp, _, err := fetch(t, "GET", gr.URL(), ""); err == nil && resp.StatusCode != 503 {
			t.Error(resp.Status)
		}
	})
	t.Run("the gate closes", func(t *testing.T) {
		g, err := Open(Config{BlockSize: 100})
		if err != nil {
			t.Fatal(err)
		}
		s := newStuck(1000)
		gr := grant(t, g, s, "")
		got := make(chan error, 1)
		go func() { _, err := gr.ReadAt(make([]byte, 1), 0); got <- err }()
		<-s.entered
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if err := <-got; !errs.Is(err, errs.Canceled) {
			t.Error(err)
		}
		if s.ended.Load() != 1 {
			t.Error("Close left a read behind")
		}
		if _, err := g.Grant(t.Context(), s, ""); !errs.Is(err, errs.Canceled) {
			t.Error(err)
		}
	})
}

// TestReaderThatStopsReading: a tool that hangs with its connection open
// holds nothing once its grant is gone.
func TestReaderThatStopsReading(t *testing.T) {
	g := open(t, Config{BlockSize: 1 << 20})
	gr := grant(t, g, zeros(1<<30), "")
	resp, err := http.Get(gr.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	gr.Revoke()
	g.handlers.Wait()
	if f, _ := gr.Fetched(); f > 16<<20 {
		t.Errorf("%d bytes were fetched for a reader that took none", f)
	}
}

type zeros int64

func (z zeros) Size() int64                             { return int64(z) }
func (z zeros) ReadAt(p []byte, off int64) (int, error) { clear(p); return len(p), nil }

// faulty is a source that ends in an error at a byte.
type faulty struct {
	*bytes.Reader
	at  int64
	err error
}

func (f faulty) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.at {
		return 0, f.err
	}
	return f.Reader.ReadAt(p, off)
}

func TestFaultySources(t *testing.T) {
	g := open(t, Config{BlockSize: 100})
	gone := errs.New(errs.NotFound, "blob", "gone")
	gr := grant(t, g, faulty{bytes.NewReader(body(1000)), 500, gone}, "")
	if resp, _, err := fetch(t, "GET", gr.URL(), "bytes=600-"); err != nil || resp.StatusCode != 502 {
		t.Errorf("at once: %v %v", resp, err)
	}
	if resp, b, err := fetch(t, "GET", gr.URL(), ""); err == nil {
		t.Errorf("half way: %s, %d bytes, no error", resp.Status, len(b))
	}
	if !errors.Is(gr.Err(), gone) || !errs.Is(gr.Err(), errs.NotFound) {
		t.Error(gr.Err())
	}
	short := grant(t, g, faulty{bytes.NewReader(body(1000)), 500, io.EOF}, "")
	if _, err := short.ReadAt(make([]byte, 1000), 0); !errs.Is(err, errs.Transient) {
		t.Error("shorter than it says:", err)
	}
}

func TestTooManyRequests(t *testing.T) {
	g := open(t, Config{BlockSize: 100, MaxRequests: 1})
	s := newStuck(100)
	busy, idle := grant(t, g, s, ""), grant(t, g, bytes.NewReader(body(10)), "")
	done := make(chan struct{})
	go func() { defer close(done); fetch(t, "GET", busy.URL(), "") }()
	<-s.entered
	if resp, _, err := fetch(t, "GET", idle.URL(), ""); err != nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%v %v", resp, err)
	}
	close(s.release)
	<-done
}

// TestReadsAgree: whatever is read in whatever order through a small cache is
// what the source holds.
func TestReadsAgree(t *testing.T) {
	content := body(5_000)
	g := open(t, Config{BlockSize: 333, CacheBytes: 1000})
	rapid.Check(t, func(rt *rapid.T) {
		gr, err := g.Grant(context.Background(), bytes.NewReader(content), rapid.SampledFrom([]string{"", "x"}).Draw(rt, "identity"))
		if err != nil {
			rt.Fatal(err)
		}
		defer gr.Revoke()
		for range 5 {
			off, n := rapid.IntRange(0, 5_100).Draw(rt, "off"), rapid.IntRange(0, 2_000).Draw(rt, "n")
			p := make([]byte, n)
			k, err := gr.ReadAt(p, int64(off))
			want := content[min(off, 5_000):min(off+n, 5_000)]
			if !bytes.Equal(p[:k], want) || err != nil && !errors.Is(err, io.EOF) {
				rt.Fatalf("%d+%d: %d bytes, %v", off, n, k, err)
			}
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"", "bytes=0-", "bytes=-5", "bytes=5-2", "bytes=0-0,2-3", "items=0-1", "bytes=99999999999999999999-", "bytes=-0", "bytes= 1-2"} {
		f.Add(s, int64(100))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		s, code := parseRange(header, size)
		switch code {
		case http.StatusOK:
			if s != (span{0, size}) {
				t.Errorf("%q of %d: %+v", header, size, s)
			}
		case http.StatusPartialContent:
			if s.start < 0 || s.length < 1 || s.start+s.length > size {
				t.Errorf("%q of %d: %+v", header, size, s)
			}
		case http.StatusRequestedRangeNotSatisfiable:
		default:
			t.Errorf("%q of %d: status %d", header, size, code)
		}
	})
}
