// Package coded reads coded pictures in the order they are decoded in, which
// media.Info does not keep.
package coded

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/slice"
)

// Tables is what an MP4 file that FFmpeg wrote says of its picture track and
// what media.Info does not hold: decode times, and the decoder's
// configuration as it is (ISO/IEC 14496-12 §8).
type Tables struct {
	Entry  string // fourcc of the sample entry
	Config []byte // avcC, hvcC, av1C, vpcC: parameter sets; nil if there is none
	Coded  []slice.Sample
}

// Void is an MP4 file without any track: a slice that could not be decoded.
var Void = []byte("\x00\x00\x00\x14ftypisom\x00\x00\x00\x00isom\x00\x00\x00\x08moov")

// IsVoid reports whether a file is Void.
func IsVoid(r io.ReaderAt, size int64) (bool, error) {
	if size != int64(len(Void)) {
		return false, nil
	}
	b := make([]byte, size)
	if _, err := r.ReadAt(b, 0); err != nil && err != io.EOF {
		return false, errs.Wrap("coded", err)
	}
	return bytes.Equal(b, Void), nil
}

const maxMoov = 256 << 20

// MaxSamples bounds how many pictures are listed.
const MaxSamples = 8 << 20

// MP4 finds the first picture track. A file without one, fragmented or
// damaged, is Invalid.
func MP4(r io.ReaderAt, size int64) (Tables, error) {
	moov, err := topBox(r, size, "moov")
	if err != nil {
		return Tables{}, err
	}
	for rest := moov; ; {
		trak, next, ok := box(rest, "trak")
		if !ok {
			return Tables{}, corrupt("no picture track")
		}
		rest = next
		hdlr, _, _ := walk(trak, "mdia", "hdlr")
		if len(hdlr) < 12 || string(hdlr[8:12]) != "vide" {
			continue
		}
		stbl, _, ok := walk(trak, "mdia", "minf", "stbl")
		if !ok {
			return Tables{}, corrupt("no sample table")
		}
		return sampleTables(stbl)
	}
}

func sampleTables(stbl []byte) (t Tables, err error) {
	stsd, _, _ := box(stbl, "stsd")
	if len(stsd) < 16 || binary.BigEndian.Uint32(stsd[4:]) != 1 {
		return t, corrupt("not exactly one sample entry")
	}
	t.Entry = string(stsd[12:16])
	if entry := stsd[8:]; len(entry) > 86 { // 8 box header, 78 VisualSampleEntry
		for _, name := range []string{"avcC", "hvcC", "av1C", "vpcC"} {
			if c, _, ok := box(entry[86:], name); ok {
				t.Config = bytes.Clone(c)
			}
		}
	}
	stts, _, _ := box(stbl, "stts")
	stsz, _, _ := box(stbl, "stsz")
	if len(stts) < 8 || len(stsz) < 12 {
		return t, corrupt("no times or sizes")
	}
	fixed, count := binary.BigEndian.Uint32(stsz[4:]), int(binary.BigEndian.Uint32(stsz[8:]))
	stts, stsz = stts[8:], stsz[12:]
	if count > MaxSamples || fixed == 0 && len(stsz) < 4*count {
		return t, corrupt("%d samples claimed", count)
	}
	t.Coded = make([]slice.Sample, 0, count)
	dts, left, step := int64(0), uint32(0), int64(0)
	for i := range count {
		for left == 0 && len(stts) >= 8 {
			left, step = binary.BigEndian.Uint32(stts), int64(binary.BigEndian.Uint32(stts[4:]))
			stts = stts[8:]
		}
		if left == 0 {
			return t, corrupt("times for %d of %d samples", i, count)
		}
		left--
		s := slice.Sample{DTS: dts, Dur: step, Size: int(fixed)}
		if fixed == 0 {
			s.Size = int(binary.BigEndian.Uint32(stsz[4*i:]))
		}
		t.Coded = append(t.Coded, s)
		dts += step
	}
	return t, nil
}

// topBox reads a box of the file's top level.
func topBox(r io.ReaderAt, size int64, name string) ([]byte, error) {
	var head [16]byte
	for at := int64(0); at+8 <= size; {
		if _, err := r.ReadAt(head[:min(16, size-at)], at); err != nil && err != io.EOF {
			return nil, errs.Wrap("coded", err)
		}
		n, skip := int64(binary.BigEndian.Uint32(head[:])), int64(8)
		switch n {
		case 0:
			n = size - at
		case 1:
			n, skip = int64(binary.BigEndian.Uint64(head[8:])), 16
		}
		if n < skip || n > size-at {
			return nil, corrupt("a box of %d bytes at %d", n, at)
		}
		if string(head[4:8]) != name {
			at += n
			continue
		}
		if n > maxMoov {
			return nil, errs.New(errs.TooLarge, "coded", "%s is %d bytes long", name, n)
		}
		b := make([]byte, n-skip)
		if _, err := r.ReadAt(b, at+skip); err != nil && err != io.EOF {
			return nil, errs.Wrap("coded", err)
		}
		return b, nil
	}
	return nil, corrupt("no %s", name)
}

// box finds the first box of a name and returns its content and what follows.
func box(b []byte, name string) (content, rest []byte, ok bool) {
	for len(b) >= 8 {
		n := int64(binary.BigEndian.Uint32(b))
		if n < 8 || n > int64(len(b)) {
			return nil, nil, false
		}
		if string(b[4:8]) == name {
			return b[8:n], b[n:], true
		}
		b = b[n:]
	}
	return nil, nil, false
}

// walk goes down a path of boxes.
func walk(b []byte, path ...string) (content, rest []byte, ok bool) {
	content, ok = b, true
	for _, name := range path {
		if content, rest, ok = box(content, name); !ok {
			return nil, nil, false
		}
	}
	return content, rest, true
}

func corrupt(format string, args ...any) error {
	return errs.New(errs.Invalid, "coded", "mp4: "+format, args...)
}
