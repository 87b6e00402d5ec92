package gate

import (
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
// for the same flight; when nobody waits any more it is canceled.
type flight struct {
	owner   *Grant // whose source is read
	cancel  context.CancelFunc
	waiters int // guarded by cache.mu
	done    chan struct{}
	data    []byte // set before done is closed
	err     error
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
			if f.err != nil && f.owner != g && ctx.Err() == nil {
				continue // it was read through a grant that may be gone by now
			}
			return f.data, f.err
		case <-ctx.Done():
			c.leave(key, f)
			return nil, errs.Wrap(op, context.Cause(ctx))
		}
	}
}

// ahead starts reading block n for somebody who will want it soon, unless it
// is there or on its way. The caller calls release when it has passed on.
func (c *cache) ahead(g *Grant, n int64) (release func()) {
	key := blockKey{g.identity, n}
	_, f, _ := c.join(g, key)
	if f == nil {
		return func() {}
	}
	return func() { c.leave(key, f) }
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
		f.waiters++
		return nil, f, nil
	}
	if c.closed {
		return nil, nil, errClosed
	}
	ctx, cancel := context.WithCancel(g.ctx)
	f := &flight{owner: g, cancel: cancel, waiters: 1, done: make(chan struct{})}
	c.flights[key] = f
	c.running.Add(1)
	go c.fly(ctx, key, f)
	return nil, f, nil
}

func (c *cache) leave(key blockKey, f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	f.cancel()
	if c.flights[key] == f {
		delete(c.flights, key) // who comes next starts afresh instead of joining a canceled flight
	}
}

func (c *cache) fly(ctx context.Context, key blockKey, f *flight) {
	defer c.running.Done()
	defer f.cancel()
	f.data, f.err = c.fetch(ctx, f.owner, key.n)
	if f.err != nil && ctx.Err() == nil {
		f.owner.failed(f.err)
	}
	c.mu.Lock()
	if c.flights[key] == f {
		delete(c.flights, key)
	}
	if f.err == nil && !c.closed && !(f.owner.private && f.owner.ctx.Err() != nil) {
		c.keep(&block{key, f.data})
	}
	c.mu.Unlock()
	close(f.done)
}

func (c *cache) fetch(ctx context.Context, g *Grant, n int64) ([]byte, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, errs.Wrap(op, context.Cause(ctx))
	}
	began := time.Now()
	off := n * c.blockSize
	data := make([]byte, min(c.blockSize, g.size-off))
	k, err := g.read(ctx, data, off)
	c.fetches.Add(1)
	c.fetched.Add(int64(k))
	g.fetched.Add(int64(k))
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
