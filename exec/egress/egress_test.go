package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/internal/span"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func body(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(b)
	return b
}

// serve answers with content under an ETag, ranges included.
func serve(content []byte, etag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		w.Header().Set("Content-Type", "video/mp4; x=y")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.pause = time.Millisecond
	t.Cleanup(c.Close)
	return c
}

func local(t *testing.T) *Client { return client(t, Config{Allow: []string{"127.0.0.0/8"}}) }

func TestRangesAreReadInPlace(t *testing.T) {
	content := body(300_000)
	var asked atomic.Int64
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		serve(content, `"v1"`)(w, r)
	})
	r, err := local(t).Open(t.Context(), s.URL+"/a")
	if err != nil {
		t.Fatal(err)
	}
	if r.Size() != 300_000 || !r.Ranges() || r.Mime() != "video/mp4" || !bytes.Equal(r.Head(), content[:headSize]) || r.Identity() == "" {
		t.Fatalf("%+v", r)
	}
	for _, at := range [][2]int{{0, 10}, {65_530, 100}, {200_000, 50_000}, {299_990, 10}, {299_990, 50}, {300_000, 1}} {
		p := make([]byte, at[1])
		n, err := r.ReadAt(p, int64(at[0]))
		want := content[min(at[0], len(content)):min(at[0]+at[1], len(content))]
		if !bytes.Equal(p[:n], want) || (n < len(p)) != errors.Is(err, io.EOF) {
			t.Errorf("%v: %d bytes, %v", at, n, err)
		}
	}
	if asked.Load() != 5 { // the probe and four ranges; the head is not asked for twice
		t.Errorf("%d requests", asked.Load())
	}
	var all bytes.Buffer
	if n, err := r.Download(t.Context(), &all); err != nil || n != 300_000 || !bytes.Equal(all.Bytes(), content) {
		t.Errorf("download: %d bytes, %v", n, err)
	}
}

