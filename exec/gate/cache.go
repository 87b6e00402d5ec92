package gate

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// blockKey names block n of the content identity names.
type blockKey struct {
	identity string
	n        int64
}

type block struct {
	key  blockKey
	data []byte
}

// flight is one block on its way from a source. Everybody who wants it waits
// for the same flight. It stays findable when it has arrived until the last who
// waited has passed on: what a slow reader was fetched ahead is not dropped for
// the blocks of a fast one.
type flight struct {
	run     *run
	waiters int  // guarded by cache.mu
	over    bool // likewise
	done    chan struct{}
	data    []byte // set before done is closed
	err     error
}

// run is one read of a source, of one block or of several in a row. When nobody
// waits for any of them any more it is canceled.
type run struct {
	owner   *Grant // whose source is read
	cancel  context.CancelFunc
	first   int64 // number of the first block
	flights []*flight
	live    int // flights somebody waits for; guarded by cache.mu
}

// cache holds the blocks used last, bounded by bytes, for all grants.
type cache struct {
	blockSize int64
	limit     int64
	slots     chan struct{} // bounds the fetches at one time, and so their memory

	mu      sync.Mutex
	closed  bool
	used    int64
	lru     *list.List // of *block, the front was used last
	blocks  map[blockKey]*list.Element
	flights map[blockKey]*flight
	running sync.WaitGroup

	fetched, fetches, hits atomic.Int64
}

func newCache(blockSize, limit int64, fetches int) *cache {
	return &cache{
		blockSize: blockSize, limit: limit, slots: make(chan struct{}, fetches),
		lru: list.New(), blocks: map[blockKey]*list.Element{}, flights: map[blockKey]*flight{},
	}
}

var errClosed = errs.New(errs.Canceled, op, "the gate is closed")

// get returns block n of g's object. The bytes are shared: nobody writes them.
func (c *cache) get(ctx context.Context, g *Grant, n int64) ([]byte, error) {
	key := blockKey{g.identity, n}
	for {
		data, f, err := c.join(g, key)
		if f == nil {
			return data, err
		}
		select {
		case <-f.done:
			c.leave(key, f)
			if f.err != nil && f.run.owner != g && ctx.Err() == nil {
				continue // it was read through a grant that may be gone by now
			}
			return f.data, f.err
		case <-ctx.Done():
			c.leave(key, f)
			return nil, errs.Wrap(op, context.Cause(ctx))
		}
	}
}

// ahead starts reading blocks n to n+count−1 for somebody who will want them
// soon: those of them, up to the first gap, that are neither there nor on their
// way, with one read. The caller calls release when it has passed on.
func (c *cache) ahead(g *Grant, n, count int64) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there := func(n int64) bool {
		key := blockKey{g.identity, n}
		return c.blocks[key] != nil || c.flights[key] != nil
	}
	count = min(count, (g.size+c.blockSize-1)/c.blockSize-n)
	for count > 0 && there(n) {
		n, count = n+1, count-1
	}
	k := int64(0)
	for k < count && !there(n+k) {
		k++
	}
	if k == 0 || c.closed {
		return func() {}
	}
	r := c.start(g, n, k)
	return func() {
		for i, f := range r.flights {
			c.leave(blockKey{g.identity, n + int64(i)}, f)
		}
	}
}

// join returns the block, or the flight to wait for and later leave.
func (c *cache) join(g *Grant, key blockKey) ([]byte, *flight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.blocks[key]; ok {
		c.lru.MoveToFront(e)
		c.hits.Add(1)
		return e.Value.(*block).data, nil, nil
	}
	if f, ok := c.flights[key]; ok {
		if f.over {
			c.hits.Add(1)
			return f.data, nil, nil
		}
		f.waiters++
		return nil, f, nil
	}
	if c.closed {
		return nil, nil, errClosed
	}
	return nil, c.start(g, key.n, 1).flights[0], nil
}

