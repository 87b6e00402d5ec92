// Package bmp reads and writes Windows bitmaps, which libvips only does
// through ImageMagick, and that has no place near hostile input.
package bmp

import (
	"encoding/binary"
	"math/bits"

	"github.com/mediafn/mediafn/core/errs"
)

// Picture is 8-bit sRGB, rows top down, Bands interleaved samples a pixel: 3,
// or 4 with straight alpha.
type Picture struct {
	W, H, Bands int
	Pix         []byte
}

// Header is what the file says of itself.
type Header struct {
	W, H     int
	Bits     int // a pixel: 1, 4, 8, 16, 24, 32
	Alpha    bool
	topDown  bool
	compress uint32
	offset   int
	palette  [][3]byte
	masks    [4]uint32 // red, green, blue, alpha
}

const op = "bmp"

// ReadHeader parses the file and information headers and the palette. A file
// it cannot make sense of is Invalid, JPEG or PNG inside is Unsupported.
func ReadHeader(b []byte) (*Header, error) {
	le := binary.LittleEndian
	if len(b) < 26 || b[0] != 'B' || b[1] != 'M' {
		return nil, errs.New(errs.Invalid, op, "not a bitmap, or truncated")
	}
	h := &Header{offset: int(le.Uint32(b[10:]))}
	size, colors, entry := int(le.Uint32(b[14:])), 0, 4
	if size < 12 || size > 1<<10 || len(b) < 14+size {
		return nil, errs.New(errs.Invalid, op, "header of %d bytes, or truncated", size)
	}
	end := 14 + size
	if size == 12 { // OS/2
		h.W, h.H, h.Bits, entry = int(le.Uint16(b[18:])), int(le.Uint16(b[20:])), int(le.Uint16(b[24:])), 3
	} else if size < 40 {
		return nil, errs.New(errs.Invalid, op, "header of %d bytes", size)
	} else {
		h.W, h.H = int(int32(le.Uint32(b[18:]))), int(int32(le.Uint32(b[22:])))
		h.Bits, h.compress, colors = int(le.Uint16(b[28:])), le.Uint32(b[30:]), int(le.Uint32(b[46:]))
	}
	if h.H < 0 {
		h.topDown, h.H = true, -h.H
	}
	if h.W <= 0 || h.H <= 0 || h.W > 1<<20 || h.H > 1<<20 {
		return nil, errs.New(errs.Invalid, op, "header claims %d×%d pixels", h.W, h.H)
	}
	switch h.compress {
	case 0: // plain
		switch h.Bits {
		case 16:
			h.masks = [4]uint32{0x7c00, 0x03e0, 0x001f, 0}
		case 32:
			h.masks = [4]uint32{0xff0000, 0xff00, 0xff, 0}
		}
	case 1, 2: // run lengths
		if want := map[uint32]int{1: 8, 2: 4}[h.compress]; h.Bits != want || h.topDown {
			return nil, errs.New(errs.Invalid, op, "run lengths of %d bits", h.Bits)
		}
	case 3, 6: // masks
		if h.Bits != 16 && h.Bits != 32 {
			return nil, errs.New(errs.Invalid, op, "bit fields of %d bits", h.Bits)
		}
		n := 3
		if h.compress == 6 || size >= 56 {
			n = 4
		}
		if len(b) < 54+4*n {
			return nil, errs.New(errs.Invalid, op, "truncated")
		}
		for i := range n {
			h.masks[i] = le.Uint32(b[54+4*i:])
		}
		if size == 40 {
			end += 4 * n
		}
	default:
		return nil, errs.New(errs.Unsupported, op, "compression %d", h.compress)
	}
	h.Alpha = h.masks[3] != 0
	switch h.Bits {
	case 1, 4, 8:
		if colors <= 0 || colors > 1<<h.Bits {
			colors = 1 << h.Bits
		}
		for i := 0; i < colors && end+entry <= len(b); i++ {
			h.palette = append(h.palette, [3]byte{b[end+2], b[end+1], b[end]})
			end += entry
		}
	case 16, 24, 32:
	default:
		return nil, errs.New(errs.Unsupported, op, "%d bits a pixel", h.Bits)
	}
	if h.offset < 14+size || h.offset > len(b) {
		return nil, errs.New(errs.Invalid, op, "pixels at %d of %d bytes", h.offset, len(b))
	}
	return h, nil
}

