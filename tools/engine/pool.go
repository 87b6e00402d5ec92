// Package engine runs images through children: mediafn-engine processes that
// hold the decoders. A decoder that crashes, hangs or eats memory costs one
// request and one child; the next request finds a fresh one.
//
// The client is pure Go. What goes over the socket is in package wire, what
// the child does in package raster, and sizes are decided in package layout.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/internal/span"
	"github.com/mediafn/mediafn/tools/engine/wire"
)

const op = "engine"

// Options of a [Pool]. A zero field means its default.
type Options struct {
	Size        int           // children at most; one per core
	Queue       int           // requests waiting at most; 64 × Size. More are Busy
	MaxRequests int           // a child is replaced after so many; 10,000
	MaxMemory   int64         // resident bytes of a child; 1 GiB. A request above it is TooLarge
	MaxInput    int64         // bytes of an image; 100 MiB
	MaxOutput   int64         // bytes of a result; 256 MiB
	Timeout     time.Duration // of one request in a child, waiting not counted; 30 s
	StartTime   time.Duration // until a new child answers; 10 s
	Limits      wire.Limits   // of every request that does not set its own
}

func (o Options) fill() Options {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.Size, runtime.NumCPU())
	def(&o.Queue, 64*o.Size)
	def(&o.MaxRequests, 10_000)
	for v, d := range map[*int64]int64{&o.MaxMemory: 1 << 30, &o.MaxInput: 100 << 20, &o.MaxOutput: 256 << 20} {
		if *v <= 0 {
			*v = d
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.StartTime <= 0 {
		o.StartTime = 10 * time.Second
	}
	o.Limits = o.Limits.Fill()
	return o
}

// Input is one image: Bytes, or Size bytes of File from Offset. File stays the
// caller's, keeps its position and must be a regular file.
type Input struct {
	Format string // as tools/sniff names it; no other decoder will see it
	Bytes  []byte
	File   *os.File
	Offset int64
	Size   int64
}

// TransformRequest asks for one image to be made of another.
type TransformRequest struct {
	Input
	Transform wire.Transform
	Limits    wire.Limits // a zero field means the pool's
}

// TransformResult is the image and what was done. Bytes are the caller's.
type TransformResult struct {
	wire.Result
	Bytes []byte
}

// Pool hands requests to children. It is safe for concurrent use. Children
// start when they are first needed.
type Pool struct {
	launch Launch
	opt    Options
	ctx    context.Context
	cancel context.CancelFunc

	slots chan struct{} // one for each child that may exist
	room  chan struct{} // one for each request inside, waiting or not
	work  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	idle   []*child // the last one used first: its memory is warm
	stats  Stats
}

// Stats counts since the start, and what is now.
type Stats struct {
	Children int   // alive
	Busy     int   // with a request
	Waiting  int   // requests without a child
	Served   int64 // requests answered, refusals included
	Died     int64 // children lost or killed during a request
	Recycled int64 // children replaced on schedule
}

// NewPool returns a pool that starts children with launch. Close it.
func NewPool(launch Launch, opt Options) *Pool {
	opt = opt.fill()
	p := &Pool{launch: launch, opt: opt, slots: make(chan struct{}, opt.Size), room: make(chan struct{}, opt.Size+opt.Queue)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Transform runs one request. Errors: Invalid (request or image), Unsupported
// (format), TooLarge (a limit, memory included), Timeout (Options.Timeout or
// ctx), Canceled, Busy (queue full), Transient ("engine died": the same input
// may do it again, so retries must be counted).
func (p *Pool) Transform(ctx context.Context, r TransformRequest) (TransformResult, error) {
	if err := r.Transform.Validate(); err != nil {
		return TransformResult{}, errs.Wrap(op, err)
	}
	head, body, err := p.do(ctx, wire.OpTransform, r.Input, r.Limits, &r.Transform)
	if err != nil {
		return TransformResult{}, err
	}
	out := TransformResult{Bytes: body}
	if err := json.Unmarshal(head, &out.Result); err != nil {
		return TransformResult{}, errs.As(errs.Internal, op, err)
	}
	return out, nil
}

// Info reads what an image says of itself; pixels are not decoded. Errors are
// those of Transform.
func (p *Pool) Info(ctx context.Context, in Input) (*media.Info, error) {
	head, _, err := p.do(ctx, wire.OpInfo, in, wire.Limits{}, nil)
	if err != nil {
		return nil, err
	}
	var f wire.Facts
	if err := json.Unmarshal(head, &f); err != nil {
		return nil, errs.As(errs.Internal, op, err)
	}
	return &f.Info, nil
}

// Warm starts children until n are alive, n ≤ Size.
func (p *Pool) Warm(ctx context.Context, n int) error {
	var kept []*child
	defer func() {
		for _, c := range kept {
			p.release(c, nil)
		}
	}()
	for range min(n, p.opt.Size) {
		c, err := p.acquire(ctx)
		if err != nil {
			return err
		}
		kept = append(kept, c)
	}
	return nil
}

// Health runs an empty request through a child. It waits behind work like any
// request; ctx bounds it.
func (p *Pool) Health(ctx context.Context) error {
	_, _, err := p.do(ctx, wire.OpPing, Input{}, wire.Limits{}, nil)
	return err
}

// Ready tells whether images could be served, without waiting behind work: a
// child lives, or one can be started.
func (p *Pool) Ready(ctx context.Context) error {
	if p.Stats().Children > 0 {
		return nil
	}
	return p.Health(ctx)
}

// Stats returns the counters.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Close kills every child and returns when all are gone. Requests that are
// still running end with Canceled.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.work.Wait()
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		p.drop(c)
	}
}

func (p *Pool) do(ctx context.Context, what wire.Op, in Input, lim wire.Limits, t *wire.Transform) (json.RawMessage, []byte, error) {
	size := int64(len(in.Bytes))
	if in.File != nil {
		size = in.Size
	}
	switch {
	case what != wire.OpPing && !wire.Reads(in.Format):
		return nil, nil, errs.New(errs.Unsupported, op, "cannot read %q as an image", in.Format)
	case what != wire.OpPing && size <= 0:
		return nil, nil, errs.New(errs.Invalid, op, "the image is empty")
	case size > p.opt.MaxInput:
		return nil, nil, errs.New(errs.TooLarge, op, "image of %d bytes; the limit is %d", size, p.opt.MaxInput)
	}
	if in.File == nil && size > viaMemory {
		if f, err := wire.MemoryFile(in.Bytes); err == nil { // else over the socket
			defer f.Close()
			in = Input{Format: in.Format, File: f, Size: size}
		}
	}
	head := wire.Request{Format: in.Format, Offset: in.Offset, Limits: p.limits(lim), Transform: t}
	if in.File != nil {
		head.Size = size
	}
	h, body, err := p.once(ctx, what, &head, in)
	var lost *unsent
	if errors.As(err, &lost) && ctx.Err() == nil { // no decoder has seen it: nobody's fault
		h, body, err = p.once(ctx, what, &head, in)
	}
	return h, body, err
}

// once runs one request in one child.
func (p *Pool) once(ctx context.Context, what wire.Op, head *wire.Request, in Input) (h json.RawMessage, body []byte, err error) {
	ctx, traced := span.Step(ctx, "mediafn-engine", attribute.String("format", in.Format), attribute.Int64("input_bytes", max(in.Size, int64(len(in.Bytes)))))
	defer func() { traced.End(err) }()
	c, err := p.acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	began := time.Now()
	defer func() { traced.Set(attribute.Float64("engine_seconds", time.Since(began).Seconds())) }() // without the wait for a child
	cctx, cancel := context.WithTimeout(ctx, p.opt.Timeout)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)() // Close ends what runs
	h, body, err = c.call(cctx, what, head, in.Bytes, in.File, watch{p.opt.MaxMemory, p.opt.MaxOutput})
	p.release(c, err)
	if err == nil || isRefusal(err) {
		p.mu.Lock()
		p.stats.Served++
		p.mu.Unlock()
	}
	if err != nil && ctx.Err() == nil && p.ctx.Err() != nil {
		err = errs.New(errs.Canceled, op, "pool is closed")
	}
	var refused *refusal
	if errors.As(err, &refused) {
		err = refused.err
	}
	return h, body, err
}

