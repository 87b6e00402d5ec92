// Package isobmff reads the tables of MP4, QuickTime and their relatives
// (ISO/IEC 14496-12): facts, keyframes and frame times, without decoding.
package isobmff

import (
	"encoding/binary"

	"github.com/mediafn/mediafn/core/errs"
)

const op = "container.mp4"

var be = binary.BigEndian

func corrupt(format string, args ...any) error { return errs.New(errs.Invalid, op, format, args...) }

// each calls f for every box in b. QuickTime may end a container with four
// zero bytes; other rests too short for a box are ignored as players do.
func each(b []byte, f func(kind string, body []byte) error) error {
	for len(b) >= 8 {
		n, head := uint64(be.Uint32(b)), uint64(8)
		switch {
		case n == 0:
			n = uint64(len(b))
		case n == 1 && len(b) >= 16:
			n, head = be.Uint64(b[8:]), 16
		}
		if n < head || n > uint64(len(b)) {
			return corrupt("box %q claims %d bytes where %d are left", b[4:8], n, len(b))
		}
		if err := f(string(b[4:8]), b[head:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// child returns the body of the first box of a kind, or nil.
func child(b []byte, kind string) (found []byte) {
	_ = each(b, func(k string, body []byte) error {
		if k == kind && found == nil {
			found = body
		}
		return nil
	})
	return found
}

// full returns a full box's version, flags and the rest; short boxes give ok
// false.
func full(b []byte, atLeast int) (version byte, flags uint32, rest []byte, ok bool) {
	if len(b) < 4+atLeast {
		return 0, 0, nil, false
	}
	return b[0], be.Uint32(b) & 0xffffff, b[4:], true
}

// table checks that a full box holds as many entries of size bytes as it
// claims, and returns them. off is where the count stands after the flags.
func table(kind string, b []byte, off, size int) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	if len(b) < 8+off {
		return nil, corrupt("%s is truncated", kind)
	}
	n := int64(be.Uint32(b[4+off:]))
	rest := b[8+off:]
	if n*int64(size) > int64(len(rest)) {
		return nil, corrupt("%s claims %d entries in %d bytes", kind, n, len(rest))
	}
	return rest[:n*int64(size)], nil
}
