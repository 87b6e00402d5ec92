package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// PutOptions says what is known about an object before it is read.
type PutOptions struct {
	Size     int64  // bytes r must give, exactly; -1 if unknown
	Mime     string // kept as given; printable ASCII, at most 255 bytes
	SHA256   string // expected sum in hex; "" if unknown
	IfAbsent bool   // do not replace an object: Conflict if there is one
}

// Put stores what r gives under a key, whole or not at all: until Put returns nil
// readers see what was there before, and from then on the new object, also after a
// power loss. Invalid: r gives another size or sum than o says. TooLarge: more
// than Config.MaxSize. Conflict: o.IfAbsent and the object exists, or the store
// cannot hold this key beside another one (files: "a" and "a/b"). If r fails, that
// error is returned. A passing failure is retried if r is an io.Seeker.
func (s *Store) Put(ctx context.Context, bucket, key string, r io.Reader, o PutOptions) (a Attr, err error) {
	const op = "blob.put"
	defer s.observe("put", time.Now(), &a.Size, &err)
	if err := checkName(op, bucket, key); err != nil {
		return a, err
	}
	if err := checkPut(o); err != nil {
		return a, errs.Wrap(op, err)
	}
	if o.Size > s.cfg.MaxSize {
		return a, errs.New(errs.TooLarge, op, "%d bytes, at most %d", o.Size, s.cfg.MaxSize)
	}
	start, seeker := int64(0), io.Seeker(nil)
	if sk, ok := r.(io.Seeker); ok {
		if pos, err := sk.Seek(0, io.SeekCurrent); err == nil {
			start, seeker = pos, sk
		}
	}
	want := strings.ToLower(o.SHA256)
	for try := 1; ; try++ {
		c := &checked{r: r, ctx: ctx, sum: sha256.New(), size: o.Size, limit: s.cfg.MaxSize, want: want}
		a, err = s.d.Put(ctx, bucket, key, c, driver.PutOptions{
			Size: o.Size, Mime: o.Mime, IfAbsent: o.IfAbsent, SHA256: want, Sum: c.hex,
		})
		if err == nil {
			return a, nil
		}
		// With IfAbsent a lost answer would turn into a Conflict with oneself.
		again := errs.Is(err, errs.Transient) && c.failed == nil && seeker != nil && !o.IfAbsent
		if !again || try >= s.cfg.Attempts || !s.pause(ctx, try) {
			return Attr{}, errs.Wrap(op, err)
		}
		if _, serr := seeker.Seek(start, io.SeekStart); serr != nil {
			return Attr{}, errs.Wrap(op, err)
		}
	}
}

func checkPut(o PutOptions) error {
	if o.Size < -1 {
		return errs.InField("size", "must be -1 or more, is %d", o.Size)
	}
	if len(o.Mime) > 255 {
		return errs.InField("mime", "is longer than 255 bytes")
	}
	for i := 0; i < len(o.Mime); i++ {
		if o.Mime[i] < ' ' || o.Mime[i] > '~' {
			return errs.InField("mime", "%q holds a character that is not printable ASCII", o.Mime)
		}
	}
	if b, err := hex.DecodeString(o.SHA256); o.SHA256 != "" && (err != nil || len(b) != sha256.Size) {
		return errs.InField("sha256", "%q is not 64 hex digits", o.SHA256)
	}
	return nil
}

// checked fails instead of ending when what it read is not what was promised, so
// that a driver never sees the end of a wrong object.
type checked struct {
	ctx    context.Context
	r      io.Reader
	sum    hash.Hash
	n      int64
	size   int64 // -1 if unknown
	limit  int64
	want   string
	failed error
}

func (c *checked) Read(p []byte) (int, error) {
	if c.failed != nil {
		return 0, c.failed
	}
	if err := c.ctx.Err(); err != nil {
		return 0, c.fail(errs.Wrap("blob.read", err))
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	switch {
	case c.n > c.limit:
		return 0, c.fail(errs.New(errs.TooLarge, "blob.read", "more than %d bytes", c.limit))
	case c.size >= 0 && c.n > c.size:
		return 0, c.fail(errs.InField("size", "more than the promised %d bytes came", c.size))
	case err == io.EOF && c.size >= 0 && c.n < c.size:
		return 0, c.fail(errs.InField("size", "%d bytes came, %d were promised", c.n, c.size))
	case err == io.EOF && c.want != "" && c.hex() != c.want:
		return 0, c.fail(errs.InField("sha256", "is %s, %s was promised", c.hex(), c.want))
	case err != nil && err != io.EOF:
		return n, c.fail(errs.Wrap("blob.read", err))
	}
	return n, err
}

func (c *checked) fail(err error) error { c.failed = err; return err }

func (c *checked) hex() string { return hex.EncodeToString(c.sum.Sum(nil)) }

// Copy makes dst the same as src, as atomically as Put. Within the store's own
// means no bytes move (hard link, server-side copy). NotFound: no such source.
func (s *Store) Copy(ctx context.Context, srcBucket, srcKey, dstBucket, dstKey string) (a Attr, err error) {
	const op = "blob.copy"
	defer s.observe("copy", time.Now(), &a.Size, &err)
	if err := checkName(op, srcBucket, srcKey); err != nil {
		return a, err
	}
	if err := checkName(op, dstBucket, dstKey); err != nil {
		return a, err
	}
	if c, ok := s.d.(driver.Copier); ok {
		err = s.retry(ctx, func() (err error) { a, err = c.Copy(ctx, srcBucket, srcKey, dstBucket, dstKey); return err })
		return a, errs.Wrap(op, err)
	}
	r, from, err := s.Get(ctx, srcBucket, srcKey, 0, -1)
	if err != nil {
		return a, errs.Wrap(op, err)
	}
	defer r.Close()
	return s.Put(ctx, dstBucket, dstKey, r, PutOptions{Size: from.Size, Mime: from.Mime, SHA256: from.SHA256})
}
