package tus

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/tools/container/front"
)

// patch answers PATCH: it adds the body where the upload ends.
func (h *Handler) patch(w http.ResponseWriter, r *http.Request, tenant string) error {
	if r.Header.Get("Content-Type") != bodyType {
		return wrong(http.StatusUnsupportedMediaType, "Content-Type", "must be %s", bodyType)
	}
	u, err := h.find(r.Context(), r, tenant) // before anybody is disturbed
	if err != nil {
		return err
	}
	if err := h.body(w, r, &u, "PATCH"); err != nil {
		return err
	}
	told(w.Header(), &u)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// body adds a request's body to an upload, and puts the object together when
// that was the last of it.
func (h *Handler) body(w http.ResponseWriter, r *http.Request, u *state.Upload, method string) error {
	select {
	case h.bodies <- struct{}{}:
		defer func() { <-h.bodies }()
		defer h.parts.Metrics.receives()()
	default:
		return errs.New(errs.Busy, "uploads", "too many uploads send at once")
	}
	connection := http.NewResponseController(w)
	defer func() { _ = connection.SetReadDeadline(time.Time{}) }()
	release, err := h.take(r.Context(), u.ID, func() { _ = connection.SetReadDeadline(time.Unix(1, 0)) })
	if err != nil {
		return err
	}
	defer release()
	// What has come counts, whatever becomes of the connection.
	ctx := context.WithoutCancel(r.Context())
	all, err := h.parts.Store.Uploads(ctx, u.ID) // as whoever was sending has left it
	if err != nil {
		return err
	}
	if len(all) == 0 || all[0].State == arrival.Gone {
		return &Status{http.StatusGone, errs.New(errs.NotFound, "uploads", "the upload is over")}
	}
	*u = all[0]
	was := *u
	sum, err := h.accept(r, u, method)
	if err != nil {
		return err
	}
	if was.State == arrival.Open {
		most := h.cfg.Most - u.Arrived
		if u.Size >= 0 {
			most = u.Size - u.Arrived
		}
		var last time.Time
		stall := func() { // the deadline is set now and then: it costs a system call
			if now := time.Now(); now.Sub(last) > h.cfg.Stall/8 {
				last = now
				_ = connection.SetReadDeadline(now.Add(h.cfg.Stall))
			}
		}
		if err := h.receive(ctx, was, u, &sender{r: r.Body, before: stall, left: most, sum: sum}); err != nil {
			return err
		}
	}
	if was.State == arrival.Open && u.State == arrival.Whole {
		release() // how far it is may be asked while it is put together
		return h.finish(ctx, u)
	}
	return nil
}

// accept checks what a body's headers say, and takes over a length that is
// declared only now.
func (h *Handler) accept(r *http.Request, u *state.Upload, method string) (*checksum, error) {
	if method != "POST" {
		at, err := number(r.Header, "Upload-Offset")
		switch {
		case err != nil:
			return nil, err
		case u.Concat != "" && u.Concat != "partial":
			return nil, wrong(http.StatusForbidden, "Upload-Concat", "nothing can be added to an upload that was made of parts")
		case at != u.Arrived:
			return nil, wrong(http.StatusConflict, "Upload-Offset", "is %d, but %d bytes are there", at, u.Arrived)
		}
		if r.Header.Get("Upload-Length") != "" {
			size, err := number(r.Header, "Upload-Length")
			switch {
			case err != nil:
				return nil, err
			case u.Size >= 0 && size != u.Size:
				return nil, errs.InField("Upload-Length", "was declared as %d", u.Size)
			case size < u.Arrived:
				return nil, errs.InField("Upload-Length", "is %d, but %d bytes are there", size, u.Arrived)
			case size > h.cfg.Most:
				return nil, errs.New(errs.TooLarge, "uploads", "an upload may have at most %d bytes", h.cfg.Most)
			}
			u.Size = size
		}
	}
	if u.Size >= 0 && r.ContentLength > u.Size-u.Arrived || r.ContentLength > h.cfg.Most-u.Arrived {
		return nil, errs.New(errs.TooLarge, "uploads", "the body goes beyond the end of the upload")
	}
	return sum(r.Header)
}

// sender is a request's body as far as the upload takes it. The end of a
// connection is an end like any other to who reads; err keeps it.
type sender struct {
	r      io.Reader
	before func()
	left   int64
	sum    *checksum
	waited time.Duration // for the bytes
	err    error
}

func (s *sender) Read(b []byte) (int, error) {
	if s.err != nil || s.left <= 0 {
		return 0, io.EOF
	}
	s.before()
	began := time.Now()
	n, err := s.r.Read(b[:min(int64(len(b)), s.left)])
	s.waited += time.Since(began)
	s.left -= int64(n)
	if s.sum != nil {
		s.sum.Write(b[:n])
	}
	if err != nil && err != io.EOF {
		s.err, err = err, io.EOF
	}
	return n, err
}

// receive stores what a sender gives as pieces. u is how far the upload is then.
// With a checksum the pieces count together, once the sum is right, else each as
// it is there.
func (h *Handler) receive(ctx context.Context, was state.Upload, u *state.Upload, s *sender) error {
	store, err := h.parts.Blobs.Get(u.Place.Cloud)
	if err != nil {
		return err
	}
	var held []media.Piece
	body := bufio.NewReaderSize(s, 64<<10)
	for {
		began, waited := time.Now(), s.waited
		_, ended := body.Peek(1)
		if ended != nil && was.Size == u.Size && len(held) == 0 && u.Arrived != u.Size {
			break // nothing is new
		}
		if ended == nil {
			piece, err := h.piece(ctx, store, u, body)
			waited = s.waited - waited
			h.parts.Metrics.took(phaseReceive, waited)
			h.parts.Metrics.took(phaseStore, time.Since(began)-waited)
			if err != nil {
				h.drop(ctx, store, held)
				return err
			}
			held = append(held, piece)
			u.Arrived += piece.Size
			if s.sum != nil {
				continue
			}
		}
		if s.sum != nil && (s.err != nil || !s.sum.fits()) {
			h.drop(ctx, store, held)
			*u = was
			if s.err != nil {
				break
			}
			return wrong(statusChecksum, "Upload-Checksum", "the body does not sum up to it, and was dropped")
		}
		if err := h.commit(ctx, store, was, u, held); err != nil {
			h.drop(ctx, store, held)
			return err
		}
		was, held = *u, nil
		if ended != nil || u.State != arrival.Open {
			break
		}
	}
	if s.err != nil {
		h.parts.Metrics.broke()
		return errs.As(errs.Transient, "uploads", fmt.Errorf("the connection broke off: %w", s.err))
	}
	return nil
}

// piece stores the next bytes of a body as an object: a piece's worth, or what
// came in a while.
func (h *Handler) piece(ctx context.Context, store *blob.Store, u *state.Upload, body *bufio.Reader) (media.Piece, error) {
	p := media.Piece{Key: fmt.Sprintf("%s/%015d-%s", u.ID, u.Arrived, rand.Text()[:8]), Start: u.Arrived}
	c := &cut{r: body, left: h.cfg.Piece, till: time.Now().Add(cutAfter)}
	attr, err := store.Put(ctx, h.parts.Bucket, p.Key, c, blob.PutOptions{Size: -1, Mime: "application/octet-stream"})
	p.Size = attr.Size
	return p, err
}

// A slow sender's piece is cut after a while, so that what came is known, and
// can be worked on. A piece has some size in any case.
const (
	cutAfter = 5 * time.Second
	cutMin   = 1 << 20
)

// cut ends a body where a piece ends.
type cut struct {
	r    io.Reader
	n    int64
	left int64
	till time.Time
}

func (c *cut) Read(b []byte) (int, error) {
	if c.left <= 0 || c.n >= cutMin && time.Now().After(c.till) {
		return 0, io.EOF
	}
	n, err := c.r.Read(b[:min(int64(len(b)), c.left)])
	c.n, c.left = c.n+int64(n), c.left-int64(n)
	return n, err
}

// commit makes pieces part of the upload, and tells who waits for them.
func (h *Handler) commit(ctx context.Context, store *blob.Store, was state.Upload, u *state.Upload, pieces []media.Piece) error {
	now := h.parts.Store.Now()
	u.TouchedAt, u.ExpiresAt = now, now.Add(h.cfg.Life)
	if u.Arrived == u.Size {
		u.State, u.WholeAt = arrival.Whole, now
		if u.Concat == "partial" {
			u.State = arrival.Done
		}
	}
	h.look(ctx, store, u, pieces)
	h.parts.Reached("piece stored")
	began := time.Now()
	err := h.parts.Store.AdvanceUpload(ctx, was, *u, pieces...)
	if errs.Is(err, errs.Conflict) {
		return wrong(http.StatusConflict, "Upload-Offset", "somebody else has added to the upload, or ended it")
	}
	if err != nil {
		return err
	}
	h.parts.Metrics.took(phaseCommit, time.Since(began))
	h.parts.Metrics.arrived(u.Arrived - was.Arrived)
	if u.State == arrival.Done {
		h.parts.Metrics.over(endedDone)
	}
	if u.Concat == "" {
		h.announce(ctx, u.ID)
	}
	return nil
}

// look finds out whether an index lies in front. If that fails the next piece
// tells, or the end.
func (h *Handler) look(ctx context.Context, store *blob.Store, u *state.Upload, fresh []media.Piece) {
	if u.Index != 0 || u.Concat != "" {
		return
	}
	list, err := h.parts.Store.Pieces(ctx, u.ID)
	if err == nil {
		u.Index, u.Why, err = front.Look(reading{ctx, store.Pieces(h.parts.Bucket, append(list, fresh...))}, u.Size, u.Arrived)
	}
	if err != nil {
		h.parts.Log.Warn("what has arrived of an upload not looked at", "upload", u.ID, "err", err)
	}
}

// reading binds pieces to a context.
type reading struct {
	ctx context.Context
	p   *blob.Pieces
}

func (r reading) ReadAt(b []byte, off int64) (int, error) { return r.p.ReadAtContext(r.ctx, b, off) }

// drop deletes pieces that do not count. What cannot be deleted goes with the
// upload.
func (h *Handler) drop(ctx context.Context, store *blob.Store, pieces []media.Piece) {
	for _, p := range pieces {
		h.parts.Metrics.lost(p.Size)
		if err := store.Delete(ctx, h.parts.Bucket, p.Key); err != nil {
			h.parts.Log.Warn("piece not deleted; it goes with its upload", "key", p.Key, "err", err)
		}
	}
}

// run is somebody at work on an upload in this process.
type run struct {
	stop func() // has it end soon; nil = it does by itself
	done chan struct{}
}

var errClosing = errs.New(errs.Transient, "uploads", "the server is closing; go on with another one")

// take makes the caller the only one in this process who works on an upload.
// Whoever is at it is told to stop, and waited for. Other processes are kept
// apart by the rows: what two add at the same place counts once.
func (h *Handler) take(ctx context.Context, id string, stop func()) (release func(), err error) {
	mine := &run{stop: stop, done: make(chan struct{})}
	for {
		h.mu.Lock()
		other := h.running[id]
		switch {
		case h.closing && stop != nil:
			h.mu.Unlock()
			return nil, errClosing
		case other == nil:
			h.running[id] = mine
			h.mu.Unlock()
			return sync.OnceFunc(func() {
				h.mu.Lock()
				delete(h.running, id)
				h.mu.Unlock()
				close(mine.done)
			}), nil
		}
		h.mu.Unlock()
		if other.stop != nil {
			other.stop()
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, errs.Wrap("uploads", ctx.Err())
		}
	}
}
