// Package splice reads a file that has no index from a place in its middle: it
// finds the next place where a demuxer can begin, and gives it what lies in front
// of the media, followed by the bytes from there on. Both are functions of the
// bytes alone: whoever asks for the same place gets the same one.
package splice

import (
	"bytes"
	"errors"
	"io"

	"github.com/mediafn/mediafn/core/errs"
)

const op = "container.splice"

// File is a file that can be entered. It is safe for concurrent use if what it
// reads is.
type File struct {
	form form
	size int64
}

// form is what containers differ in.
type form interface {
	// sync is the first place to begin at or behind off < size; the size, or more,
	// if there is none.
	sync(off int64) (int64, error)
	// from is what a demuxer is given to read from a place of sync's on.
	from(at int64) io.Reader
}

// Open looks at the front of a file of size bytes and of a format by the sniffer's
// name. Unsupported: it can't be entered this way, and why; errors of r come back.
func Open(r io.ReaderAt, size int64, format string) (*File, error) {
	var f form
	var err error
	switch format {
	case "mpegts":
		f, err = openTransport(r, size)
	case "matroska", "webm":
		f, err = openMatroska(r, size)
	case "mp4", "mov", "m4v", "3gp":
		f, err = openFragments(r, size)
	default:
		err = refuse("%s files can't be entered without an index", format)
	}
	if err != nil {
		return nil, err
	}
	return &File{f, size}, nil
}

// Sync is the first place at or behind off at which reading can begin, the file's
// size if there is none.
func (f *File) Sync(off int64) (int64, error) {
	if off >= f.size {
		return f.size, nil
	}
	at, err := f.form.sync(max(off, 0))
	return min(at, f.size), err
}

// From reads the front, and then the file from a place of Sync's on to its end,
// as one stream.
func (f *File) From(at int64) io.Reader { return f.form.from(at) }

func refuse(format string, args ...any) error { return errs.New(errs.Unsupported, op, format, args...) }

// upto reads as many of n bytes at off as the file has.
func upto(r io.ReaderAt, size, off int64, n int) ([]byte, error) {
	if off < 0 || off >= size {
		return nil, nil
	}
	b := make([]byte, min(int64(n), size-off))
	k, err := r.ReadAt(b, off)
	if k == len(b) || errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:k], err
}

// block is how much is searched at once, farthest how far for one place, and seeming
// how much of it may look like one and be none.
const (
	block    = 256 << 10
	farthest = 64 << 20
	seeming  = 1000
)

// search finds the first place at or behind off where sign stands and fits says
// that it is what it seems. The file's size if there is none.
func search(r io.ReaderAt, size, off int64, sign []byte, fits func(at int64) (bool, error)) (int64, error) {
	from, tried := off, 0
	for end := min(off+farthest, size); off < end && tried < seeming; {
		b, err := upto(r, size, off, block+len(sign)-1)
		if err != nil {
			return 0, err
		}
		for i := 0; i < len(b) && tried < seeming; i++ {
			k := bytes.Index(b[i:], sign)
			if k < 0 {
				break
			}
			i += k
			tried++
			if ok, err := fits(off + int64(i)); err != nil || ok {
				return off + int64(i), err
			}
		}
		off += block
	}
	if off < size || tried == seeming {
		return 0, refuse("nothing to begin at in %d MiB from byte %d on", farthest>>20, from)
	}
	return size, nil
}
