// Package codec reads codec parameter sets — what a stream says of itself
// before its first picture — without decoding: H.264, HEVC, AV1 and VP9, and
// the configuration of AAC. Names are those ffprobe prints.
package codec

import (
	"math/bits"

	"github.com/mediafn/mediafn/core/media"
)

// Params is what a parameter set tells. Empty means it does not say.
type Params struct {
	Profile     string
	Level       string
	Width       int // pixels after cropping
	Height      int
	SAR         media.Rational
	PixelFormat string
	BitDepth    int
	FieldOrder  string // progressive, or "" where pictures may be interlaced and only they say how
	Color       media.Color
	FrameRate   media.Rational // from VUI timing; a hint, the container's times count
	BFrames     *bool
}

// bitReader reads big-endian bit fields. Reading past the end gives zeros and
// sets over.
type bitReader struct {
	b    []byte
	pos  int // in bits
	over bool
}

func (r *bitReader) u(n int) uint32 {
	var v uint32
	for range n {
		i := r.pos >> 3
		if i >= len(r.b) {
			r.over = true
			return 0
		}
		v = v<<1 | uint32(r.b[i]>>(7-r.pos&7)&1)
		r.pos++
	}
	return v
}

func (r *bitReader) flag() bool { return r.u(1) == 1 }

func (r *bitReader) skip(n int) {
	if r.pos += n; r.pos > len(r.b)*8 {
		r.over = true
	}
}

// ue is an unsigned Exp-Golomb code (ITU-T H.264 §9.1).
func (r *bitReader) ue() uint32 {
	n := 0
	for !r.flag() {
		if n++; n > 31 || r.over {
			r.over = true
			return 0
		}
	}
	return 1<<n - 1 + r.u(n)
}

func (r *bitReader) se() int32 {
	v := r.ue()
	if v&1 == 1 {
		return int32(v/2) + 1
	}
	return -int32(v / 2)
}

// unescape removes emulation prevention bytes from a NAL unit.
func unescape(nal []byte) []byte {
	out := make([]byte, 0, len(nal))
	zeros := 0
	for _, c := range nal {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if zeros++; c != 0 {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}

func pixelFormat(chroma, depth int) string {
	name := [...]string{"gray", "yuv420p", "yuv422p", "yuv444p"}[chroma&3]
	switch {
	case depth == 8:
		return name
	case depth > 16 || depth < 8:
		return ""
	}
	return name + itoa(depth) + "le"
}

// gbr is the name of 4:4:4 with an identity matrix.
func gbr(pix string) string {
	if len(pix) >= 7 && pix[:7] == "yuv444p" {
		return "gbrp" + pix[7:]
	}
	return pix
}

func itoa(n int) string {
	if n >= 10 {
		return itoa(n/10) + string(rune('0'+n%10))
	}
	return string(rune('0' + n))
}

// frameRate reduces ticks per second over ticks per frame, or is unknown
// where the value makes no sense.
func frameRate(scale, ticks uint64) media.Rational {
	if scale == 0 || ticks == 0 || bits.Len64(scale) > 40 || scale/ticks > 1000 {
		return media.Rational{}
	}
	return media.Rational{Num: int64(scale), Den: int64(ticks)}.Reduce()
}

func sarOf(idc uint32) media.Rational {
	table := [...][2]int64{{}, {1, 1}, {12, 11}, {10, 11}, {16, 11}, {40, 33}, {24, 11}, {20, 11}, {32, 11}, {80, 33},
		{18, 11}, {15, 11}, {64, 33}, {160, 99}, {4, 3}, {3, 2}, {2, 1}}
	if int(idc) < len(table) && idc > 0 {
		return media.Rational{Num: table[idc][0], Den: table[idc][1]}
	}
	return media.Rational{}
}
