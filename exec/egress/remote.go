package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// headSize is how many first bytes Open asks for: what sniffing needs, so that
// looking at a file costs one request.
const headSize = 64 << 10

// Remote is an object behind a URL. It is safe for concurrent use.
type Remote struct {
	c        *Client
	url      string // as given
	final    string // where redirects led
	size     int64
	mime     string
	ranges   bool
	etag     string
	modified string
	head     []byte
}

// Open looks at the object behind addr with one request.
//
// A refused address is Denied; 404 and 410 are NotFound; 401 and 403 Denied;
// other 4xx and malformed URLs Invalid; 5xx, time limits and broken
// connections Transient; 429 Busy; an object over MaxBytes TooLarge.
func (c *Client) Open(ctx context.Context, addr string) (*Remote, error) {
	r := &Remote{c: c, url: addr, size: -1}
	err := c.bounded(ctx, func(ctx context.Context) error { return r.probe(ctx) })
	if err != nil {
		return nil, err
	}
	if r.size > c.cfg.MaxBytes {
		return nil, tooLarge(c.cfg.MaxBytes)
	}
	return r, nil
}

// Size is the object's length in bytes, or -1 where the server does not say.
func (r *Remote) Size() int64 { return r.size }

// Mime is the type the server claims, without parameters. Never trust it.
func (r *Remote) Mime() string { return r.mime }

// Ranges reports whether parts of the object can be read.
func (r *Remote) Ranges() bool { return r.ranges }

// Identity names this content of this object: the same string means the same
// bytes. It is "" where the server gives no strong validator.
func (r *Remote) Identity() string {
	if !strong(r.etag) {
		return ""
	}
	return fmt.Sprintf("url %s %s %d", r.url, r.etag, r.size)
}

// Head returns the object's first bytes, at most 64 KiB, all of a smaller one.
func (r *Remote) Head() []byte { return r.head }

func (r *Remote) probe(ctx context.Context) error {
	resp, err := r.c.get(ctx, r.url, map[string]string{"Range": fmt.Sprintf("bytes=0-%d", headSize-1)})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	r.final = resp.Request.URL.String()
	r.etag, r.modified = resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	r.mime, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch resp.StatusCode {
	case http.StatusOK:
		r.size = resp.ContentLength
	case http.StatusPartialContent:
		first, last, total, err := contentRange(resp.Header.Get("Content-Range"))
		if err != nil || first != 0 || last >= headSize || last+1 < min(headSize, total) {
			return nil // it answers ranges, but not with what was asked: only a download can be trusted
		}
		r.size, r.ranges = total, true
	case http.StatusRequestedRangeNotSatisfiable:
		if _, _, total, err := contentRange(resp.Header.Get("Content-Range")); err == nil && total == 0 {
			r.size, r.ranges = 0, true
			return nil
		}
		return status(resp.StatusCode)
	default:
		return status(resp.StatusCode)
	}
	want := int64(headSize)
	if r.size >= 0 {
		want = min(want, r.size)
	}
	r.head = make([]byte, want)
	n, err := io.ReadFull(resp.Body, r.head)
	r.head = r.head[:n]
	if r.size < 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		r.size, err = int64(n), nil
	}
	if err != nil {
		return fault(ctx, err)
	}
	return nil
}

// ReadAt is ReadAtContext without a context; the client's limits hold.
func (r *Remote) ReadAt(p []byte, off int64) (int, error) {
	return r.ReadAtContext(context.Background(), p, off)
}

// ReadAtContext reads len(p) bytes at off with io.ReaderAt's promises. It is
// Unsupported without Ranges, and Transient where the object is not the one
// that was opened any more: a fresh attempt then reads the new one from its
// start. Faults of the network are tried again a few times.
func (r *Remote) ReadAtContext(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errs.New(errs.Internal, op, "negative offset %d", off)
	}
	if off >= r.size && r.ranges {
		return 0, io.EOF
	}
	want := p
	if r.ranges && int64(len(p)) > r.size-off {
		want = p[:r.size-off]
	}
	if off+int64(len(want)) <= int64(len(r.head)) {
		copy(want, r.head[off:])
	} else if !r.ranges {
		return 0, errs.New(errs.Unsupported, op, "the server does not serve ranges")
	} else if n, err := r.fill(ctx, want, off); err != nil {
		return n, err
	}
	if len(want) < len(p) {
		return len(want), io.EOF
	}
	return len(p), nil
}

// fill reads all of p, asking again for what a server left out.
func (r *Remote) fill(ctx context.Context, p []byte, off int64) (n int, err error) {
	pause := r.c.pause
	for try := 1; n < len(p); {
		got := 0
		err = r.c.bounded(ctx, func(ctx context.Context) (err error) {
			got, err = r.some(ctx, p[n:], off+int64(n))
			return err
		})
		n += got
		switch {
		case err == nil || got > 0:
			try = 1
			continue
		case !errs.KindOf(err).Retryable() || errors.Is(err, errChanged) || try == tries || ctx.Err() != nil:
			return n, err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return n, errs.Wrap(op, context.Cause(ctx))
		}
		try, pause = try+1, pause*2
	}
	return n, nil
}

