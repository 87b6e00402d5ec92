// Package gate is the blob gate: a loopback HTTP server through which tools
// read media in place. It serves ranges of exactly the objects it was granted,
// each under a random token, and keeps the blocks read last, so that several
// readers of one object cost the store one transfer.
package gate

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

const op = "gate"

// Source is the object behind a grant. ReadAt is used concurrently; one that
// can wait for long also implements ContextSource.
type Source interface {
	io.ReaderAt
	Size() int64
}

// ContextSource is a Source whose reads end when ctx does.
type ContextSource interface {
	Source
	ReadAtContext(ctx context.Context, p []byte, off int64) (int, error)
}

// SparseSource is a Source of which not all is read: cost is how many of the
// bytes were.
type SparseSource interface {
	Source
	ReadSparse(ctx context.Context, p []byte, off int64) (n int, cost int64, err error)
}

// Config limits a Gate. Zero fields take the values of Default.
type Config struct {
	BlockSize   int64 // bytes read from a source for who only looks at a place
	Ahead       int64 // bytes read from a source at once for who reads on; at least one block
	CacheBytes  int64 // bytes of blocks kept; at least one block
	MaxFetches  int   // blocks on their way at one time, over all grants
	MaxRequests int   // HTTP requests at one time; more are answered 503
	Log         *slog.Logger
}

// Default returns the limits used where a Config is silent.
func Default() Config {
	return Config{BlockSize: 128 << 10, Ahead: 512 << 10, CacheBytes: 64 << 20, MaxFetches: 16, MaxRequests: 128, Log: slog.New(slog.DiscardHandler)}
}

// Gate serves grants. It is safe for concurrent use.
type Gate struct {
	cache  *cache
	ahead  int64 // blocks of one read, at the most
	server *http.Server
	port   uint16
	slots  chan struct{}
	served atomic.Int64

	mu       sync.Mutex
	closed   bool
	grants   map[string]*Grant
	handlers sync.WaitGroup
	serving  chan struct{}
}

// Stats counts since the gate was opened. Reading it never waits for work.
type Stats struct {
	Fetched int64 // bytes read from sources
	Fetches int64 // blocks read from sources
	Hits    int64 // blocks found in the cache
	Served  int64 // bytes handed out, over HTTP and by ReadAt
}

// Open starts a gate on a free port of 127.0.0.1.
func Open(cfg Config) (*Gate, error) {
	d := Default()
	if cfg.BlockSize <= 0 {
		cfg.BlockSize = d.BlockSize
	}
	if cfg.Ahead <= 0 {
		cfg.Ahead = d.Ahead
	}
	if cfg.CacheBytes <= 0 {
		cfg.CacheBytes = d.CacheBytes
	}
	if cfg.MaxFetches <= 0 {
		cfg.MaxFetches = d.MaxFetches
	}
	if cfg.MaxRequests <= 0 {
		cfg.MaxRequests = d.MaxRequests
	}
	if cfg.Log == nil {
		cfg.Log = d.Log
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, errs.As(errs.Transient, op, err)
	}
	g := &Gate{
		cache:  newCache(cfg.BlockSize, max(cfg.CacheBytes, cfg.BlockSize), cfg.MaxFetches),
		ahead:  max(cfg.Ahead/cfg.BlockSize, 1),
		port:   uint16(l.Addr().(*net.TCPAddr).Port),
		slots:  make(chan struct{}, cfg.MaxRequests),
		grants: map[string]*Grant{}, serving: make(chan struct{}),
	}
	g.server = &http.Server{
		Handler:                      http.HandlerFunc(g.serve),
		ReadHeaderTimeout:            5 * time.Second,
		IdleTimeout:                  30 * time.Second,
		MaxHeaderBytes:               8 << 10,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			// What lies in socket buffers was fetched, and is thrown away when
			// the reader seeks. Keep that small, but not below one segment of the
			// loopback (64 KiB): then each waits for a delayed acknowledgement,
			// which measures 5 MB/s in place of 3 GB/s. A failure costs transfer.
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetWriteBuffer(64 << 10)
			}
			return ctx
		},
	}
	go func() {
		defer close(g.serving)
		_ = g.server.Serve(l) // ends with ErrServerClosed
	}()
	return g, nil
}

// Port is the loopback port every grant's URL has.
func (g *Gate) Port() uint16 { return g.port }

// Stats returns the counters.
func (g *Gate) Stats() Stats {
	return Stats{Fetched: g.cache.fetched.Load(), Fetches: g.cache.fetches.Load(), Hits: g.cache.hits.Load(), Served: g.served.Load()}
}

