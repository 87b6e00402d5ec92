package splice

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
)

// fragments.go: a fragmented MP4 (ISO/IEC 14496-12 §8.8) can be entered at every
// fragment, given the movie box.

const (
	mostBoxes = 64       // before the first fragment
	mostMovie = 64 << 20 // bytes of a movie box
	mostMoof  = 16 << 20
)

// indexes are boxes that say where fragments lie. In a stream with a hole they would
// be wrong, and nobody who reads on needs them.
var indexes = []string{"sidx", "ssix", "mfra"}

// following are boxes that may come behind a fragment's media.
var following = []string{"moof", "mdat", "styp", "emsg", "prft", "free", "skip", "uuid", "sidx", "ssix", "mfra"}

type fragments struct {
	r     io.ReaderAt
	size  int64
	first int64 // where the first fragment begins
}

// box is a box's header.
type box struct {
	kind         string
	head, length int64 // length with the header
}

func openFragments(r io.ReaderAt, size int64) (*fragments, error) {
	f := &fragments{r: r, size: size}
	movie := false
	for off, n := int64(0), 0; n < mostBoxes; n++ {
		b, err := f.box(off)
		switch {
		case err != nil:
			return nil, err
		case b.length < b.head || b.length > size-off || b.kind == "mdat":
			return nil, refuse("the file does not begin with a movie box and fragments")
		case b.kind == "moof" && movie:
			f.first = off
			return f, nil
		case b.kind == "moov":
			if b.length > mostMovie {
				return nil, refuse("the movie box is too large")
			}
			body, err := upto(r, size, off+b.head, int(b.length-b.head))
			if err != nil {
				return nil, err
			}
			if find(body, "mvex") == nil || !empty(body) {
				return nil, refuse("the movie box has frames of its own, or no fragments follow")
			}
			movie = true
		}
		off += b.length
	}
	return nil, refuse("the file has no fragments")
}

// box reads a header; one of length 0 where there is none.
func (f *fragments) box(off int64) (box, error) {
	h, err := upto(f.r, f.size, off, 16)
	if err != nil || len(h) < 8 {
		return box{head: 8}, err
	}
	b := box{string(h[4:8]), 8, int64(binary.BigEndian.Uint32(h))}
	switch {
	case b.length == 0:
		b.length = f.size - off
	case b.length == 1 && len(h) == 16:
		b.head, b.length = 16, int64(min(binary.BigEndian.Uint64(h[8:]), 1<<62))
	}
	return b, nil
}

// each visits the boxes in b. It ends at one that does not fit.
func each(b []byte, visit func(kind string, body []byte)) {
	for len(b) >= 8 {
		n := int64(binary.BigEndian.Uint32(b))
		if n < 8 || n > int64(len(b)) {
			return
		}
		visit(string(b[4:8]), b[8:n])
		b = b[n:]
	}
}

// find is the body of the first box at the end of a path.
func find(b []byte, path ...string) (found []byte) {
	if len(path) == 0 {
		return b
	}
	each(b, func(kind string, body []byte) {
		if kind == path[0] && found == nil {
			found = find(body, path[1:]...)
		}
	})
	return found
}

// empty reports whether no track of a movie box has frames of its own.
func empty(movie []byte) bool {
	none := true
	each(movie, func(kind string, body []byte) {
		if kind != "trak" {
			return
		}
		if sizes := find(body, "mdia", "minf", "stbl", "stsz"); len(sizes) >= 12 && binary.BigEndian.Uint32(sizes[8:]) > 0 {
			none = false
		}
	})
	return none
}

func (f *fragments) sync(off int64) (int64, error) {
	if off <= f.first {
		return f.first, nil
	}
	at, err := search(f.r, f.size, off+4, []byte("moof"), func(at int64) (bool, error) { return f.fragment(at - 4) })
	if err == nil && at < f.size {
		at -= 4
	}
	return at, err
}

// fragment reports whether what looks like one has its header, and what follows it
// is in its place.
func (f *fragments) fragment(at int64) (bool, error) {
	moof, err := f.box(at)
	if err != nil || moof.kind != "moof" || moof.length < 24 || moof.length > min(mostMoof, f.size-at) {
		return false, err
	}
	head, err := f.box(at + moof.head)
	if err != nil || head.kind != "mfhd" || head.length != 16 {
		return false, err
	}
	off := at + moof.length
	for range 2 {
		if off == f.size {
			return true, nil
		}
		next, err := f.box(off)
		if err != nil || !slices.Contains(following, next.kind) || next.length < next.head || next.length > f.size-off {
			return false, err
		}
		off += next.length
	}
	return true, nil
}

func (f *fragments) from(at int64) io.Reader { return &boxes{f: f, then: at} }

// boxes reads the movie box, and then all boxes from a place on but indexes of them.
type boxes struct {
	f       *fragments
	at      int64
	then    int64 // where to go on behind the front
	fronted bool
	given   int64 // bytes that went before
	cur     io.Reader
}

func (b *boxes) Read(p []byte) (int, error) {
	for {
		for b.cur == nil {
			if err := b.next(); err != nil {
				return 0, err
			}
		}
		n, err := b.cur.Read(p)
		b.given += int64(n)
		if err == io.EOF {
			b.cur, err = nil, nil
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// next goes on to the next box, which may be one that is left out.
func (b *boxes) next() error {
	if !b.fronted && b.at >= b.f.first {
		b.at, b.fronted = b.then, true
	}
	at := b.at
	if at >= b.f.size {
		return io.EOF
	}
	next, err := b.f.box(at)
	switch {
	case err != nil:
		return err
	case next.length < next.head:
		return io.EOF // nothing to go on by
	}
	n := min(next.length, b.f.size-at)
	b.at += n
	switch {
	case slices.Contains(indexes, next.kind), !b.fronted && next.kind != "ftyp" && next.kind != "moov":
	case next.kind == "moof":
		b.cur, err = b.f.moved(at, n, b.given-at)
	default:
		b.cur = io.NewSectionReader(b.f.r, at, n)
	}
	return err
}

// moved is a fragment that lies elsewhere in the stream than in the file, by so many
// bytes: it may say where its media lies from the file's start on.
func (f *fragments) moved(at, n, by int64) (io.Reader, error) {
	if n > mostMoof {
		return nil, refuse("a fragment's tables are too large")
	}
	b, err := upto(f.r, f.size, at, int(n))
	if err != nil {
		return nil, err
	}
	timed := true
	each(b[min(8, len(b)):], func(kind string, traf []byte) {
		if kind != "traf" {
			return
		}
		timed = timed && find(traf, "tfdt") != nil
		if head := find(traf, "tfhd"); len(head) >= 16 && head[3]&1 != 0 { // base-data-offset-present
			binary.BigEndian.PutUint64(head[8:], binary.BigEndian.Uint64(head[8:])+uint64(by))
		}
	})
	if !timed {
		return nil, refuse("fragments do not say when they begin")
	}
	return bytes.NewReader(b), nil
}