var errChanged = errors.New("the object changed while it was read")

func changed() error { return errs.As(errs.Transient, op, errChanged) }

// some makes one range request and reads at least one byte of p.
func (r *Remote) some(ctx context.Context, p []byte, off int64) (int, error) {
	header := map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1)}
	if strong(r.etag) {
		header["If-Range"] = r.etag
	}
	resp, err := r.c.get(ctx, r.final, header)
	if err == nil && resp.StatusCode >= 400 && resp.StatusCode < 500 && r.final != r.url {
		resp.Body.Close() // a signed address a redirect led to may have expired
		resp, err = r.c.get(ctx, r.url, header)
	}
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusPartialContent:
	case http.StatusOK, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		return 0, changed()
	default:
		return 0, status(resp.StatusCode)
	}
	first, last, total, err := contentRange(resp.Header.Get("Content-Range"))
	if err != nil || first != off || last >= off+int64(len(p)) {
		return 0, errs.New(errs.Transient, op, "asked for %s, got %q", header["Range"], resp.Header.Get("Content-Range"))
	}
	if total != r.size || !r.same(resp) {
		return 0, changed()
	}
	n, err := io.ReadFull(resp.Body, p[:last-first+1])
	if err != nil {
		return n, fault(ctx, err)
	}
	return n, nil
}

// same reports whether the answer is about the object that was opened.
func (r *Remote) same(resp *http.Response) bool {
	if etag := resp.Header.Get("ETag"); r.etag != "" && etag != "" {
		return etag == r.etag
	}
	m := resp.Header.Get("Last-Modified")
	return r.modified == "" || m == "" || m == r.modified
}

// Download writes the whole object to w and returns its length. An object
// that grows over MaxBytes is TooLarge; one cut short is Transient.
func (r *Remote) Download(ctx context.Context, w io.Writer) (int64, error) {
	if r.size >= 0 && int64(len(r.head)) == r.size {
		n, err := w.Write(r.head)
		return int64(n), err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.c.cfg.Total,
		errs.New(errs.TooLarge, op, "the download did not end within %v", r.c.cfg.Total))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stall := time.AfterFunc(r.c.cfg.Timeout, func() { stop(r.c.slow()) })
	defer stall.Stop()

	resp, err := r.c.get(ctx, r.url, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, status(resp.StatusCode)
	}
	if !r.same(resp) || r.size >= 0 && resp.ContentLength >= 0 && resp.ContentLength != r.size {
		return 0, changed()
	}
	if resp.ContentLength > r.c.cfg.MaxBytes {
		return 0, tooLarge(r.c.cfg.MaxBytes)
	}
	var n int64
	buf := make([]byte, 64<<10)
	for {
		k, err := resp.Body.Read(buf)
		stall.Reset(r.c.cfg.Timeout)
		if n += int64(k); n > r.c.cfg.MaxBytes {
			return n, tooLarge(r.c.cfg.MaxBytes)
		}
		if k > 0 {
			if _, err := w.Write(buf[:k]); err != nil {
				return n, err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, fault(ctx, err)
		}
	}
}

// bounded runs one request under the client's time limit.
func (c *Client) bounded(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, c.slow())
	defer cancel()
	return f(ctx)
}

func (c *Client) slow() error {
	return errs.New(errs.Transient, op, "no answer within %v", c.cfg.Timeout)
}

func tooLarge(limit int64) error {
	return errs.New(errs.TooLarge, op, "the object has more than %d bytes", limit)
}

func strong(etag string) bool { return len(etag) > 2 && etag[0] == '"' }

func text(code int) string {
	return strings.TrimSpace(strconv.Itoa(code) + " " + http.StatusText(code))
}

// contentRange parses "bytes 0-99/1234" (RFC 9110 §14.4), and "bytes */1234",
// which gives first = last = -1. An unknown total is an error: without it
// nothing can be read in place.
func contentRange(s string) (first, last, total int64, err error) {
	bad := fmt.Errorf("content range %q", s)
	unit, rest, _ := strings.Cut(s, " ")
	span, size, ok := strings.Cut(strings.TrimSpace(rest), "/")
	if !strings.EqualFold(unit, "bytes") || !ok {
		return 0, 0, 0, bad
	}
	if total, ok = number(size); !ok {
		return 0, 0, 0, bad
	}
	if span == "*" {
		return -1, -1, total, nil
	}
	a, b, _ := strings.Cut(span, "-")
	first, ok1 := number(a)
	last, ok2 := number(b)
	if !ok1 || !ok2 || first > last || last >= total {
		return 0, 0, 0, bad
	}
	return first, last, total, nil
}

// number parses digits only: ParseInt alone would take a sign.
func number(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