// viaMemory is the size in bytes from which an image is passed as a memory file
// instead of through the socket.
const viaMemory = 128 << 10

// limits completes a request's own limits with the pool's.
func (p *Pool) limits(l wire.Limits) wire.Limits {
	d := p.opt.Limits
	for _, f := range []struct{ v, d *int64 }{
		{&l.MaxPixels, &d.MaxPixels}, {&l.MaxTotalPixels, &d.MaxTotalPixels}, {&l.MaxOutPixels, &d.MaxOutPixels},
	} {
		if *f.v <= 0 {
			*f.v = *f.d
		}
	}
	if l.MaxFrames <= 0 {
		l.MaxFrames = d.MaxFrames
	}
	if l.MaxSide <= 0 {
		l.MaxSide = d.MaxSide
	}
	return l
}

// acquire waits for a child, starting one if none is idle. Every child it
// returns must be released.
func (p *Pool) acquire(ctx context.Context) (*child, error) {
	select {
	case p.room <- struct{}{}:
	default:
		return nil, errs.New(errs.Busy, op, "%d requests are waiting", p.opt.Queue)
	}
	if !p.enter() {
		<-p.room
		return nil, errs.New(errs.Canceled, op, "pool is closed")
	}
	c, err := p.wait(ctx)
	if err != nil {
		<-p.room
		p.work.Done()
		return nil, err
	}
	return c, nil
}

