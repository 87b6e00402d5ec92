package codec

import (
	"encoding/binary"

	"github.com/mediafn/mediafn/core/media"
)

// Mastering reads mastering display colour volume as SEI message 137 and the
// mdcv box carry it: 24 bytes, primaries in the order green, blue, red
// (ITU-T H.265 D.3.28). Shorter input gives nil.
func Mastering(b []byte) *media.HDR {
	if len(b) < 24 {
		return nil
	}
	be := binary.BigEndian
	at := func(i int) media.Chroma {
		return media.Chroma{X: media.Rational{Num: int64(be.Uint16(b[i*4:])), Den: 50000}, Y: media.Rational{Num: int64(be.Uint16(b[i*4+2:])), Den: 50000}}
	}
	return &media.HDR{
		Primaries: [3]media.Chroma{at(2), at(0), at(1)},
		White:     at(3),
		MaxLum:    media.Rational{Num: int64(be.Uint32(b[16:])), Den: 10000},
		MinLum:    media.Rational{Num: int64(be.Uint32(b[20:])), Den: 10000},
	}
}

// HEVCConfigHDR finds HDR metadata in the SEI messages of an hvcC record, or
// answers nil.
func HEVCConfigHDR(b []byte) (h *media.HDR) {
	if len(b) < 23 {
		return nil
	}
	arrays := int(b[22])
	b = b[23:]
	for range arrays {
		if len(b) < 3 {
			return h
		}
		kind, n := b[0]&0x3f, int(binary.BigEndian.Uint16(b[1:]))
		b = b[3:]
		for range n {
			if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
				return h
			}
			l := int(binary.BigEndian.Uint16(b))
			if kind == 39 && l > 2 {
				h = hdrMessages(unescape(b[4:2+l]), h)
			}
			b = b[2+l:]
		}
	}
	return h
}

// SampleHDR finds HDR metadata in the SEI messages that open a sample of
// length-prefixed NAL units, which may be cut off anywhere; or answers nil.
func SampleHDR(codec string, sample []byte, lengthSize int) (h *media.HDR) {
	for lengthSize > 0 && len(sample) > lengthSize {
		n := 0
		for _, c := range sample[:lengthSize] {
			n = n<<8 | int(c)
		}
		sample = sample[lengthSize:]
		nal := sample[:min(max(n, 0), len(sample))]
		switch {
		case codec == "hevc" && len(nal) > 2 && nal[0]>>1&0x3f == 39:
			h = hdrMessages(unescape(nal[2:]), h)
		case codec == "h264" && len(nal) > 1 && nal[0]&0x1f == 6:
			h = hdrMessages(unescape(nal[1:]), h)
		}
		if n > len(sample) {
			break
		}
		sample = sample[n:]
	}
	return h
}

func hdrMessages(b []byte, h *media.HDR) *media.HDR {
	sei(b, func(kind int, x []byte) {
		switch {
		case kind == 137 && len(x) >= 24:
			m := Mastering(x)
			m.Format = "hdr10"
			if h != nil {
				m.Light = h.Light
			}
			h = m
		case kind == 144 && len(x) >= 4:
			if h == nil {
				h = &media.HDR{Format: "hdr10"}
			}
			h.Light = &media.LightLevel{MaxCLL: int(binary.BigEndian.Uint16(x)), MaxFALL: int(binary.BigEndian.Uint16(x[2:]))}
		}
	})
	return h
}

// sei visits the messages of an SEI payload without emulation bytes. The last
// one may be cut off.
func sei(b []byte, visit func(kind int, payload []byte)) {
	varint := func() (v int, ok bool) {
		for len(b) > 0 {
			c := b[0]
			b = b[1:]
			if v += int(c); c != 0xff {
				return v, true
			}
		}
		return 0, false
	}
	for len(b) > 2 {
		kind, ok := varint()
		if !ok {
			return
		}
		size, ok := varint()
		if !ok {
			return
		}
		visit(kind, b[:min(size, len(b))])
		b = b[min(size, len(b)):]
	}
}
