package s3

import (
	"bytes"
	"context"
	"io"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// Join implements driver.Joiner: the store copies objects as parts of the new one.
// What is shorter than a part may be comes through here, and is sent together with
// what follows.
func (s *Store) Join(ctx context.Context, bucket string, srcs []driver.Item, dstBucket, dstKey, mime string) (driver.Attr, error) {
	const op = "s3.join"
	src, err := s.name(bucket, srcs[0].Key)
	if err != nil {
		return driver.Attr{}, err
	}
	dst, err := s.name(dstBucket, dstKey)
	if err != nil {
		return driver.Attr{}, err
	}
	if err := s.ready(ctx, dst); err != nil {
		return driver.Attr{}, errs.Wrap(op, err)
	}
	o := minio.PutObjectOptions{ContentType: mime}
	m, err := s.begin(ctx, dst, dstKey, o)
	if err != nil {
		return driver.Attr{}, errs.Wrap(op, s.settled(dst, err))
	}
	size, etag := int64(0), ""
	for _, item := range srcs {
		size += item.Size
	}
	if err = s.joinParts(ctx, m, bucket, src, srcs); err == nil {
		etag, err = m.complete(ctx, o, false)
	}
	if err = m.orAbort(ctx, err); err != nil {
		if code(err) == "NoSuchKey" {
			err = errs.As(errs.NotFound, "piece", err)
		}
		return driver.Attr{}, errs.Wrap(op, s.settled(dst, err))
	}
	return s.stored(ctx, dstBucket, dstKey, driver.Attr{Size: size, Mime: mime, ETag: etag}), nil
}

// joinParts makes parts of srcs, which lie in bucket, as the store calls it src.
func (s *Store) joinParts(ctx context.Context, m *multipart, bucket, src string, srcs []driver.Item) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	n := 0
	part := func(f func(n int) error) {
		n++
		group.Go(func() error { return f(n) })
	}
	var held bytes.Buffer // what is too short so far
	send := func() {
		data := bytes.Clone(held.Bytes())
		held.Reset()
		part(func(n int) error { return m.put(inner, n, data) })
	}
	for i, item := range srcs {
		at := int64(0)
		for at < item.Size && inner.Err() == nil {
			rest, most := item.Size-at, int64(leastPart-held.Len())
			if held.Len() == 0 && (rest >= leastPart || i == len(srcs)-1) {
				from := at
				part(func(n int) error { return m.copy(inner, n, src, item.Key, "", from, rest) })
				break
			}
			body, _, err := s.Get(inner, bucket, item.Key, at, min(rest, most))
			if err == nil {
				_, err = io.Copy(&held, body)
				_ = body.Close()
			}
			if err != nil {
				group.Go(func() error { return err })
				break
			}
			at += min(rest, most)
			if held.Len() >= leastPart {
				send()
			}
		}
	}
	if held.Len() > 0 {
		send()
	}
	return group.Wait()
}
