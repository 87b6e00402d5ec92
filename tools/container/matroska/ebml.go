// Package matroska reads the tables of Matroska and WebM (RFC 9559, on EBML,
// RFC 8794): facts, entry points and frame times, without decoding.
package matroska

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

const op = "container.matroska"

func corrupt(format string, args ...any) error { return errs.New(errs.Invalid, op, format, args...) }

// unknown is the size of an element that does not say, as live writers do.
const unknown = math.MaxInt64

// header reads an element's id and size. n is the header's length, 0 where b
// is too short or not an element.
func header(b []byte) (id uint32, size int64, n int) {
	if len(b) == 0 || b[0] < 0x10 {
		return 0, 0, 0
	}
	w := 1
	for b[0]>>(8-w) == 0 {
		w++
	}
	if len(b) < w+1 {
		return 0, 0, 0
	}
	for _, c := range b[:w] {
		id = id<<8 | uint32(c)
	}
	v, k := varint(b[w:])
	if k == 0 {
		return 0, 0, 0
	}
	return id, v, w + k
}

// varint reads a variable size integer; all ones is unknown. n is 0 where b is
// too short.
func varint(b []byte) (v int64, n int) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0
	}
	n = 1
	for b[0]>>(8-n) == 0 {
		n++
	}
	if len(b) < n {
		return 0, 0
	}
	u := uint64(b[0]) & (1<<(8-n) - 1)
	for _, c := range b[1:n] {
		u = u<<8 | uint64(c)
	}
	if u == 1<<(7*n)-1 {
		return unknown, n
	}
	return int64(u), n
}

// each visits the children of a master element held in memory.
func each(b []byte, visit func(id uint32, body []byte) error) error {
	for len(b) > 0 {
		id, size, n := header(b)
		if n == 0 || size > int64(len(b)-n) {
			return corrupt("element %#x claims %d bytes where %d are left", id, size, len(b)-n)
		}
		if err := visit(id, b[n:n+int(size)]); err != nil {
			return err
		}
		b = b[n+int(size):]
	}
	return nil
}

func uinteger(b []byte) (v uint64) {
	for _, c := range b[:min(len(b), 8)] {
		v = v<<8 | uint64(c)
	}
	return v
}

// small is an unsigned integer that fits a sane count or size, else 0.
func small(b []byte) int {
	if v := uinteger(b); v <= math.MaxInt32 {
		return int(v)
	}
	return 0
}

func float(b []byte) float64 {
	v := 0.0
	switch len(b) {
	case 4:
		v = float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	case 8:
		v = math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

func text(b []byte) string {
	s, _, _ := strings.Cut(string(b[:min(len(b), 64<<10)]), "\x00")
	return strings.ToValidUTF8(s, "\ufffd")
}
