package blob

import (
	"context"
	"io"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// Reader reads one version of an object at random. ReadAt may be called from
// several goroutines.
type Reader struct {
	io.ReaderAt
	attr  Attr
	close func() error
}

// Size is the object's size in bytes.
func (r *Reader) Size() int64 { return r.attr.Size }

// Attr describes the version that is read.
func (r *Reader) Attr() Attr { return r.attr }

// Close lets the object go.
func (r *Reader) Close() error { return errs.Wrap("blob.reader.close", r.close()) }

// Reader opens an object for reading at random; ReadAt ends with ctx. NotFound: no
// such object. If the store can only read by range and the object is replaced
// meanwhile, ReadAt fails with Conflict: versions are never mixed.
func (s *Store) Reader(ctx context.Context, bucket, key string) (*Reader, error) {
	const op = "blob.reader"
	if err := checkName(op, bucket, key); err != nil {
		return nil, err
	}
	if o, ok := s.d.(driver.Opener); ok {
		var f driver.ReaderAtCloser
		var a Attr
		err := s.retry(ctx, func() (err error) { f, a, err = o.Open(ctx, bucket, key); return err })
		if err != nil {
			return nil, errs.Wrap(op, err)
		}
		return &Reader{ReaderAt: untilDone{ctx, f}, attr: a, close: f.Close}, nil
	}
	a, err := s.Stat(ctx, bucket, key)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return &Reader{
		ReaderAt: &ranged{s: s, ctx: ctx, bucket: bucket, key: key, attr: a},
		attr:     a, close: func() error { return nil },
	}, nil
}

type untilDone struct {
	ctx context.Context
	r   io.ReaderAt
}

func (u untilDone) ReadAt(p []byte, off int64) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, errs.Wrap("blob.read_at", err)
	}
	return u.r.ReadAt(p, off)
}

// ranged makes one Get a ReadAt.
type ranged struct {
	s           *Store
	ctx         context.Context
	bucket, key string
	attr        Attr
}

func (r *ranged) ReadAt(p []byte, off int64) (int, error) {
	const op = "blob.read_at"
	if off < 0 {
		return 0, errs.Wrap(op, errs.InField("offset", "must not be negative, is %d", off))
	}
	if off >= r.attr.Size {
		return 0, io.EOF
	}
	want := min(int64(len(p)), r.attr.Size-off)
	if want == 0 {
		return 0, nil
	}
	body, a, err := r.s.Get(r.ctx, r.bucket, r.key, off, want)
	if err != nil {
		return 0, errs.Wrap(op, err)
	}
	defer body.Close()
	if a.ETag != r.attr.ETag {
		return 0, errs.New(errs.Conflict, op, "%s/%s was replaced while it was read", r.bucket, r.key)
	}
	n, err := io.ReadFull(body, p[:want])
	if err != nil {
		return n, errs.As(errs.Transient, op, err)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