// enter counts a request in, unless the pool is closed.
func (p *Pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.work.Add(1)
	p.stats.Waiting++
	return true
}

func (p *Pool) wait(ctx context.Context) (*child, error) {
	var err error
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		err = errs.As(errs.KindOf(ctx.Err()), op, ctx.Err())
	case <-p.ctx.Done():
		err = errs.New(errs.Canceled, op, "pool is closed")
	}
	p.mu.Lock()
	p.stats.Waiting--
	if err != nil {
		p.mu.Unlock()
		return nil, err
	}
	p.stats.Busy++
	var c *child
	if n := len(p.idle); n > 0 {
		c, p.idle = p.idle[n-1], p.idle[:n-1]
	}
	p.mu.Unlock()
	if c != nil && !c.alive() { // died between two requests: nobody's fault
		p.drop(c)
		c = nil
	}
	if c == nil {
		if c, err = p.start(); err != nil {
			p.mu.Lock()
			p.stats.Busy--
			p.mu.Unlock()
			<-p.slots
			return nil, err
		}
	}
	return c, nil
}

func (p *Pool) start() (*child, error) {
	c, err := startChild(p.ctx, p.launch, p.opt.StartTime)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.stats.Children++
	p.mu.Unlock()
	return c, nil
}

// drop ends a child.
func (p *Pool) drop(c *child) {
	c.close()
	p.mu.Lock()
	p.stats.Children--
	p.mu.Unlock()
}

// release gives a child back after a call that ended with err. A child that
// cannot be used again is replaced in the background, and its slot stays taken
// until then.
func (p *Pool) release(c *child, err error) {
	c.used++
	broken := err != nil && !isRefusal(err)
	old := c.used >= p.opt.MaxRequests || c.resident() > p.opt.MaxMemory/2
	p.mu.Lock()
	p.stats.Busy--
	switch {
	case broken:
		p.stats.Died++
	case old:
		p.stats.Recycled++
	default:
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	<-p.room
	if !broken && !old {
		<-p.slots
		p.work.Done()
		return
	}
	go func() {
		defer p.work.Done()
		defer func() { <-p.slots }()
		p.drop(c)
		if p.ctx.Err() != nil {
			return
		}
		if fresh, err := p.start(); err == nil { // a failure shows at the next request
			p.mu.Lock()
			p.idle = append(p.idle, fresh)
			p.mu.Unlock()
		}
	}()
}
