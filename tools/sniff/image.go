package sniff

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// CheckImageHeader reads the width and height an image claims, before any
// decoder sees it, and answers TooLarge where width × height exceeds
// maxPixels. A header that is cut off or contradicts itself is Invalid. Formats
// without a pixel size (svg) and those that are not images pass.
func CheckImageHeader(r io.ReaderAt, size int64, f Format, maxPixels int64) error {
	if f.Kind != media.Image || f.Name == "svg" {
		return nil
	}
	p := &peeker{r: r, size: size}
	var sizes [][2]int64
	switch f.Name {
	case "png":
		sizes = p.png()
	case "jpeg":
		sizes = p.jpeg()
	case "gif":
		sizes = p.gif()
	case "webp":
		sizes = p.webp()
	case "bmp":
		sizes = p.bmp()
	case "tiff":
		sizes = p.tiff()
	case "avif", "heif":
		sizes = p.ispe()
	}
	if p.err != nil && !errors.Is(p.err, io.EOF) {
		return errs.Wrap(op, p.err)
	}
	for _, s := range sizes {
		w, h := s[0], s[1]
		if w <= 0 || h <= 0 {
			return errs.New(errs.Invalid, op, "%s header claims %d×%d pixels", f.Name, w, h)
		}
		if w > maxPixels/h {
			return errs.New(errs.TooLarge, op, "%s header claims %d×%d pixels; the limit is %d", f.Name, w, h, maxPixels)
		}
	}
	if len(sizes) == 0 || p.err != nil {
		return errs.New(errs.Invalid, op, "%s header is truncated or corrupt", f.Name)
	}
	return nil
}

// peeker reads small pieces; the first failure sticks and later reads give
// zeros. One block is kept so that neighbours cost no further read.
type peeker struct {
	r     io.ReaderAt
	size  int64
	block []byte
	base  int64
	err   error
}

const peekBlock = 16 << 10

func (p *peeker) at(off int64, n int) []byte {
	zero := make([]byte, n)
	if p.err != nil {
		return zero
	}
	if off < 0 || off+int64(n) > p.size {
		p.err = io.EOF
		return zero
	}
	if off < p.base || off+int64(n) > p.base+int64(len(p.block)) {
		b := make([]byte, min(max(peekBlock, int64(n)), p.size-off))
		if k, err := p.r.ReadAt(b, off); k < len(b) {
			if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = io.EOF
			}
			p.err = err
			return zero
		}
		p.block, p.base = b, off
	}
	return p.block[off-p.base:][:n]
}

func (p *peeker) png() [][2]int64 {
	b := p.at(8, 16)
	if string(b[4:8]) != "IHDR" {
		return nil
	}
	return [][2]int64{{int64(binary.BigEndian.Uint32(b[8:])), int64(binary.BigEndian.Uint32(b[12:]))}}
}

// jpeg walks the marker segments to the first frame header (ITU-T T.81 B.2.2).
func (p *peeker) jpeg() [][2]int64 {
	off := int64(2)
	for range 4096 {
		b := p.at(off, 4)
		if p.err != nil || b[0] != 0xff {
			return nil
		}
		m := b[1]
		switch {
		case m == 0xff: // fill byte
			off++
			continue
		case m == 0x01 || m >= 0xd0 && m <= 0xd7:
			off += 2
			continue
		case m == 0xd9 || m == 0xda:
			return nil
		case m >= 0xc0 && m <= 0xcf && m != 0xc4 && m != 0xc8 && m != 0xcc:
			b = p.at(off+5, 4)
			return [][2]int64{{int64(binary.BigEndian.Uint16(b[2:])), int64(binary.BigEndian.Uint16(b))}}
		}
		off += 2 + int64(binary.BigEndian.Uint16(b[2:]))
	}
	return nil
}

// gif checks the canvas and the first image, which may be larger than it.
func (p *peeker) gif() [][2]int64 {
	b := p.at(6, 7)
	le := binary.LittleEndian
	w, h := int64(le.Uint16(b)), int64(le.Uint16(b[2:]))
	off := int64(13)
	if b[4]&0x80 != 0 {
		off += 3 << (b[4]&7 + 1)
	}
	for range 65536 {
		c := p.at(off, 1)[0]
		if p.err != nil || c == 0x3b {
			return nil
		}
		if c == 0x2c {
			d := p.at(off+1, 8)
			x, y := int64(le.Uint16(d))+int64(le.Uint16(d[4:])), int64(le.Uint16(d[2:]))+int64(le.Uint16(d[6:]))
			return [][2]int64{{max(w, x), max(h, y)}}
		}
		if c != 0x21 {
			return nil
		}
		for off += 2; p.err == nil; {
			n := p.at(off, 1)[0]
			if off += int64(n) + 1; n == 0 {
				break
			}
		}
	}
	return nil
}

