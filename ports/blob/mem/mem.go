// Package mem keeps objects in memory and forgets them with the process. It keeps
// the whole contract of package blob and is what tests use.
package mem

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// Store implements driver.Store, driver.Copier and driver.Opener.
type Store struct {
	max int64

	mu      sync.RWMutex
	buckets map[string]map[string]object
	used    int64
}

// object is never changed once it is in the map.
type object struct {
	data []byte
	attr driver.Attr
}

// Open returns an empty store that holds up to maxBytes; 0 means 1 GiB.
func Open(maxBytes int64, cfg blob.Config) (*blob.Store, error) { return blob.New(New(maxBytes), cfg) }

// New returns the driver of Open.
func New(maxBytes int64) *Store {
	if maxBytes == 0 {
		maxBytes = 1 << 30
	}
	return &Store{max: maxBytes, buckets: map[string]map[string]object{}}
}

func (s *Store) find(ctx context.Context, op, bucket, key string) (object, error) {
	if err := ctx.Err(); err != nil {
		return object{}, errs.Wrap(op, err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.buckets[bucket][key]
	if !ok {
		return o, errs.New(errs.NotFound, op, "no object %s/%s", bucket, key)
	}
	return o, nil
}

// Get implements driver.Store.
func (s *Store) Get(ctx context.Context, bucket, key string, offset, length int64) (io.ReadCloser, driver.Attr, error) {
	o, err := s.find(ctx, "mem.get", bucket, key)
	if err != nil {
		return nil, driver.Attr{}, err
	}
	if offset > o.attr.Size {
		return nil, driver.Attr{}, errs.InField("offset", "%d is beyond the end of %d bytes", offset, o.attr.Size)
	}
	data := o.data[offset:]
	if length >= 0 {
		data = data[:min(length, int64(len(data)))]
	}
	return &reader{ctx: ctx, r: bytes.NewReader(data)}, o.attr, nil
}

type reader struct {
	ctx context.Context
	r   *bytes.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, errs.Wrap("mem.read", err)
	}
	return r.r.Read(p)
}

func (r *reader) Close() error { return nil }

// Open implements driver.Opener.
func (s *Store) Open(ctx context.Context, bucket, key string) (driver.ReaderAtCloser, driver.Attr, error) {
	o, err := s.find(ctx, "mem.open", bucket, key)
	if err != nil {
		return nil, driver.Attr{}, err
	}
	return readerAt{bytes.NewReader(o.data)}, o.attr, nil
}

type readerAt struct{ io.ReaderAt }

func (readerAt) Close() error { return nil }

// Put implements driver.Store.
func (s *Store) Put(ctx context.Context, bucket, key string, r io.Reader, o driver.PutOptions) (driver.Attr, error) {
	const op = "mem.put"
	data, err := io.ReadAll(io.LimitReader(r, s.max+1))
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return driver.Attr{}, errs.Wrap(op, err)
	}
	if int64(len(data)) > s.max {
		return driver.Attr{}, errs.New(errs.Busy, op, "the store is out of room")
	}
	sum := o.Sum()
	return s.put(op, bucket, key, object{slices.Clip(data), driver.Attr{
		Size: int64(len(data)), Mime: o.Mime, SHA256: sum, ETag: sum, ModTime: time.Now(),
	}}, o.IfAbsent)
}

func (s *Store) put(op, bucket, key string, o object, ifAbsent bool) (driver.Attr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, exists := s.buckets[bucket][key]
	if exists && ifAbsent {
		return driver.Attr{}, errs.New(errs.Conflict, op, "%s/%s exists", bucket, key)
	}
	used := s.used + o.attr.Size - old.attr.Size
	if used > s.max {
		return driver.Attr{}, errs.New(errs.Busy, op, "the store is out of room")
	}
	if s.buckets[bucket] == nil {
		s.buckets[bucket] = map[string]object{}
	}
	s.buckets[bucket][key] = o
	s.used = used
	return o.attr, nil
}

// Stat implements driver.Store.
func (s *Store) Stat(ctx context.Context, bucket, key string) (driver.Attr, error) {
	o, err := s.find(ctx, "mem.stat", bucket, key)
	return o.attr, err
}

// Delete implements driver.Store.
func (s *Store) Delete(ctx context.Context, bucket, key string) error {
	if err := ctx.Err(); err != nil {
		return errs.Wrap("mem.delete", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= s.buckets[bucket][key].attr.Size
	delete(s.buckets[bucket], key)
	return nil
}

// List implements driver.Store.
func (s *Store) List(ctx context.Context, bucket, prefix, after string, limit int) ([]driver.Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, errs.Wrap("mem.list", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var items []driver.Item
	for key, o := range s.buckets[bucket] {
		if key > after && strings.HasPrefix(key, prefix) {
			items = append(items, driver.Item{Key: key, Size: o.attr.Size, ModTime: o.attr.ModTime})
		}
	}
	slices.SortFunc(items, func(a, b driver.Item) int { return strings.Compare(a.Key, b.Key) })
	return items[:min(limit, len(items))], nil
}

// Copy implements driver.Copier.
func (s *Store) Copy(ctx context.Context, srcBucket, srcKey, dstBucket, dstKey string) (driver.Attr, error) {
	o, err := s.find(ctx, "mem.copy", srcBucket, srcKey)
	if err != nil {
		return driver.Attr{}, err
	}
	return s.put("mem.copy", dstBucket, dstKey, o, false)
}

// Close implements driver.Store.
func (s *Store) Close() error { return nil }
