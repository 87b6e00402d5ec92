package s3

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// Put implements driver.Store.
func (s *Store) Put(ctx context.Context, bucket, key string, r io.Reader, o driver.PutOptions) (driver.Attr, error) {
	const op = "s3.put"
	name, err := s.name(bucket, key)
	if err != nil {
		return driver.Attr{}, err
	}
	if err := s.ready(ctx, name); err != nil {
		return driver.Attr{}, errs.Wrap(op, err)
	}
	u := &upload{s: s, bucket: name, key: key, o: o, r: bufio.NewReader(r), part: s.partSize(o.Size)}
	size, etag, err := u.run(ctx)
	if err != nil {
		return driver.Attr{}, errs.Wrap(op, s.settled(name, err))
	}
	return s.stored(ctx, bucket, key, driver.Attr{Size: size, Mime: o.Mime, SHA256: o.Sum(), ETag: etag}), nil
}

// ready sees to it that a bucket exists.
func (s *Store) ready(ctx context.Context, name string) error {
	if !s.o.Create {
		return nil
	}
	if _, ok := s.known.Load(name); ok {
		return nil
	}
	s.making.Lock() // many may want to write first
	defer s.making.Unlock()
	if _, ok := s.known.Load(name); ok {
		return nil
	}
	err := again(ctx, passing, func() error {
		wait, cancel := s.within(ctx)
		defer cancel()
		exists, err := s.core.BucketExists(wait, name)
		if err == nil && !exists {
			err = s.core.MakeBucket(wait, name, minio.MakeBucketOptions{Region: s.o.Region})
			switch code(err) {
			case "BucketAlreadyOwnedByYou", "BucketAlreadyExists": // another process was faster
				err = nil
			}
		}
		return failed(ctx, "bucket "+name, err)
	})
	if err == nil {
		s.known.Store(name, struct{}{})
	}
	return err
}

// settled says what a write finally failed for. A bucket that somebody removed is
// made again by the next try.
func (s *Store) settled(name string, err error) error {
	switch code(err) {
	case "NoSuchBucket":
		if !s.o.Create {
			return errs.New(errs.NotFound, "bucket "+name, "does not exist, and create=false forbids to make it")
		}
		s.known.Delete(name)
		return errs.As(errs.Transient, "bucket "+name, err)
	case existsAsFolder:
		return errs.As(errs.Conflict, "folder", err)
	}
	return err
}

// stored completes what is known of a new object by asking for it. If that fails
// the object is stored all the same, and the time is ours.
func (s *Store) stored(ctx context.Context, bucket, key string, a driver.Attr) driver.Attr {
	now, err := s.Stat(ctx, bucket, key)
	if err == nil && now.ETag == a.ETag {
		a.Mime, a.ModTime = now.Mime, now.ModTime
	} else {
		a.ModTime = time.Now().Truncate(time.Second)
	}
	return a
}

// partSize is how much of an object is sent at once: all of a small one, and so
// much of a large one that mostParts are enough.
func (s *Store) partSize(size int64) int64 {
	if size >= 0 && size <= s.o.PartSize {
		return size
	}
	return max(s.o.PartSize, (size+mostParts-1)/mostParts)
}

// upload is one Put under way.
type upload struct {
	s           *Store
	bucket, key string
	o           driver.PutOptions
	r           *bufio.Reader
	part        int64 // bytes sent at once
	read        int64 // bytes of r so far
}

// run returns the size and the ETag of the new object.
func (u *upload) run(ctx context.Context) (int64, string, error) {
	first, last, err := u.next(ctx)
	if err != nil {
		return 0, "", err
	}
	if !last {
		return u.inParts(ctx, first)
	}
	defer u.free()
	may := []errs.Kind{errs.Transient, errs.Busy}
	if u.o.IfAbsent {
		may = may[1:] // a lost answer would turn into a Conflict with oneself
	}
	etag := ""
	err = again(ctx, may, func() error {
		wait, cancel := u.s.sending(ctx, len(first))
		defer cancel()
		sum := u.o.Sum()
		info, err := u.s.core.PutObject(wait, u.bucket, u.key, bytes.NewReader(first), int64(len(first)), "", sum, u.options(sum))
		etag = info.ETag
		return failed(ctx, "object", err)
	})
	return u.read, etag, err
}

func (u *upload) options(sum string) minio.PutObjectOptions {
	o := minio.PutObjectOptions{ContentType: u.o.Mime}
	if sum != "" {
		o.UserMetadata = map[string]string{sumKey: sum}
	}
	if u.o.IfAbsent {
		o.SetMatchETagExcept("*")
	}
	return o
}

// next reads up to u.part bytes and tells whether they are the last. Without an
// error their memory is the caller's to free.
func (u *upload) next(ctx context.Context) (data []byte, last bool, err error) {
	if err := u.s.memory.Acquire(ctx, u.weight()); err != nil {
		return nil, false, errs.Wrap("memory", err)
	}
	if u.o.Size >= 0 || u.read > 0 {
		data = make([]byte, u.part)
		n := 0
		for n < len(data) && err == nil {
			var m int
			m, err = u.r.Read(data[n:])
			n += m
		}
		data = data[:n]
	} else { // may be a small one: grows as it comes
		var b bytes.Buffer
		_, err = io.CopyN(&b, u.r, u.part)
		data = b.Bytes()
	}
	u.read += int64(len(data))
	if err == nil {
		_, err = u.r.Peek(1) // at its end the reader tells whether all was as promised
	}
	if err == io.EOF { // nothing but the end: a reader's failure may wrap one
		return data, true, nil
	}
	if err != nil {
		u.free()
	}
	return data, false, err
}

func (u *upload) weight() int64 { return min(u.part, u.s.o.Memory) }

func (u *upload) free() { u.s.memory.Release(u.weight()) }

// sending bounds a request that carries bytes: 64 KiB/s is the least that counts
// as alive.
func (s *Store) sending(ctx context.Context, bytes int) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.o.Patience+time.Duration(bytes)*time.Second/(64<<10))
}

// again repeats f while it fails for one of these reasons. Package blob could only
// repeat a Put from its first byte, and only if its reader can go back; what is
// repeated here is one request whose body is in memory.
func again(ctx context.Context, may []errs.Kind, f func() error) error {
	const tries, first = 3, 100 * time.Millisecond
	for try := 0; ; try++ {
		err := f()
		if err == nil || try == tries-1 || !slices.Contains(may, errs.KindOf(err)) {
			return err
		}
		if !pause(ctx, first<<try) {
			return err
		}
	}
}

// pause waits for d, give or take a half, so that clients do not return in step.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