// webp reads the canvas, or the bitstream's own size where there is none.
func (p *peeker) webp() [][2]int64 {
	b := p.at(12, 18)
	le := binary.LittleEndian
	u24 := func(b []byte) int64 { return int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16 }
	switch string(b[:4]) {
	case "VP8X":
		return [][2]int64{{u24(b[12:]) + 1, u24(b[15:]) + 1}}
	case "VP8L":
		if b[8] != 0x2f {
			return nil
		}
		v := le.Uint32(b[9:])
		return [][2]int64{{int64(v&0x3fff) + 1, int64(v>>14&0x3fff) + 1}}
	case "VP8 ":
		if b[11] != 0x9d || b[12] != 0x01 || b[13] != 0x2a {
			return nil
		}
		return [][2]int64{{int64(le.Uint16(b[14:]) & 0x3fff), int64(le.Uint16(b[16:]) & 0x3fff)}}
	}
	return nil
}

func (p *peeker) bmp() [][2]int64 {
	b := p.at(14, 12)
	le := binary.LittleEndian
	if n := le.Uint32(b); n == 12 {
		return [][2]int64{{int64(le.Uint16(b[4:])), int64(le.Uint16(b[6:]))}}
	} else if !bmpHeader(n) {
		return nil
	}
	w, h := int64(int32(le.Uint32(b[4:]))), int64(int32(le.Uint32(b[8:])))
	return [][2]int64{{w, max(h, -h)}} // a negative height means rows run top down
}

// tiff reads the size of every directory (page), classic and BigTIFF.
func (p *peeker) tiff() (sizes [][2]int64) {
	b := p.at(0, 16)
	var bo binary.ByteOrder = binary.LittleEndian
	if b[0] == 'M' {
		bo = binary.BigEndian
	}
	big := bo.Uint16(b[2:]) == 43
	next, entry, head := int64(bo.Uint32(b[4:])), int64(12), int64(2)
	if big {
		next, entry, head = int64(bo.Uint64(b[8:])), 20, 8
	}
	seen := map[int64]bool{}
	for len(seen) < 1024 && next > 0 && !seen[next] && p.err == nil {
		seen[next] = true
		n := int64(bo.Uint16(p.at(next, 2)))
		if big {
			if n = int64(bo.Uint64(p.at(next, 8))); n < 0 || n > 65535 {
				return nil
			}
		}
		var w, h int64
		for i := range n {
			e := p.at(next+head+i*entry, int(entry))
			tag := bo.Uint16(e)
			if tag != 256 && tag != 257 {
				continue
			}
			val, v := e[entry-entry/3:], int64(0)
			if big {
				val = e[12:]
			}
			switch bo.Uint16(e[2:]) {
			case 3:
				v = int64(bo.Uint16(val))
			case 16:
				v = int64(bo.Uint64(e[12:]))
			default:
				v = int64(bo.Uint32(val))
			}
			if tag == 256 {
				w = v
			} else {
				h = v
			}
		}
		sizes = append(sizes, [2]int64{w, h})
		link := next + head + n*entry
		if big {
			next = int64(bo.Uint64(p.at(link, 8)))
		} else {
			next = int64(bo.Uint32(p.at(link, 4)))
		}
	}
	return sizes
}

// ispe collects every image spatial extents property of the meta box
// (ISO/IEC 23008-12 §6.5.3), which precedes the data in files as written by
// every known encoder; a meta box beyond the first 64 boxes is Invalid.
func (p *peeker) ispe() (sizes [][2]int64) {
	const maxMeta = 1 << 20
	off := int64(0)
	for range 64 {
		b := p.at(off, 16)
		n := int64(binary.BigEndian.Uint32(b))
		if n == 1 {
			n = int64(binary.BigEndian.Uint64(b[8:]))
		}
		if p.err != nil || n < 8 {
			return nil
		}
		if string(b[4:8]) == "meta" || string(b[4:8]) == "moov" {
			if n > maxMeta {
				n = maxMeta
			}
			m := p.at(off, int(n))
			for i := 0; ; {
				k := bytes.Index(m[i:], []byte("ispe"))
				if i += k; k < 0 || i+16 > len(m) {
					break
				}
				sizes = append(sizes, [2]int64{int64(binary.BigEndian.Uint32(m[i+8:])), int64(binary.BigEndian.Uint32(m[i+12:]))})
				i += 16
			}
			return sizes
		}
		off += n
	}
	return nil
}
