package blob

import (
	"context"
	"errors"
	"io"
	"sort"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// Pieces reads what lies in several objects of one bucket as one: a file that
// is still arriving. It is safe for concurrent use.
type Pieces struct {
	s      *Store
	bucket string
	list   []media.Piece
}

// Pieces puts pieces, which are in order and do not overlap, behind one another.
// There may be gaps.
func (s *Store) Pieces(bucket string, list []media.Piece) *Pieces { return &Pieces{s, bucket, list} }

// Gap is the error of a read that comes upon bytes no piece holds.
type Gap struct{ At int64 }

func (*Gap) Error() string { return "these bytes are in no piece" }

// at finds the piece that holds a byte.
func (p *Pieces) at(off int64) (media.Piece, bool) {
	i := sort.Search(len(p.list), func(i int) bool { return p.list[i].Start+p.list[i].Size > off })
	if i == len(p.list) || p.list[i].Start > off {
		return media.Piece{}, false
	}
	return p.list[i], true
}

// ReadAtContext fills b from off on. A byte that no piece holds is a *Gap, with
// what came before it.
func (p *Pieces) ReadAtContext(ctx context.Context, b []byte, off int64) (n int, err error) {
	const op = "blob.pieces"
	for n < len(b) {
		at := off + int64(n)
		piece, ok := p.at(at)
		if !ok {
			return n, &Gap{At: at}
		}
		want := min(int64(len(b)-n), piece.Start+piece.Size-at)
		body, _, err := p.s.Get(ctx, p.bucket, piece.Key, at-piece.Start, want)
		if err != nil {
			return n, errs.Wrap(op, err)
		}
		k, err := io.ReadFull(body, b[n:n+int(want)])
		_ = body.Close()
		n += k
		if err != nil {
			return n, errs.As(errs.Transient, op, err)
		}
	}
	return n, nil
}

// Bounds of what a store is asked to join by itself: below the first it costs
// more requests than it saves bytes, above the second stores refuse it.
const (
	joinFrom = 16 << 20
	joinMost = 9000
)

// Join puts pieces that leave no gap together as one object, in the manner of
// Put, which o is for. The pieces stay. Of much the bytes stay in the store, if it
// can do that; then the object's SHA-256 is not known.
func (s *Store) Join(ctx context.Context, bucket string, list []media.Piece, toBucket, toKey string, o PutOptions) (a Attr, err error) {
	const op = "blob.join"
	var items []Item
	for _, piece := range list {
		if piece.Start != o.Size {
			return a, errs.Wrap(op, &Gap{At: o.Size})
		}
		if o.Size += piece.Size; piece.Size > 0 {
			items = append(items, Item{Key: piece.Key, Size: piece.Size})
		}
	}
	if j, ok := s.d.(driver.Joiner); ok && o.Size >= joinFrom && len(items) <= joinMost && o.Size <= s.cfg.MaxSize {
		defer s.observe("join", time.Now(), &a.Size, &err)
		if err := errors.Join(checkName(op, toBucket, toKey), checkPut(o)); err != nil {
			return a, errs.Wrap(op, err)
		}
		err = s.retry(ctx, func() (err error) { a, err = j.Join(ctx, bucket, items, toBucket, toKey, o.Mime); return err })
		return a, errs.Wrap(op, err)
	}
	r := &joining{s: s, ctx: ctx, bucket: bucket, all: list, left: list}
	defer func() { _ = r.close() }()
	return s.Put(ctx, toBucket, toKey, r, o)
}

// joining reads pieces one after the other. It can go back to its start, so
// that Put may begin anew.
type joining struct {
	s         *Store
	ctx       context.Context
	bucket    string
	all, left []media.Piece
	body      io.ReadCloser
}

func (j *joining) Read(b []byte) (int, error) {
	for {
		if j.body == nil {
			if len(j.left) == 0 {
				return 0, io.EOF
			}
			body, _, err := j.s.Get(j.ctx, j.bucket, j.left[0].Key, 0, j.left[0].Size)
			if err != nil {
				return 0, err
			}
			j.body, j.left = body, j.left[1:]
		}
		n, err := j.body.Read(b)
		if err == io.EOF {
			err = j.close()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (j *joining) Seek(offset int64, whence int) (int64, error) {
	switch {
	case offset != 0 || whence == io.SeekEnd || whence == io.SeekCurrent && len(j.left) < len(j.all):
		return 0, errs.New(errs.Internal, "blob.join", "only the start can be gone back to")
	case whence == io.SeekStart:
		j.left = j.all
		return 0, j.close()
	}
	return 0, nil
}

func (j *joining) close() (err error) {
	if j.body != nil {
		err = j.body.Close()
		j.body = nil
	}
	return err
}
