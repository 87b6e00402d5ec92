package s3

import (
	"context"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// Copy implements driver.Copier: the store moves the bytes.
func (s *Store) Copy(ctx context.Context, srcBucket, srcKey, dstBucket, dstKey string) (driver.Attr, error) {
	const op = "s3.copy"
	from, err := s.Stat(ctx, srcBucket, srcKey)
	if err != nil {
		return driver.Attr{}, err
	}
	if srcBucket == dstBucket && srcKey == dstKey {
		return from, nil // S3 refuses that
	}
	src, err := s.name(srcBucket, srcKey)
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
	var etag string
	if from.Size <= s.o.MaxCopy {
		etag, err = s.copyWhole(ctx, src, srcKey, dst, dstKey, from)
	} else {
		etag, err = s.copyParts(ctx, src, srcKey, dst, dstKey, from)
	}
	switch code(err) {
	case "":
	case "PreconditionFailed":
		err = errs.New(errs.Transient, "source", "it was replaced meanwhile (%w)", err)
	case "NoSuchKey": // since it was asked for
		err = errs.As(errs.NotFound, "source", err)
	default:
		err = s.settled(dst, err)
	}
	if err != nil {
		return driver.Attr{}, errs.Wrap(op, err)
	}
	from.ETag = etag
	return s.stored(ctx, dstBucket, dstKey, from), nil
}

func (s *Store) copyWhole(ctx context.Context, src, srcKey, dst, dstKey string, from driver.Attr) (etag string, err error) {
	err = again(ctx, passing, func() error {
		wait, cancel := s.working(ctx, from.Size)
		defer cancel()
		info, err := s.core.Client.CopyObject(wait, minio.CopyDestOptions{Bucket: dst, Object: dstKey},
			minio.CopySrcOptions{Bucket: src, Object: srcKey, MatchETag: from.ETag})
		etag = info.ETag
		return failed(ctx, "object", err)
	})
	return etag, err
}

func (s *Store) copyParts(ctx context.Context, src, srcKey, dst, dstKey string, from driver.Attr) (etag string, err error) {
	o := minio.PutObjectOptions{ContentType: from.Mime}
	if from.SHA256 != "" {
		o.UserMetadata = map[string]string{sumKey: from.SHA256}
	}
	m, err := s.begin(ctx, dst, dstKey, o)
	if err != nil {
		return "", err
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	part := max(s.o.MaxCopy, (from.Size+mostParts-1)/mostParts)
	for n, at := 1, int64(0); at < from.Size; n, at = n+1, at+part {
		group.Go(func() error {
			return m.copy(inner, n, src, srcKey, from.ETag, at, min(part, from.Size-at))
		})
	}
	if err = group.Wait(); err == nil {
		etag, err = m.complete(ctx, o, false)
	}
	return etag, m.orAbort(ctx, err)
}

// working bounds a request the store has to move bytes for: 8 MiB/s is the least
// that counts as alive.
func (s *Store) working(ctx context.Context, bytes int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.o.Patience+time.Duration(bytes>>23)*time.Second)
}
