package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/errs"
)

// Sending is how a file is sent; the zero Sending fits.
type Sending struct {
	Tries int              // failures in a row after which it is given up; 0 = 12, which takes some minutes
	Pause time.Duration    // before the second try, twice as long before each further one up to half a minute; 0 = half a second
	Least int64            // bytes of a request at the least; 0 = 256 KiB
	Stall time.Duration    // a request of which nothing moves for so long is broken off; 0 = a minute
	Told  func(sent int64) // is told how far it is, bytes under way included
}

// A request carries at most so much: a piece as the gateway stores them. It has
// to fit into memory, since its checksum goes in front.
const mostSent = 8 << 20

// SendUpload sends what an upload lacks of r, which has size bytes, and returns
// the upload as it ended. After a break it asks where to go on, so nothing that
// counts is sent twice; a request is as large as the line takes in a few seconds.
// It gives up after many failures in a row, or one that would only repeat itself;
// what has been sent stays, and a later call goes on with it.
func (c *Client) SendUpload(ctx context.Context, id string, r io.ReaderAt, size int64, s Sending) (*api.Upload, error) {
	s.fill()
	b := &batch{c: c, id: id, r: r, size: size, Sending: s, piece: max(s.Least, 1<<20), at: -1}
	for fails, far := 0, int64(-1); ; {
		u, err := b.step(ctx)
		switch {
		case u != nil:
			return u, nil
		case err == nil:
			if b.at > far {
				fails, far = 0, b.at
			}
			continue
		}
		if fails++; !again(err) || fails >= s.Tries || ctx.Err() != nil {
			return nil, err
		}
		b.at, b.piece = -1, max(b.piece/2, s.Least)
		select {
		case <-time.After(min(s.Pause<<(fails-1), 30*time.Second)):
		case <-ctx.Done():
			return nil, errs.Wrap(op, context.Cause(ctx))
		}
	}
}

func (s *Sending) fill() {
	if s.Tries == 0 {
		s.Tries = 12
	}
	if s.Pause == 0 {
		s.Pause = 500 * time.Millisecond
	}
	if s.Least == 0 {
		s.Least = 256 << 10
	}
	if s.Stall == 0 {
		s.Stall = time.Minute
	}
	if s.Told == nil {
		s.Told = func(int64) {}
	}
}

// again tells whether the same may go well the next time: what came of a broken
// connection may be counted after we have asked, and a wrong sum is damage on the
// way.
func again(err error) bool {
	field := errs.FieldOf(err)
	return errs.KindOf(err).Retryable() || errs.Is(err, errs.Conflict) || field == "Upload-Offset" || field == "Upload-Checksum"
}

// batch is a file on its way.
type batch struct {
	Sending
	c     *Client
	id    string
	r     io.ReaderAt
	size  int64
	at    int64 // -1: not known
	piece int64 // of the next request
	sums  []string
	asked bool // for sums
	buf   []byte
}

// step does the next thing: it asks what the server takes, where to go on, sends
// some, or looks how the whole upload ended.
func (b *batch) step(ctx context.Context) (_ *api.Upload, err error) {
	switch {
	case !b.asked:
		b.sums, err = b.c.UploadSums(ctx)
		b.asked = err == nil
	case b.at < 0:
		head, err := b.c.UploadHead(ctx, b.id)
		if errs.Is(err, errs.NotFound) {
			return b.end(ctx) // it says why
		}
		if err == nil {
			b.at = head.Offset
			b.Told(b.at)
		}
		return nil, err
	case b.at > b.size:
		return nil, errs.New(errs.Invalid, op, "upload %s has %d bytes already, the file has %d", b.id, b.at, b.size)
	case b.at < b.size:
		return nil, b.send(ctx)
	default:
		return b.end(ctx)
	}
	return nil, err
}

// send makes one request, and the next one larger or smaller.
func (b *batch) send(ctx context.Context) error {
	n := min(b.piece, b.size-b.at)
	b.buf = slices.Grow(b.buf[:0], int(n))[:n]
	if k, err := b.r.ReadAt(b.buf, b.at); k < len(b.buf) {
		return errs.New(errs.Invalid, op, "the file ends or can't be read at %d: %w", b.at+int64(k), err)
	}
	sum := ""
	if slices.Contains(b.sums, "sha256") {
		raw := sha256.Sum256(b.buf)
		sum = "sha256 " + base64.StdEncoding.EncodeToString(raw[:])
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Behind the last byte of all the server puts the object together, which may
	// take as long as copying it.
	patience := b.Stall
	if b.at+n == b.size {
		patience += time.Duration(b.size>>20) * time.Second / 4
	}
	watch := time.AfterFunc(patience, func() {
		cancel(errs.New(errs.Transient, op, "nothing moved for %s", patience))
	})
	defer watch.Stop()
	began := time.Now()
	body := &told{r: bytes.NewReader(b.buf), left: func(left int) {
		watch.Reset(patience)
		b.Told(b.at + n - int64(left))
	}}
	at, err := b.c.AppendUpload(ctx, b.id, b.at, body, n, sum)
	body.stop()
	if err != nil {
		return err
	}
	switch took := time.Since(began); {
	case took < 2*time.Second:
		b.piece = min(b.piece*2, mostSent)
	case took > 8*time.Second:
		b.piece = max(b.piece/2, b.Least)
	}
	b.at = at
	b.Told(at)
	return nil
}

// told reads bytes and says how many are left, until it is stopped: a request
// that was answered early may be written on for a moment.
type told struct {
	mu      sync.Mutex
	r       *bytes.Reader
	left    func(n int)
	stopped bool
}

func (t *told) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return 0, errs.New(errs.Canceled, op, "the request is over")
	}
	n, err := t.r.Read(p)
	t.left(t.r.Len())
	return n, err
}

func (t *told) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
}

// end waits until the object of a whole upload is there: if the gateway that was
// about to put it together is gone, another one does it.
func (b *batch) end(ctx context.Context) (*api.Upload, error) {
	for {
		u, err := b.c.Upload(ctx, b.id)
		switch {
		case err != nil:
			return nil, err
		case u.State == arrival.Done:
			return u, nil
		case u.State == arrival.Gone:
			return nil, errs.New(errs.NotFound, op, "upload %s is over: %s", b.id, u.Ended)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, errs.Wrap(op, context.Cause(ctx))
		}
	}
}