func TestServerWithoutRanges(t *testing.T) {
	content := body(200_000)
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/known" {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		}
		if r.URL.Path == "/lying" && r.Header.Get("Range") != "" {
			w.Header().Set("Content-Range", "bytes 7-9/10")
			w.WriteHeader(http.StatusPartialContent)
		}
		w.Write(content)
	})
	for path, size := range map[string]int64{"/known": 200_000, "/chunked": -1, "/lying": -1} {
		r, err := local(t).Open(t.Context(), s.URL+path)
		if err != nil {
			t.Fatal(path, err)
		}
		if r.Ranges() || r.Size() != size {
			t.Errorf("%s: ranges %v size %d", path, r.Ranges(), r.Size())
		}
		if _, err := r.ReadAt(make([]byte, 1), 100_000); !errs.Is(err, errs.Unsupported) {
			t.Errorf("%s: %v", path, err)
		}
		var all bytes.Buffer
		if _, err := r.Download(t.Context(), &all); err != nil || !bytes.Equal(all.Bytes(), content) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSmallObjects(t *testing.T) {
	for _, n := range []int{0, 1, 1000} {
		for _, ranged := range []bool{true, false} {
			content, asked := body(n), 0
			s := server(t, func(w http.ResponseWriter, r *http.Request) {
				asked++
				if ranged {
					serve(content, `"v"`)(w, r)
				} else {
					w.(http.Flusher).Flush()
					w.Write(content)
				}
			})
			r, err := local(t).Open(t.Context(), s.URL)
			if err != nil {
				t.Fatal(n, ranged, err)
			}
			var all bytes.Buffer
			if _, err := r.Download(t.Context(), &all); err != nil || !bytes.Equal(all.Bytes(), content) || r.Size() != int64(n) || asked != 1 {
				t.Errorf("%d %v: size %d, %d requests, %v", n, ranged, r.Size(), asked, err)
			}
		}
	}
}

func TestObjectChangesWhileRead(t *testing.T) {
	old, fresh := body(200_000), body(200_001)
	for name, after := range map[string]http.HandlerFunc{
		"other etag":   serve(old, `"v2"`),
		"other length": serve(fresh, `"v1"`),
		"shorter":      serve(old[:70_000], `"v1"`),
	} {
		var swap atomic.Bool
		s := server(t, func(w http.ResponseWriter, r *http.Request) {
			if swap.Load() {
				after(w, r)
			} else {
				serve(old, `"v1"`)(w, r)
			}
		})
		r, err := local(t).Open(t.Context(), s.URL)
		if err != nil {
			t.Fatal(err)
		}
		swap.Store(true)
		if _, err := r.ReadAt(make([]byte, 100), 150_000); !errs.Is(err, errs.Transient) || !errors.Is(err, errChanged) {
			t.Errorf("%s: read: %v", name, err)
		}
		if _, err := r.Download(t.Context(), io.Discard); !errors.Is(err, errChanged) {
			t.Errorf("%s: download: %v", name, err)
		}
	}
}

func TestFaultsAreTriedAgain(t *testing.T) {
	content, asked := body(200_000), 0
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch asked++; {
		case asked == 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case asked == 3: // breaks off in the middle of the range
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Content-Range", "bytes 100000-199999/200000")
			w.Header().Set("Content-Length", "100000")
			w.WriteHeader(http.StatusPartialContent)
			w.Write(content[100_000:150_000])
		default:
			serve(content, `"v1"`)(w, r)
		}
	})
	r, err := local(t).Open(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 100_000)
	if n, err := r.ReadAt(p, 100_000); err != nil || !bytes.Equal(p[:n], content[100_000:]) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestKinds(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		code := 0
		fmt.Sscanf(r.URL.Path, "/%d", &code)
		switch {
		case code > 0:
			w.WriteHeader(code)
		case r.URL.Path == "/huge":
			w.Header().Set("Content-Range", "bytes 0-65535/5000000")
			w.WriteHeader(http.StatusPartialContent)
			w.Write(make([]byte, headSize))
		case r.URL.Path == "/endless":
			for {
				if _, err := w.Write(make([]byte, headSize)); err != nil {
					return
				}
			}
		case r.URL.Path == "/header":
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		case r.URL.Path == "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write([]byte("x"))
		case r.URL.Path == "/broken":
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case r.URL.Path == "/file":
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		case r.URL.Path == "/slow":
			<-r.Context().Done()
		}
	})
	closed := httptest.NewServer(nil)
	closed.Close()
	c := client(t, Config{Allow: []string{"127.0.0.1"}, MaxBytes: 1_000_000, Timeout: time.Second})
	for addr, want := range map[string]errs.Kind{
		s.URL + "/404": errs.NotFound, s.URL + "/410": errs.NotFound, s.URL + "/401": errs.Denied, s.URL + "/403": errs.Denied,
		s.URL + "/400": errs.Invalid, s.URL + "/500": errs.Transient, s.URL + "/503": errs.Transient, s.URL + "/429": errs.Busy,
		s.URL + "/huge": errs.TooLarge, s.URL + "/header": errs.Transient, s.URL + "/gzip": errs.Unsupported,
		s.URL + "/broken": errs.Transient, s.URL + "/loop": errs.Invalid, s.URL + "/file": errs.Denied, s.URL + "/slow": errs.Transient,
		closed.URL: errs.Transient, "ftp://127.0.0.1/x": errs.Invalid, "file:///etc/passwd": errs.Invalid, "http://": errs.Invalid,
		"http://[::1": errs.Invalid, "gopher:x": errs.Invalid, "": errs.Invalid, "http://x/" + strings.Repeat("x", maxURL): errs.Invalid,
		"http://does-not-exist.invalid/": errs.NotFound,
	} {
		_, err := c.Open(t.Context(), addr)
		// Without a name server the answer about an unknown name is a fault.
		if errs.KindOf(err) != want && !(want == errs.NotFound && strings.Contains(addr, ".invalid") && errs.Is(err, errs.Transient)) {
			t.Errorf("%.60s: %v (%v), want %v", addr, err, errs.KindOf(err), want)
		}
		if errs.Is(err, errs.Invalid) && !strings.HasPrefix(addr, s.URL+"/400") && errs.FieldOf(err) != "url" {
			t.Errorf("%.60s: blames field %q", addr, errs.FieldOf(err))
		}
	}
	r, err := c.Open(t.Context(), s.URL+"/endless")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.Download(t.Context(), io.Discard); !errs.Is(err, errs.TooLarge) {
		t.Errorf("endless: %d bytes, %v", n, err)
	}
}

