package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// Get implements driver.Store.
func (s *Store) Get(ctx context.Context, bucket, key string, offset, length int64) (io.ReadCloser, driver.Attr, error) {
	const op = "s3.get"
	if length == 0 { // no range says that
		return s.empty(ctx, bucket, key, offset)
	}
	name, err := s.name(bucket, key)
	if err != nil {
		return nil, driver.Attr{}, err
	}
	var o minio.GetObjectOptions
	part := offset > 0 || length > 0
	switch {
	case length > 0 && offset+length > offset:
		o.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case part:
		o.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	inner, cancel := context.WithCancel(ctx)
	clock := time.AfterFunc(s.o.Patience, cancel)
	body, info, header, err := s.core.GetObject(inner, name, key, o)
	clock.Stop()
	if err != nil {
		cancel()
		err = failed(ctx, op, err)
		if offset == 0 && errs.Is(err, errs.Invalid) {
			return s.empty(ctx, bucket, key, 0) // an empty object has no range at all
		}
		return nil, driver.Attr{}, err
	}
	a := attr(info)
	if part {
		if a.Size, err = total(header.Get("Content-Range"), offset); err != nil {
			cancel()
			_ = body.Close()
			return nil, driver.Attr{}, errs.Wrap(op, err)
		}
	}
	return &reader{ctx: ctx, body: body, cancel: cancel, clock: clock, patience: s.o.Patience}, a, nil
}

// empty answers a Get of no bytes.
func (s *Store) empty(ctx context.Context, bucket, key string, offset int64) (io.ReadCloser, driver.Attr, error) {
	a, err := s.Stat(ctx, bucket, key)
	if err != nil {
		return nil, a, err
	}
	if offset > a.Size {
		return nil, a, errs.InField("offset", "%d is beyond the end of %d bytes", offset, a.Size)
	}
	return io.NopCloser(strings.NewReader("")), a, nil
}

// total finds the object's size in "bytes 3-6/10", which must begin at offset.
func total(contentRange string, offset int64) (int64, error) {
	where, size, ok := strings.Cut(strings.TrimPrefix(contentRange, "bytes "), "/")
	from, _, _ := strings.Cut(where, "-")
	n, err := strconv.ParseInt(size, 10, 64)
	if !ok || err != nil || from != strconv.FormatInt(offset, 10) {
		return 0, errs.New(errs.Unsupported, "range", "the store answers a range with Content-Range %q", contentRange)
	}
	return n, nil
}

// reader is the body of an answer. While somebody waits for bytes and none come
// for the store's patience, the request ends.
type reader struct {
	ctx      context.Context
	body     io.ReadCloser
	cancel   context.CancelFunc
	clock    *time.Timer // calls cancel
	patience time.Duration
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, errs.Wrap("s3.read", err)
	}
	r.clock.Reset(r.patience)
	n, err := r.body.Read(p)
	r.clock.Stop()
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	return n, failed(r.ctx, "s3.read", err)
}

func (r *reader) Close() error {
	r.clock.Stop()
	r.cancel() // rather than reading what is left
	_ = r.body.Close()
	return nil
}
