// Package cache keeps results that can be computed again. A Cache checks keys and
// sizes and computes what several callers want at once only once; a driver (package
// mem …) keeps the bytes.
package cache

import (
	"context"
	"errors"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/cache/driver"
)

// Config sets the limits of a Cache. Take Default and change what differs.
type Config struct {
	MaxValue int           // bytes of one value, 1 … 64 MiB
	MaxTTL   time.Duration // the longest a value may be kept

	// Observe, if set, is told about every finished call: its name ("get", "set",
	// "delete", "do"), whether a value was there, how long it took and how it
	// ended. For "do" an error is that of the computation. It must not block.
	Observe func(op string, hit bool, took time.Duration, err error)
}

// Default fits results and facts.
func Default() Config { return Config{MaxValue: 8 << 20, MaxTTL: 30 * 24 * time.Hour} }

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var all []error
	if c.MaxValue < 1 || c.MaxValue > 64<<20 {
		all = append(all, errs.InField("cache.max_value", "must be 1 to %d, is %d", 64<<20, c.MaxValue))
	}
	if c.MaxTTL <= 0 {
		all = append(all, errs.InField("cache.max_ttl", "must be positive, is %v", c.MaxTTL))
	}
	return errors.Join(all...)
}

// maxKey is the longest key in bytes.
const maxKey = 512

// Cache is safe for concurrent use.
type Cache struct {
	d       driver.Cache
	cfg     Config
	flights flights
}

// New puts a Cache on top of a driver. It owns d from now on.
func New(d driver.Cache, cfg Config) (*Cache, error) {
	if err := cfg.Validate(); err != nil {
		return nil, errs.As(errs.Invalid, "cache.new", err)
	}
	return &Cache{d: d, cfg: cfg, flights: flights{running: map[string]*flight{}}}, nil
}

// Get returns the value under key (1 to 512 bytes) and whether there is one. The
// value belongs to the caller.
func (c *Cache) Get(ctx context.Context, key string) (val []byte, ok bool, err error) {
	const op = "cache.get"
	start := time.Now()
	defer func() { c.observe("get", ok, start, err) }()
	if err := c.check(ctx, key); err != nil {
		return nil, false, errs.Wrap(op, err)
	}
	val, ok, err = c.d.Get(ctx, key)
	return val, ok, errs.Wrap(op, err)
}

// Set keeps val under key for at most ttl, which must be positive and is cut to
// Config.MaxTTL. A cache may forget earlier. TooLarge: more than Config.MaxValue.
// val may be reused as soon as Set has returned.
func (c *Cache) Set(ctx context.Context, key string, val []byte, ttl time.Duration) (err error) {
	const op = "cache.set"
	start := time.Now()
	defer func() { c.observe("set", false, start, err) }()
	if err := c.check(ctx, key); err != nil {
		return errs.Wrap(op, err)
	}
	if err := checkTTL(ttl); err != nil {
		return errs.Wrap(op, err)
	}
	if len(val) > c.cfg.MaxValue {
		return errs.New(errs.TooLarge, op, "%d bytes, at most %d", len(val), c.cfg.MaxValue)
	}
	return errs.Wrap(op, c.d.Set(ctx, key, val, min(ttl, c.cfg.MaxTTL)))
}

// Delete forgets key. It is no error if there is nothing. A Do in flight is not
// stopped and may set the key afterwards.
func (c *Cache) Delete(ctx context.Context, key string) (err error) {
	start := time.Now()
	defer func() { c.observe("delete", false, start, err) }()
	if err := c.check(ctx, key); err != nil {
		return errs.Wrap("cache.delete", err)
	}
	return errs.Wrap("cache.delete", c.d.Delete(ctx, key))
}

// Close closes the driver.
func (c *Cache) Close() error { return errs.Wrap("cache.close", c.d.Close()) }

func (c *Cache) check(ctx context.Context, key string) error {
	if key == "" || len(key) > maxKey {
		return errs.InField("key", "must have 1 to %d bytes, has %d", maxKey, len(key))
	}
	return ctx.Err()
}

func checkTTL(ttl time.Duration) error {
	if ttl <= 0 {
		return errs.InField("ttl", "must be positive, is %v", ttl)
	}
	return nil
}

func (c *Cache) observe(op string, hit bool, start time.Time, err error) {
	if c.cfg.Observe != nil {
		c.cfg.Observe(op, hit, time.Since(start), err)
	}
}