// start sends a run on its way, with one waiter for each block. c.mu is held.
func (c *cache) start(g *Grant, first, count int64) *run {
	ctx, cancel := context.WithCancel(g.ctx)
	r := &run{owner: g, cancel: cancel, first: first, live: int(count)}
	for i := range count {
		f := &flight{run: r, waiters: 1, done: make(chan struct{})}
		r.flights = append(r.flights, f)
		c.flights[blockKey{g.identity, first + i}] = f
	}
	c.running.Add(1)
	go c.fly(ctx, r)
	return r
}

func (c *cache) leave(key blockKey, f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	if f.over {
		if c.flights[key] == f {
			delete(c.flights, key)
		}
		return
	}
	if f.run.live--; f.run.live > 0 {
		return // the read goes on for others, and who comes for this block may join it still
	}
	f.run.cancel()
	for i, f := range f.run.flights {
		if key := (blockKey{key.identity, f.run.first + int64(i)}); c.flights[key] == f {
			delete(c.flights, key) // who comes next starts afresh instead of joining a canceled run
		}
	}
}

func (c *cache) fly(ctx context.Context, r *run) {
	defer c.running.Done()
	defer r.cancel()
	data, err := c.fetch(ctx, r.owner, r.first, int64(len(r.flights)))
	if err != nil && ctx.Err() == nil {
		r.owner.failed(err)
	}
	c.mu.Lock()
	for i, f := range r.flights {
		key := blockKey{r.owner.identity, r.first + int64(i)}
		f.over = true
		if f.err = err; (err != nil || f.waiters == 0) && c.flights[key] == f {
			delete(c.flights, key)
		}
		if err != nil {
			continue
		}
		if f.data = data; len(r.flights) > 1 { // of its own, so that dropping one block frees one block
			f.data = bytes.Clone(data[int64(i)*c.blockSize:][:min(c.blockSize, int64(len(data))-int64(i)*c.blockSize)])
		}
		if !c.closed && !(r.owner.private && r.owner.ctx.Err() != nil) {
			c.keep(&block{key, f.data})
		}
	}
	c.mu.Unlock()
	for _, f := range r.flights {
		close(f.done)
	}
}

func (c *cache) fetch(ctx context.Context, g *Grant, n, count int64) ([]byte, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, errs.Wrap(op, context.Cause(ctx))
	}
	began := time.Now()
	off := n * c.blockSize
	data := make([]byte, min(count*c.blockSize, g.size-off))
	k, cost, err := g.read(ctx, data, off)
	c.fetches.Add(count)
	c.fetched.Add(cost)
	g.fetched.Add(cost)
	g.waited.Add(int64(time.Since(began)))
	switch {
	case k == len(data):
		return data, nil
	case ctx.Err() != nil:
		return nil, errs.Wrap(op, context.Cause(ctx))
	case err == nil || errors.Is(err, io.EOF):
		return nil, errs.New(errs.Transient, op, "the object ends at byte %d of %d", off+int64(k), g.size)
	}
	return nil, errs.Wrap(op, err)
}

// keep adds a block and drops those not used for longest. c.mu is held.
func (c *cache) keep(b *block) {
	if _, there := c.blocks[b.key]; there {
		return
	}
	c.blocks[b.key] = c.lru.PushFront(b)
	c.used += int64(len(b.data))
	for c.used > c.limit {
		c.drop(c.lru.Back())
	}
}

func (c *cache) drop(e *list.Element) {
	b := c.lru.Remove(e).(*block)
	delete(c.blocks, b.key)
	c.used -= int64(len(b.data))
}

// forget drops all blocks of an identity that nobody can ask for again.
func (c *cache) forget(identity string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.lru.Front(); e != nil; {
		next := e.Next()
		if e.Value.(*block).key.identity == identity {
			c.drop(e)
		}
		e = next
	}
}

// close drops everything and waits for the flights, whose grants are revoked.
func (c *cache) close() {
	c.mu.Lock()
	c.closed = true
	c.lru.Init()
	c.blocks, c.used = map[blockKey]*list.Element{}, 0
	c.mu.Unlock()
	c.running.Wait()
}
