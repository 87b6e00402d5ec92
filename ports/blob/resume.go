package blob

import (
	"context"
	"io"

	"github.com/mediafn/mediafn/core/errs"
)

// resuming opens an object again where its reader broke off for a passing reason,
// if it is still the same version.
type resuming struct {
	s           *Store
	ctx         context.Context
	bucket, key string
	at, end     int64 // of the next byte; behind the last one
	etag        string
	body        io.ReadCloser
	broken      error // what body ended with after its last bytes
	tries       int   // since a byte came
}

func (r *resuming) Read(p []byte) (int, error) {
	for {
		n, err := 0, r.broken
		if err == nil {
			n, err = r.body.Read(p)
		}
		r.at += int64(n)
		if n > 0 {
			r.tries = 0
		}
		if kind := errs.KindOf(err); err == nil || err == io.EOF || kind != errs.Transient && kind != errs.Busy {
			return n, err
		}
		r.broken = err
		if n > 0 {
			return n, nil
		}
		if err := r.again(); err != nil {
			return 0, err
		}
	}
}

// again replaces a broken body.
func (r *resuming) again() error {
	if r.at >= r.end {
		return io.EOF // nothing is missing
	}
	if r.etag == "" {
		return r.broken
	}
	for r.tries++; r.tries < r.s.cfg.Attempts && r.s.pause(r.ctx, r.tries); r.tries++ {
		body, a, err := r.s.d.Get(r.ctx, r.bucket, r.key, r.at, r.end-r.at)
		switch kind := errs.KindOf(err); {
		case err == nil && a.ETag == r.etag:
			_ = r.body.Close()
			r.body, r.broken = body, nil
			return nil
		case err == nil: // replaced: the rest of this version is gone
			_ = body.Close()
			return r.broken
		case kind != errs.Transient && kind != errs.Busy:
			return r.broken
		}
	}
	return r.broken
}

func (r *resuming) Close() error { return r.body.Close() }
