// Package window reads a file in few, large pieces. Each ReadAt may be an HTTP
// range request, so neighbouring small reads are served from one block.
package window

import (
	"context"
	"errors"
	"io"

	"github.com/mediafn/mediafn/core/errs"
)

const op = "container.read"

// Reader hands out views of a file. It is not safe for concurrent use.
type Reader struct {
	ctx    context.Context
	src    io.ReaderAt
	size   int64
	block  []byte
	base   int64
	ahead  int
	budget int64
	reads  int
}

// New reads src, which has size bytes, ahead bytes at a time. No more than
// budget bytes are read in all; beyond that every call answers TooLarge.
func New(ctx context.Context, src io.ReaderAt, size int64, ahead int, budget int64) *Reader {
	return &Reader{ctx: ctx, src: src, size: size, ahead: ahead, budget: budget}
}

// Size is the length of the file in bytes.
func (r *Reader) Size() int64 { return r.size }

// Reads is how many times the source was read.
func (r *Reader) Reads() int { return r.reads }

// SetAhead changes how much a miss reads.
func (r *Reader) SetAhead(n int) { r.ahead = n }

// At returns n bytes at off. The slice is valid until the next call. Less than
// n bytes left in the file is Invalid: truncated.
func (r *Reader) At(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || off > r.size || int64(n) > r.size-off {
		return nil, errs.New(errs.Invalid, op, "truncated: %d bytes wanted at offset %d of %d", n, off, r.size)
	}
	b, err := r.Upto(off, n)
	if err == nil && len(b) < n {
		err = errs.New(errs.Invalid, op, "truncated: the file ends at %d, not %d", off+int64(len(b)), r.size)
	}
	return b, err
}

// Upto is At for as many of n bytes as the file has; none at its end.
func (r *Reader) Upto(off int64, n int) ([]byte, error) {
	if off < 0 || off >= r.size {
		return nil, nil
	}
	n = int(min(int64(n), r.size-off))
	if off >= r.base && off+int64(n) <= r.base+int64(len(r.block)) {
		return r.block[off-r.base:][:n], nil
	}
	if err := r.ctx.Err(); err != nil {
		return nil, errs.Wrap(op, err)
	}
	want := int(min(int64(max(n, r.ahead)), r.size-off))
	if int64(want) > r.budget {
		return nil, errs.New(errs.TooLarge, op, "the file's tables need more reading than the limit allows")
	}
	r.budget -= int64(want)
	r.reads++
	if cap(r.block) < want {
		r.block = make([]byte, want)
	}
	r.block, r.base = r.block[:want], off
	k, err := r.src.ReadAt(r.block, off)
	if k < want && err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		r.block = r.block[:0]
		return nil, errs.Wrap(op, err)
	}
	r.block = r.block[:k]
	return r.block[:min(n, k)], nil
}
