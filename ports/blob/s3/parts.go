package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/core/errs"
)

// atOnce bounds the parts of one upload or copy under way.
const atOnce = 3

var passing = []errs.Kind{errs.Transient, errs.Busy}

// inParts uploads what does not fit into one request.
func (u *upload) inParts(ctx context.Context, first []byte) (size int64, etag string, err error) {
	if u.o.IfAbsent { // rather than sending it all in vain
		wait, cancel := u.s.within(ctx)
		defer cancel()
		if _, err := u.s.core.StatObject(wait, u.bucket, u.key, minio.StatObjectOptions{}); err == nil {
			u.free()
			return 0, "", errs.New(errs.Conflict, "begin", "%s/%s exists", u.bucket, u.key)
		}
	}
	o := u.options(u.o.SHA256)
	m, err := u.s.begin(ctx, u.bucket, u.key, o)
	if err != nil {
		u.free()
		return 0, "", err
	}
	err = u.send(ctx, m, first)
	if err == nil {
		etag, err = m.complete(ctx, o, u.o.IfAbsent)
	}
	return u.read, etag, m.orAbort(ctx, err)
}

// send uploads parts as they are read. It owns the memory of first. After a
// failure no part is begun, but those under way are let finish: the store could
// take one in after it was told to forget the upload.
func (u *upload) send(ctx context.Context, m *multipart, first []byte) error {
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group errgroup.Group
	group.SetLimit(atOnce)
	data, last := first, false
	for n := 1; ; n++ {
		part := data // data becomes the next one while this one is sent
		group.Go(func() error {
			defer u.free()
			if err := m.put(ctx, n, part); err != nil {
				stop(err)
			}
			return nil
		})
		if last {
			break
		}
		if n == mostParts {
			stop(errs.New(errs.TooLarge, "parts", "there may be %d of %d bytes", mostParts, u.part))
			break
		}
		var err error
		if data, last, err = u.next(inner); err != nil {
			stop(err)
			break
		}
	}
	_ = group.Wait()
	return context.Cause(inner) // the first that went wrong
}

// multipart is an upload the store puts together at the end, or forgets.
type multipart struct {
	s               *Store
	bucket, key, id string

	mu   sync.Mutex
	done []minio.CompletePart
}

func (s *Store) begin(ctx context.Context, bucket, key string, o minio.PutObjectOptions) (*multipart, error) {
	o = minio.PutObjectOptions{ContentType: o.ContentType, UserMetadata: o.UserMetadata} // a condition belongs to the end
	m := &multipart{s: s, bucket: bucket, key: key}
	err := again(ctx, passing, func() (err error) {
		wait, cancel := s.within(ctx)
		defer cancel()
		m.id, err = s.core.NewMultipartUpload(wait, bucket, key, o)
		return failed(ctx, "begin", err)
	})
	return m, err
}

// put sends one part.
func (m *multipart) put(ctx context.Context, n int, data []byte) error {
	sum := sha256.Sum256(data)
	return again(ctx, passing, func() error {
		wait, cancel := m.s.sending(ctx, len(data))
		defer cancel()
		part, err := m.s.core.PutObjectPart(wait, m.bucket, m.key, m.id, n, bytes.NewReader(data), int64(len(data)),
			minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(sum[:])})
		m.add(n, part.ETag)
		return failed(ctx, "part", err)
	})
}

// copy has the store read one part from another object, of that version only; an
// empty etag means any.
func (m *multipart) copy(ctx context.Context, n int, bucket, key, etag string, offset, length int64) error {
	var condition map[string]string
	if etag != "" {
		condition = map[string]string{"x-amz-copy-source-if-match": etag}
	}
	return again(ctx, passing, func() error {
		wait, cancel := m.s.working(ctx, length)
		defer cancel()
		part, err := m.s.core.CopyObjectPart(wait, bucket, key, m.bucket, m.key, m.id, n, offset, length, condition)
		if err == nil && part.ETag == "" { // an error may come in a 200
			return errs.New(errs.Transient, "part", "the store copied nothing")
		}
		m.add(n, part.ETag)
		return failed(ctx, "part", err)
	})
}

func (m *multipart) add(n int, etag string) {
	if etag == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = append(m.done, minio.CompletePart{PartNumber: n, ETag: etag})
}

// complete makes the object of the parts.
func (m *multipart) complete(ctx context.Context, o minio.PutObjectOptions, ifAbsent bool) (etag string, err error) {
	slices.SortFunc(m.done, func(a, b minio.CompletePart) int { return a.PartNumber - b.PartNumber })
	may := passing
	if ifAbsent {
		may = []errs.Kind{errs.Busy} // a lost answer would turn into a Conflict with oneself
	}
	asked := 0
	err = again(ctx, may, func() error {
		wait, cancel := m.s.working(ctx, int64(len(m.done))*m.s.o.PartSize)
		defer cancel()
		asked++
		info, err := m.s.core.CompleteMultipartUpload(wait, m.bucket, m.key, m.id, m.done, o)
		etag = info.ETag
		return failed(ctx, "complete", err)
	})
	if asked > 1 && code(err) == "NoSuchUpload" { // a lost answer may have said that all is well: to be done again
		err = errs.As(errs.Transient, "complete", err)
	}
	return etag, err
}

// orAbort has the store forget the parts if err says that something went wrong,
// even when that was ctx. A request that was cut off may still be worked on over
// there and bring its part after the rest is gone, so it looks whether all is.
func (m *multipart) orAbort(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	cut := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if cut {
		pause(ctx, 100*time.Millisecond)
	}
	left := again(ctx, passing, func() error {
		err := m.s.core.AbortMultipartUpload(ctx, m.bucket, m.key, m.id)
		if err == nil {
			if _, err = m.s.core.ListObjectParts(ctx, m.bucket, m.key, m.id, 0, 1); err == nil {
				return errs.New(errs.Transient, "abort", "there are parts again")
			}
		}
		return failed(ctx, "abort", err)
	})
	if code(left) != "NoSuchUpload" {
		return errs.New(errs.KindOf(err), "parts", "%w; what was sent of %s/%s stays there: %v", err, m.bucket, m.key, left)
	}
	return err
}