// Grant opens src to whoever knows the URL, until Revoke or the end of ctx.
//
// identity names the content: grants with the same identity share cached
// blocks, so it must change whenever the bytes do. With "" nothing is shared
// and nothing is kept behind Revoke. After Close, Grant answers Canceled.
func (g *Gate) Grant(ctx context.Context, src Source, identity string) (*Grant, error) {
	token := rand.Text() // 130 random bits
	gr := &Grant{gate: g, token: token, src: src, size: src.Size(), identity: identity, private: identity == ""}
	if gr.size < 0 {
		return nil, errs.New(errs.Internal, op, "a source of unknown size")
	}
	if gr.private {
		gr.identity = "grant " + token
	}
	gr.ctx, gr.cancel = context.WithCancelCause(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		gr.cancel(errClosed)
		return nil, errClosed
	}
	g.grants[token] = gr
	return gr, nil
}

// Close revokes every grant, stops the server and returns when every handler
// and every read has ended.
func (g *Gate) Close() error {
	g.mu.Lock()
	g.closed = true
	grants := g.grants
	g.grants = map[string]*Grant{}
	g.mu.Unlock()
	for _, gr := range grants {
		gr.cancel(errClosed)
	}
	err := g.server.Close()
	<-g.serving
	g.handlers.Wait()
	g.cache.close()
	return errs.Wrap(op, err)
}

// Grant is leave to read one object.
type Grant struct {
	gate     *Gate
	token    string
	src      Source
	size     int64
	identity string
	private  bool
	ctx      context.Context
	cancel   context.CancelCauseFunc

	fetched atomic.Int64 // bytes
	waited  atomic.Int64 // nanoseconds
	mu      sync.Mutex
	err     error
}

// URL is where a child process reads the object.
func (gr *Grant) URL() string { return fmt.Sprintf("http://127.0.0.1:%d/%s", gr.gate.port, gr.token) }

// Size is the object's length in bytes.
func (gr *Grant) Size() int64 { return gr.size }

// Fetched is what reading through this grant cost: bytes from the source and
// the time spent on them. What came out of the cache costs nothing.
func (gr *Grant) Fetched() (bytes int64, spent time.Duration) {
	return gr.fetched.Load(), time.Duration(gr.waited.Load())
}

// Err is the first fault of the source, or nil. A tool that reads over HTTP
// sees only a broken connection; this is the reason. Being revoked is no fault.
func (gr *Grant) Err() error {
	gr.mu.Lock()
	defer gr.mu.Unlock()
	return gr.err
}

func (gr *Grant) failed(err error) {
	gr.mu.Lock()
	defer gr.mu.Unlock()
	if gr.err == nil {
		gr.err = err
	}
}

// Revoke ends the grant: running requests break off, later ones find nothing.
// It does not wait for them. It may be called twice.
func (gr *Grant) Revoke() {
	gr.gate.mu.Lock()
	delete(gr.gate.grants, gr.token)
	gr.gate.mu.Unlock()
	gr.cancel(errs.New(errs.Canceled, op, "the grant was revoked"))
	if gr.private {
		gr.gate.cache.forget(gr.identity)
	}
}

// ReadAt reads the object inside this process, through the same cache.
func (gr *Grant) ReadAt(p []byte, off int64) (int, error) {
	return gr.ReadAtContext(gr.ctx, p, off)
}

// ReadAtContext is ReadAt that ends when ctx or the grant does.
func (gr *Grant) ReadAtContext(ctx context.Context, p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errs.New(errs.Internal, op, "negative offset %d", off)
	}
	if ctx != gr.ctx {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(gr.ctx, func() { cancel(context.Cause(gr.ctx)) })()
	}
	size := gr.gate.cache.blockSize
	asked := int64(0) // block up to which one read was sent
	for n < len(p) {
		at := off + int64(n)
		if at >= gr.size {
			return n, io.EOF
		}
		if err := ctx.Err(); err != nil {
			return n, errs.Wrap(op, context.Cause(ctx))
		}
		if last := (min(off+int64(len(p)), gr.size) - 1) / size; at/size >= asked && last > at/size {
			asked = min(last+1, at/size+gr.gate.ahead)
			defer gr.gate.cache.ahead(gr, at/size, asked-at/size)()
		}
		b, err := gr.gate.cache.get(ctx, gr, at/size)
		if err != nil {
			return n, err
		}
		k := copy(p[n:], b[at%size:])
		gr.gate.served.Add(int64(k))
		n += k
	}
	return n, nil
}

func (gr *Grant) read(ctx context.Context, p []byte, off int64) (n int, cost int64, err error) {
	switch s := gr.src.(type) {
	case SparseSource:
		return s.ReadSparse(ctx, p, off)
	case ContextSource:
		n, err = s.ReadAtContext(ctx, p, off)
	default:
		n, err = gr.src.ReadAt(p, off)
	}
	return n, int64(n), err
}
