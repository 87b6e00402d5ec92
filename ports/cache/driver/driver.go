// Package driver is what a cache must offer. Applications use package cache; only
// drivers import this one.
package driver

import (
	"context"
	"time"
)

// Cache keeps values for a while and may forget them at any time.
//
// All methods may be called from several goroutines at once. Keys and sizes have
// been checked by package cache. Errors are *errs.Error (or wrap one): Transient
// (the cache cannot be reached), Timeout or Canceled (ctx ended), Busy (no
// connection free). A driver copies what it is given and hands out what the caller
// may keep.
type Cache interface {
	// Get returns the value and whether there is one. A value whose ttl has passed
	// is never returned.
	Get(ctx context.Context, key string) (val []byte, ok bool, err error)

	// Set keeps val under key, for ttl (> 0) at most, in place of what was there. It
	// is no error if the value does not fit and is not kept; what was there is then
	// gone all the same.
	Set(ctx context.Context, key string, val []byte, ttl time.Duration) error

	// Delete forgets key. It is no error if there is nothing.
	Delete(ctx context.Context, key string) error

	// Close lets resources go. Idempotent.
	Close() error
}
