// Package mem is a cache in this process, bounded in bytes and entries. What was
// not used for longest goes first.
package mem

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/cache"
)

// Overhead is what an entry counts beside its key and value, in bytes.
const Overhead = 200

// Options bounds a Cache.
type Options struct {
	MaxBytes   int64            // of keys, values and Overhead; 0 means 64 MiB
	MaxEntries int              // 0 means 100,000
	Now        func() time.Time // nil means time.Now
}

// Cache implements driver.Cache.
type Cache struct {
	o Options

	mu     sync.Mutex
	byKey  map[string]*list.Element // of *entry
	used   list.List                // most recently used first
	bytes  int64
	closed bool
}

// entry is never changed once it is in the map.
type entry struct {
	key   string
	val   []byte
	until time.Time
}

func (e *entry) size() int64 { return int64(len(e.key)+len(e.val)) + Overhead }

// Open returns an empty cache in memory.
func Open(o Options, cfg cache.Config) (*cache.Cache, error) { return cache.New(New(o), cfg) }

// New returns the driver of Open.
func New(o Options) *Cache {
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.MaxEntries == 0 {
		o.MaxEntries = 100_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Cache{o: o, byKey: map[string]*list.Element{}}
}

// Get implements driver.Cache.
func (c *Cache) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if err := c.begin(ctx, "mem.get"); err != nil {
		return nil, false, err
	}
	val, ok := c.get(key)
	c.mu.Unlock()
	return slices.Clone(val), ok, nil // outside the lock: values are never changed
}

func (c *Cache) get(key string) ([]byte, bool) {
	el := c.byKey[key]
	if el == nil {
		return nil, false
	}
	e := el.Value.(*entry)
	if !c.o.Now().Before(e.until) {
		c.drop(el)
		return nil, false
	}
	c.used.MoveToFront(el)
	return e.val, true
}

// Set implements driver.Cache.
func (c *Cache) Set(ctx context.Context, key string, val []byte, ttl time.Duration) error {
	e := &entry{key: key, val: slices.Clone(val), until: c.o.Now().Add(ttl)}
	if err := c.begin(ctx, "mem.set"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	if old := c.byKey[key]; old != nil {
		c.drop(old)
	}
	if e.size() > c.o.MaxBytes {
		return nil
	}
	for c.bytes+e.size() > c.o.MaxBytes || len(c.byKey) >= c.o.MaxEntries {
		c.drop(c.used.Back())
	}
	c.byKey[key] = c.used.PushFront(e)
	c.bytes += e.size()
	return nil
}

// Delete implements driver.Cache.
func (c *Cache) Delete(ctx context.Context, key string) error {
	if err := c.begin(ctx, "mem.delete"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	if el := c.byKey[key]; el != nil {
		c.drop(el)
	}
	return nil
}

// Close implements driver.Cache.
func (c *Cache) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed, c.byKey, c.bytes = true, nil, 0
	c.used.Init()
	return nil
}

// Size reports the entries and bytes that are kept now.
func (c *Cache) Size() (entries int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byKey), c.bytes
}

// begin locks c for an operation that may start.
func (c *Cache) begin(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return errs.Wrap(op, err)
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return errs.New(errs.Canceled, op, "the cache is closed")
	}
	return nil
}

func (c *Cache) drop(el *list.Element) {
	e := c.used.Remove(el).(*entry)
	delete(c.byKey, e.key)
	c.bytes -= e.size()
}
