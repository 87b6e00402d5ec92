// Package driver is what an object store must offer to hold mediafn's files.
// Applications use package blob; only drivers import this one.
package driver

import (
	"context"
	"io"
	"time"
)

// Store holds objects in buckets.
//
// All methods may be called from several goroutines at once. Buckets and keys
// have been checked by package blob (see blob.CheckBucket and blob.CheckKey),
// and so have ranges of numbers; a bucket comes into being with its first
// object. Errors are *errs.Error (or wrap one). Every method may fail with
// Transient (the store cannot be reached), Timeout or Canceled (ctx ended),
// Denied (the store refuses these credentials) and Busy (out of room or over a
// rate).
type Store interface {
	// Get opens an object from offset (≥ 0) for length bytes; length < 0 means to
	// the end, and a range that reaches past the end is cut there. The reader
	// belongs to the caller, keeps showing the same version whatever happens to the
	// key, and ends when ctx does. NotFound: no such object. Invalid: offset is
	// beyond the size.
	Get(ctx context.Context, bucket, key string, offset, length int64) (io.ReadCloser, Attr, error)

	// Put stores what r gives, whole or not at all: readers see the old object
	// until Put has returned nil, and the new one from then on, also after a power
	// loss. If r fails, Put returns that error (errors.Is) and nothing has changed.
	// It reads r to io.EOF and does not keep it. Conflict: o.IfAbsent and the
	// object exists, or the store cannot hold this key beside another one.
	Put(ctx context.Context, bucket, key string, r io.Reader, o PutOptions) (Attr, error)

	// Stat describes an object. NotFound: no such object.
	Stat(ctx context.Context, bucket, key string) (Attr, error)

	// Delete removes an object. It is no error if there is none.
	Delete(ctx context.Context, bucket, key string) error

	// List returns up to limit objects whose keys start with prefix and come after
	// after, in the order of their bytes. Fewer than limit means there are no more.
	List(ctx context.Context, bucket, prefix, after string, limit int) ([]Item, error)

	// Close lets resources go. Readers that are open may fail afterwards.
	Close() error
}

// Copier is the optional ability to copy without moving the bytes through here.
type Copier interface {
	// Copy makes dst the same as src, as atomically as Put, keeping Mime and SHA256.
	Copy(ctx context.Context, srcBucket, srcKey, dstBucket, dstKey string) (Attr, error)
}

// Joiner is the optional ability to put objects of one bucket together as one
// without moving all the bytes through here.
type Joiner interface {
	// Join makes dst of srcs in their order, as atomically as Put; they are there
	// and do not change, and none is empty. NotFound: one is not there.
	Join(ctx context.Context, bucket string, srcs []Item, dstBucket, dstKey, mime string) (Attr, error)
}

// Opener is the optional ability to read one version of an object at random.
type Opener interface {
	// Open fails as Get does. ReadAt may be called from several goroutines.
	Open(ctx context.Context, bucket, key string) (ReaderAtCloser, Attr, error)
}

// ReaderAtCloser is an open version of an object.
type ReaderAtCloser interface {
	io.ReaderAt
	io.Closer
}

// PutOptions says what is known about an object before it is read.
type PutOptions struct {
	Size     int64         // -1 if unknown
	Mime     string        // kept as given
	IfAbsent bool          // do not replace an object
	Sum      func() string // SHA-256 of what r gave, in hex; valid once r has returned io.EOF
	SHA256   string        // the same if it is known before; else ""
}

// Attr describes one version of an object.
type Attr struct {
	Size    int64
	Mime    string
	SHA256  string    // hex; "" if the store does not know it
	ModTime time.Time // when it was stored; a copy may keep the time of its source
	ETag    string    // differs for versions that differ, without quotes
}

// Item is one line of a listing.
type Item struct {
	Key     string
	Size    int64
	ModTime time.Time
	Cold    bool // it is in the colder class, see Cooler
}
