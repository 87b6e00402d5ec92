// Package front says how much of a file that is still arriving must be there
// before its media can be profiled and read in ranges.
package front

import (
	"encoding/binary"
	"io"
)

// All means that nothing can be told before the last byte has come, Splits that this
// is so for the frames, but that the file can be entered on its way, without an index.
const (
	All    int64 = -1
	Splits int64 = -2
)

// maxIndex bounds an index that is waited for on its own, and maxBoxes what may
// come before the media data.
const (
	maxIndex = 256 << 20
	maxBoxes = 64
)

// Look returns how many bytes from the start on hold the index of a file of size
// bytes of which the first arrived are there, or All or Splits, and why. It returns 0
// while that cannot be told. r is read below arrived only; its errors come back.
//
// An MP4 file whose movie box lies before its media data, with nothing behind
// that, tells where every frame lies. Nothing else does: Matroska keeps frame
// times in its clusters, fragmented MP4 in its fragments, MPEG-TS in its packets,
// each of which a reader can begin at.
func Look(r io.ReaderAt, size, arrived int64) (need int64, why string, err error) {
	if size < 0 {
		return 0, "", nil
	}
	head := make([]byte, min(12, max(arrived, 0)))
	if len(head) < 12 {
		if arrived == size {
			return All, "the file is too short to be media", nil
		}
		return 0, "", nil
	}
	if err := read(r, head, 0); err != nil {
		return 0, "", err
	}
	switch kind := string(head[4:8]); {
	case kind == "ftyp", kind == "moov", kind == "wide", kind == "free", kind == "skip", kind == "mdat", kind == "pnot":
		need, why, err = boxes(r, size, arrived)
		if need == 0 && err == nil && arrived == size {
			return All, "the file breaks off in its index", nil
		}
		return need, why, err
	case binary.BigEndian.Uint32(head) == 0x1A45DFA3:
		return Splits, "Matroska keeps the times of its frames all through the file, and is entered at its clusters", nil
	case head[0] == 0x47, head[4] == 0x47 && head[0]&0xC0 == 0:
		return Splits, "MPEG-TS has no index, and is entered at its packets", nil
	}
	return All, "a file of this format has no index in front", nil
}

// boxes walks the boxes of an MP4 file up to its media data.
func boxes(r io.ReaderAt, size, arrived int64) (need int64, why string, err error) {
	off, indexed := int64(0), false
	for range maxBoxes {
		b, known, err := header(r, off, size, arrived)
		if err != nil || !known {
			return 0, "", err
		}
		switch {
		case b.length < b.head || off+b.length > size:
			return All, "the file has no index in front that can be read", nil
		case b.kind == "mdat" && !indexed:
			return All, "the index comes behind the media data", nil
		case b.kind == "mdat" && off+b.length < size:
			return All, "the file goes on behind the media data", nil
		case b.kind == "mdat":
			return off + b.head, "the index comes in front", nil
		case b.kind == "moof":
			return Splits, fragments, nil
		case b.kind == "moov" && b.length > maxIndex:
			return All, "the index is too large", nil
		case b.kind == "moov" && off+b.length > arrived:
			return 0, "", nil
		case b.kind == "moov":
			split, err := fragmented(r, off+b.head, off+b.length)
			if err != nil {
				return 0, "", err
			}
			if split {
				return Splits, fragments, nil
			}
			indexed = true
		}
		if off += b.length; off >= size {
			break
		}
	}
	return All, "the file has no index in front", nil
}

// fragmented reports whether a movie box announces fragments.
func fragmented(r io.ReaderAt, off, end int64) (bool, error) {
	for range maxBoxes {
		b, known, err := header(r, off, end, end)
		if err != nil || !known || b.length < b.head {
			return false, err
		}
		if b.kind == "mvex" {
			return true, nil
		}
		if off += b.length; off >= end {
			return false, nil
		}
	}
	return false, nil
}

const fragments = "the file is fragmented: its index comes bit by bit, and it is entered at its fragments"

type box struct {
	kind         string
	head, length int64
}

// header reads a box header at off, if it has arrived.
func header(r io.ReaderAt, off, size, arrived int64) (b box, known bool, err error) {
	h := make([]byte, min(16, max(arrived-off, 0)))
	if len(h) < 8 {
		return box{}, false, nil
	}
	if err := read(r, h, off); err != nil {
		return box{}, false, err
	}
	b = box{string(h[4:8]), 8, int64(binary.BigEndian.Uint32(h))}
	switch b.length {
	case 0:
		b.length = size - off
	case 1:
		if len(h) < 16 {
			return box{}, false, nil
		}
		b.head, b.length = 16, int64(binary.BigEndian.Uint64(h[8:]))
	}
	if b.length > size-off {
		b.length = size - off + 1 // more than there is, whatever it claims
	}
	return b, true, nil
}

func read(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return err
}