func TestStalledDownloadEnds(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, 100_000))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	c := client(t, Config{Allow: []string{"127.0.0.1"}, Timeout: 300 * time.Millisecond})
	r, err := c.Open(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Download(t.Context(), io.Discard); !errs.Is(err, errs.Transient) {
		t.Errorf("stall: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Download(ctx, io.Discard); !errs.Is(err, errs.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if _, err := c.Open(ctx, s.URL); !errs.Is(err, errs.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// TestPrivateAddressesAreNeverDialed sets a trap that must stay untouched.
func TestPrivateAddressesAreNeverDialed(t *testing.T) {
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var caught atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := trap.Accept()
			if err != nil {
				return
			}
			caught.Add(1)
			conn.Close()
		}
	}()
	t.Cleanup(func() { trap.Close(); <-done })
	t.Setenv("HTTP_PROXY", "http://"+trap.Addr().String())
	t.Setenv("http_proxy", "http://"+trap.Addr().String())
	port := trap.Addr().(*net.TCPAddr).Port
	public := server(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	c := client(t, Config{Allow: []string{strings.TrimPrefix(public.URL, "http://")}})
	hosts := []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]", "127.1.2.3",
		"[64:ff9b::7f00:1]", "[2002:7f00:1::]", "10.0.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "[fe80::1%25lo]", "[fd00::1]", "user:pw@127.0.0.1"}
	for _, h := range hosts {
		direct := fmt.Sprintf("http://%s:%d/", h, port)
		for _, addr := range []string{direct, public.URL + "/?to=" + url.QueryEscape(direct)} {
			if _, err := c.Open(t.Context(), addr); !errs.Is(err, errs.Denied) {
				t.Errorf("%s: %v", addr, err)
			}
		}
	}
	for _, h := range []string{"localhost.", "2130706433", "0x7f.1", "127.1", "0177.0.0.1"} { // resolvers and C libraries may take these for 127.0.0.1
		if _, err := c.Open(t.Context(), fmt.Sprintf("http://%s:%d/", h, port)); err == nil {
			t.Errorf("%s was fetched", h)
		}
	}
	if n := caught.Load(); n != 0 {
		t.Errorf("%d connections reached a private address", n)
	}
}

func TestPublic(t *testing.T) {
	for s, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.15.255.255": true, "172.32.0.1": true, "2606:4700::1111": true, "2001:4860:4860::8888": true,
		"192.0.0.1": false, "198.18.0.1": false, "255.255.255.255": false, "240.0.0.1": false, "::ffff:8.8.8.8": false, "64:ff9b::808:808": false,
		"64:ff9b:1::1": false, "2002::1": false, "2001::1": false, "2001:db8::1": false, "fc00::1": false, "fe80::1": false, "ff02::1": false,
		"::": false, "::1": false, "::8.8.8.8": false, "100::1": false, "3fff::1": false,
	} {
		if got := public(netip.MustParseAddr(s)); got != want {
			t.Errorf("public(%s) = %v", s, got)
		}
	}
}

