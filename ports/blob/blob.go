// Package blob holds files: named stores with buckets of objects. A Store checks
// names, ranges, sizes and sums, and retries; a driver (packages mem, file …)
// moves the bytes.
package blob

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

type (
	// Attr describes one version of an object.
	Attr = driver.Attr
	// Item is one line of a listing.
	Item = driver.Item
)

// MaxList is the longest page List gives.
const MaxList = 1000

// Config sets the limits of a Store. Take Default and change what differs.
type Config struct {
	MaxSize  int64         // bytes of one object, ≥ 1
	Attempts int           // tries of a call that failed for a passing reason, 1 … 100
	Backoff  time.Duration // before the second try; doubles each time, at most 5 s

	// Observe, if set, is told about every finished call: its name ("get", "put"
	// …), the bytes it moved (for get: those asked for), how long it took and how
	// it ended. It must not block.
	Observe func(op string, bytes int64, took time.Duration, err error)
}

// Default fits any store.
func Default() Config { return Config{MaxSize: 1 << 40, Attempts: 4, Backoff: 100 * time.Millisecond} }

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var all []error
	if c.MaxSize < 1 {
		all = append(all, errs.InField("blob.max_size", "must be at least 1"))
	}
	if c.Attempts < 1 || c.Attempts > 100 {
		all = append(all, errs.InField("blob.attempts", "must be 1 to 100, is %d", c.Attempts))
	}
	if c.Backoff < 0 || c.Backoff > maxBackoff {
		all = append(all, errs.InField("blob.backoff", "must be 0 to %v, is %v", maxBackoff, c.Backoff))
	}
	return errors.Join(all...)
}

const maxBackoff = 5 * time.Second

// Store is one object store, safe for concurrent use. Every method fails with
// Invalid, naming "bucket" or "key", for a name CheckBucket or CheckKey refuses.
type Store struct {
	d   driver.Store
	cfg Config
}

// New puts a Store on top of a driver. It owns d from now on.
func New(d driver.Store, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, errs.As(errs.Invalid, "blob.new", err)
	}
	return &Store{d: d, cfg: cfg}, nil
}

// Get opens length bytes of an object from offset on; length < 0 means to the
// end, and a range that reaches past the end is cut there. The Attr describes the
// whole object. The reader must be closed, ends when ctx does, and shows one
// version whatever happens to the key meanwhile; where the store breaks off, it
// goes on at that byte of the same version. NotFound: no such object.
// Invalid: offset is negative or at or beyond the end (0 is fine in an empty one).
func (s *Store) Get(ctx context.Context, bucket, key string, offset, length int64) (_ io.ReadCloser, a Attr, err error) {
	const op = "blob.get"
	defer s.observe("get", time.Now(), &length, &err)
	if err := checkName(op, bucket, key); err != nil {
		return nil, a, err
	}
	if offset < 0 {
		return nil, a, errs.Wrap(op, errs.InField("offset", "must not be negative, is %d", offset))
	}
	var r io.ReadCloser
	err = s.retry(ctx, func() (err error) {
		r, a, err = s.d.Get(ctx, bucket, key, offset, length)
		return err
	})
	if err != nil {
		return nil, Attr{}, errs.Wrap(op, err)
	}
	if offset > 0 && offset >= a.Size {
		r.Close()
		return nil, Attr{}, errs.Wrap(op, errs.InField("offset", "%d is beyond the end of %d bytes", offset, a.Size))
	}
	end := a.Size
	if length >= 0 {
		end = offset + min(length, a.Size-offset)
	}
	return &resuming{s: s, ctx: ctx, bucket: bucket, key: key, at: offset, end: end, etag: a.ETag, body: r}, a, nil
}

// Stat describes an object. NotFound: no such object.
func (s *Store) Stat(ctx context.Context, bucket, key string) (a Attr, err error) {
	const op = "blob.stat"
	defer s.observe("stat", time.Now(), nil, &err)
	if err := checkName(op, bucket, key); err != nil {
		return a, err
	}
	err = s.retry(ctx, func() (err error) { a, err = s.d.Stat(ctx, bucket, key); return err })
	return a, errs.Wrap(op, err)
}

// Delete removes an object. It is no error if there is none.
func (s *Store) Delete(ctx context.Context, bucket, key string) (err error) {
	const op = "blob.delete"
	defer s.observe("delete", time.Now(), nil, &err)
	if err := checkName(op, bucket, key); err != nil {
		return err
	}
	return errs.Wrap(op, s.retry(ctx, func() error { return s.d.Delete(ctx, bucket, key) }))
}

// List returns up to limit (1 … MaxList) objects whose keys start with prefix and
// come after after, ordered by the bytes of their keys. The next page begins after
// the last key; fewer than limit means there are no more. A bucket nobody put
// anything into is empty.
func (s *Store) List(ctx context.Context, bucket, prefix, after string, limit int) (items []Item, err error) {
	const op = "blob.list"
	defer s.observe("list", time.Now(), nil, &err)
	if err := errors.Join(CheckBucket("bucket", bucket), checkText("prefix", prefix), checkText("after", after)); err != nil {
		return nil, errs.As(errs.Invalid, op, err)
	}
	if limit < 1 || limit > MaxList {
		return nil, errs.Wrap(op, errs.InField("limit", "must be 1 to %d, is %d", MaxList, limit))
	}
	err = s.retry(ctx, func() (err error) { items, err = s.d.List(ctx, bucket, prefix, after, limit); return err })
	return items, errs.Wrap(op, err)
}

// Close closes the driver.
func (s *Store) Close() error { return errs.Wrap("blob.close", s.d.Close()) }

// retry repeats f while it fails for a passing reason.
func (s *Store) retry(ctx context.Context, f func() error) error {
	for try := 1; ; try++ {
		err := f()
		kind := errs.KindOf(err)
		if err == nil || kind != errs.Transient && kind != errs.Busy || try >= s.cfg.Attempts || !s.pause(ctx, try) {
			return err
		}
	}
}

// pause waits before try+1, with jitter so that clients do not return in step.
func (s *Store) pause(ctx context.Context, try int) bool {
	d := s.cfg.Backoff << (try - 1)
	if d < 0 || d > maxBackoff {
		d = maxBackoff
	}
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Store) observe(op string, start time.Time, bytes *int64, err *error) {
	if s.cfg.Observe == nil {
		return
	}
	n := int64(0)
	if bytes != nil {
		n = max(*bytes, 0)
	}
	s.cfg.Observe(op, n, time.Since(start), *err)
}