// Decode reads the pixels. The caller has checked the size h claims against its
// limits. A file with fewer pixels than it claims is Invalid unless lenient,
// where the rest stays black.
func Decode(b []byte, h *Header, lenient bool) (*Picture, error) {
	bands := 3
	if h.Alpha {
		bands = 4
	}
	data := b[h.offset:]
	stride := (h.W*h.Bits + 31) / 32 * 4
	if h.compress != 1 && h.compress != 2 && len(data) < stride*h.H {
		if !lenient {
			return nil, errs.New(errs.Invalid, op, "truncated: %d of %d bytes", len(data), stride*h.H)
		}
	}
	p := &Picture{W: h.W, H: h.H, Bands: bands, Pix: make([]byte, h.W*h.H*bands)}
	if h.compress == 1 || h.compress == 2 {
		return p, h.runs(data, p, lenient)
	}
	row := make([]byte, stride)
	for y := range h.H {
		clear(row)
		if off := y * stride; off < len(data) {
			copy(row, data[off:])
		}
		at := y
		if !h.topDown {
			at = h.H - 1 - y
		}
		h.row(p.Pix[at*h.W*bands:][:h.W*bands], row, bands)
	}
	return p, nil
}

func (h *Header) row(dst, src []byte, bands int) {
	le := binary.LittleEndian
	for x := range h.W {
		d := dst[x*bands:]
		switch h.Bits {
		case 24:
			d[0], d[1], d[2] = src[3*x+2], src[3*x+1], src[3*x]
			continue
		case 16, 32:
			var v uint32
			if h.Bits == 16 {
				v = uint32(le.Uint16(src[2*x:]))
			} else {
				v = le.Uint32(src[4*x:])
			}
			for i := range bands {
				d[i] = channel(v, h.masks[i])
			}
			continue
		}
		per := 8 / h.Bits
		h.color(d, src[x/per]>>(8-h.Bits*(x%per+1))&(1<<h.Bits-1))
	}
}

func (h *Header) color(d []byte, index byte) {
	if int(index) < len(h.palette) {
		copy(d, h.palette[index][:])
	}
}

// channel takes the bits of mask and scales them to 8.
func channel(v, mask uint32) byte {
	if mask == 0 {
		return 0
	}
	shift := bits.TrailingZeros32(mask)
	top := uint64(mask >> shift)
	return byte((uint64((v&mask)>>shift)*255 + top/2) / top)
}

// runs decodes RLE8 and RLE4 ([MS-WMF] §3.1.6).
func (h *Header) runs(b []byte, p *Picture, lenient bool) error {
	for i := range p.W * p.H { // what no run covers shows colour 0
		h.color(p.Pix[3*i:], 0)
	}
	x, y := 0, 0
	put := func(index byte) {
		if x < h.W && y < h.H {
			h.color(p.Pix[((h.H-1-y)*h.W+x)*3:], index)
		}
		x++
	}
	nibble := func(v byte, i int) byte {
		if h.Bits == 8 {
			return v
		}
		return v >> (4 * (1 - i&1)) & 15
	}
	for len(b) >= 2 && y < h.H {
		n, v := int(b[0]), b[1]
		b = b[2:]
		switch {
		case n > 0:
			for i := range n {
				put(nibble(v, i))
			}
		case v == 0:
			x, y = 0, y+1
		case v == 1:
			return nil
		case v == 2:
			if len(b) < 2 {
				b = nil
				continue
			}
			x, y, b = x+int(b[0]), y+int(b[1]), b[2:]
		default:
			size := (int(v)*h.Bits + 15) / 16 * 2
			if len(b) < size {
				b = nil
				continue
			}
			for i := range int(v) {
				put(nibble(b[i*h.Bits/8], i))
			}
			b = b[size:]
		}
	}
	if y < h.H && !lenient {
		return errs.New(errs.Invalid, op, "truncated at row %d of %d", y, h.H)
	}
	return nil
}

// Encode writes a picture with 24 bits a pixel, or 32 with alpha.
func Encode(p *Picture) []byte {
	le := binary.LittleEndian
	head, stride := 54, (p.W*3+3)&^3
	if p.Bands == 4 {
		head, stride = 14+108, p.W*4
	}
	b := make([]byte, head+stride*p.H)
	copy(b, "BM")
	le.PutUint32(b[2:], uint32(len(b)))
	le.PutUint32(b[10:], uint32(head))
	le.PutUint32(b[14:], uint32(head-14))
	le.PutUint32(b[18:], uint32(p.W))
	le.PutUint32(b[22:], uint32(p.H))
	le.PutUint16(b[26:], 1)
	le.PutUint16(b[28:], uint16(8*p.Bands))
	le.PutUint32(b[34:], uint32(stride*p.H))
	le.PutUint32(b[38:], 2835) // 72 dots an inch
	le.PutUint32(b[42:], 2835)
	if p.Bands == 4 {
		le.PutUint32(b[30:], 3)
		for i, m := range []uint32{0xff0000, 0xff00, 0xff, 0xff000000} {
			le.PutUint32(b[54+4*i:], m)
		}
		copy(b[70:], "BGRs") // LCS_sRGB
	}
	for y := range p.H {
		src, dst := p.Pix[(p.H-1-y)*p.W*p.Bands:], b[head+y*stride:]
		for x := range p.W {
			s, d := src[x*p.Bands:], dst[x*p.Bands:]
			d[0], d[1], d[2] = s[2], s[1], s[0]
			if p.Bands == 4 {
				d[3] = s[3]
			}
		}
	}
	return b
}