func TestAllow(t *testing.T) {
	x, err := parseAllow([]string{"10.1.0.0/16", "Store.Internal:9000", "wide.internal", "127.0.0.1:80", "[::1]:8080", "fd00::1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		host, port, addr string
		want             bool
	}{
		{"a", "1", "10.1.2.3", true}, {"a", "1", "10.2.2.3", false}, {"store.internal.", "9000", "10.9.9.9", true},
		{"store.internal", "9001", "10.9.9.9", false}, {"wide.internal", "7", "10.9.9.9", true}, {"a", "80", "127.0.0.1", true},
		{"a", "81", "127.0.0.1", false}, {"a", "8080", "::1", true}, {"a", "1", "fd00::1", true}, {"a", "1", "fd00::2", false},
	} {
		if got := x.allows(c.host, c.port, netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	for _, bad := range []string{"", "http://x", "x:0", "x:http", "10.0.0.0/33", ":80", "*"} {
		if _, err := New(Config{Allow: []string{bad}}); errs.FieldOf(err) != "egress.allow" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCredentialsStayWithTheirHost(t *testing.T) {
	got := map[string]string{}
	record := func(r *http.Request) {
		got[r.URL.Path] = r.Header.Get("Authorization") + r.Header.Get("Referer") + r.Header.Get("Cookie")
	}
	other := server(t, func(w http.ResponseWriter, r *http.Request) { record(r); serve(body(100_000), `"o"`)(w, r) })
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		record(r)
		http.SetCookie(w, &http.Cookie{Name: "c", Value: "v"})
		http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+"/other", http.StatusFound)
	})
	c := client(t, Config{Allow: []string{"127.0.0.1", "localhost"}})
	r, err := c.Open(t.Context(), strings.Replace(s.URL, "http://", "http://user:secret@", 1)+"/own?sig=secret")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAt(make([]byte, 10), 90_000); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got["/own"], "Basic ") || got["/other"] != "" {
		t.Error(got)
	}
	if _, err := c.Open(t.Context(), "http://user:secret@127.0.0.1:1/x?sig=secret"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error("credentials in an error:", err)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(serve(body(100_000), `"v"`))
	defer s.Close()
	if _, err := local(t).Open(t.Context(), s.URL); !errs.Is(err, errs.Denied) {
		t.Errorf("unknown authority: %v", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	c := client(t, Config{Allow: []string{"127.0.0.1"}, TLS: &tls.Config{RootCAs: pool}})
	if r, err := c.Open(t.Context(), s.URL); err != nil || r.Size() != 100_000 {
		t.Error(err)
	}
}

func TestExpiredRedirect(t *testing.T) {
	content, generation := body(200_000), atomic.Int64{}
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		signed := fmt.Sprintf("/signed/%d", generation.Load())
		switch r.URL.Path {
		case "/":
			http.Redirect(w, r, signed, http.StatusTemporaryRedirect)
		case signed:
			serve(content, `"v"`)(w, r)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	})
	r, err := local(t).Open(t.Context(), s.URL+"/")
	if err != nil {
		t.Fatal(err)
	}
	generation.Add(1)
	p := make([]byte, 1000)
	if _, err := r.ReadAt(p, 100_000); err != nil || !bytes.Equal(p, content[100_000:101_000]) {
		t.Error(err)
	}
}

func TestPost(t *testing.T) {
	var got []string
	trace := ""
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		trace = r.Header.Get("Traceparent")
		got = append(got, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Sig")+" "+string(b))
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}
	})
	c := local(t)
	for path, want := range map[string]int{"/hook": 200, "/moved": 307} {
		got = nil
		code, _, err := c.Post(t.Context(), s.URL+path, http.Header{"X-Sig": {"s"}}, []byte("body"))
		if err != nil || code != want || len(got) != 1 || got[0] != "POST "+path+" s body" {
			t.Errorf("%s: %d %v %q", path, code, err, got)
		}
	}
	const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if _, _, err := c.Post(span.Remote(t.Context(), traceparent), s.URL+"/traced", nil, nil); err != nil || trace != traceparent {
		t.Errorf("trace %q, %v", trace, err)
	}
	if _, _, err := client(t, Config{}).Post(t.Context(), s.URL, nil, nil); !errs.Is(err, errs.Denied) {
		t.Error(err)
	}
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-99/1234", "bytes */5", "bytes 0-0/*", "bytes 5-2/9", "bytes +1-2/3", "", "x 0-1/2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, last, total, err := contentRange(s)
		if err != nil {
			return
		}
		if first == -1 && last == -1 && total >= 0 {
			return
		}
		if first < 0 || first > last || last >= total {
			t.Errorf("%q: %d-%d/%d", s, first, last, total)
		}
	})
}
