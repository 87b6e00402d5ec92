package testparts

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Fault is what a FaultProxy does to requests instead of passing them on. The
// zero Fault does nothing.
type Fault struct {
	Only  func(*http.Request) bool // the requests that are hit; nil = all
	Times int                      // how many are hit; 0 = all, until Heal

	Delay    time.Duration // waits before anything else
	Status   int           // answers with this status, and an S3 error of Code
	Code     string        // "SlowDown", "InternalError" …
	Refuse   bool          // cuts the connection before the server hears of it
	Lose     bool          // lets the server answer, and cuts the connection instead of passing that on
	CutBody  int64         // cuts the connection after so many bytes of the request's body; 0 = not
	CutReply int64         // cuts the connection after so many bytes of the answer's body; 0 = not
}

// FaultProxy stands in front of an HTTP server and breaks what it is told to. It
// keeps the Host header, so signed requests stay valid.
type FaultProxy struct {
	Endpoint string // HOST:PORT

	mu    sync.Mutex
	fault Fault
	hits  int
}

// NewFaultProxy starts a proxy in front of the server at endpoint (HOST:PORT). It
// listens on 127.0.0.1, or on another address if one is given, and ends with the
// test.
func NewFaultProxy(t testing.TB, endpoint string, listen ...string) *FaultProxy {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(append(listen, "127.0.0.1")[0], "0"))
	if err != nil {
		t.Fatal(err)
	}
	p := &FaultProxy{Endpoint: l.Addr().String()}
	transport := &http.Transport{DisableCompression: true}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	handler := p.handler(transport, endpoint)
	server := &http.Server{
		BaseContext: func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Done()
			handler.ServeHTTP(w, r)
		}),
	}
	running.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		cancel() // ends delays: of a client that left without its body being read, net/http says nothing
		_ = server.Close()
		running.Wait()
		transport.CloseIdleConnections()
	})
	return p
}

// Break has requests hit by f from now on.
func (p *FaultProxy) Break(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.hits = f, 0
}

// Heal lets everything pass again.
func (p *FaultProxy) Heal() { p.Break(Fault{}) }

// Hits counts the requests that were hit since the last Break.
func (p *FaultProxy) Hits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits
}

// take returns what happens to a request.
func (p *FaultProxy) take(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.fault
	idle := f.Delay == 0 && f.Status == 0 && !f.Refuse && !f.Lose && f.CutBody == 0 && f.CutReply == 0
	if idle || f.Only != nil && !f.Only(r) || f.Times > 0 && p.hits >= f.Times {
		return Fault{}
	}
	p.hits++
	return f
}

type faultKey struct{}

func (p *FaultProxy) handler(transport http.RoundTripper, endpoint string) http.Handler {
	target := &url.URL{Scheme: "http", Host: endpoint}
	cut := func() { panic(http.ErrAbortHandler) } // net/http closes the connection, silently
	proxy := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(r *http.Response) error {
			f := r.Request.Context().Value(faultKey{}).(Fault)
			if f.Lose {
				return http.ErrAbortHandler
			}
			if f.CutReply > 0 {
				r.Body = &cutting{ReadCloser: r.Body, left: f.CutReply}
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { cut() }, // the server is gone: so are we
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := p.take(r)
		if f.Delay > 0 {
			timer := time.NewTimer(f.Delay)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done():
				cut()
			}
		}
		switch {
		case f.Refuse:
			cut()
		case f.Status != 0:
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(f.Status)
			if r.Method != http.MethodHead {
				_, _ = io.WriteString(w, "<Error><Code>"+f.Code+"</Code><Message>by order of the test</Message></Error>")
			}
			return
		case f.CutBody > 0:
			r.Body = &cutting{ReadCloser: r.Body, left: f.CutBody}
		}
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), faultKey{}, f)))
	})
}

// cutting fails after some bytes.
type cutting struct {
	io.ReadCloser
	left int64
}

func (c *cutting) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
