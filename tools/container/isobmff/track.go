package isobmff

import (
	"math"

	"github.com/mediafn/mediafn/core/media"
)

// edit is one entry of an edit list.
type edit struct {
	dur  int64 // ticks of the movie's time scale
	time int64 // ticks of the track's; −1 is an empty edit
	rate int32 // 16.16
}

// track is one trak box, its tables still as stored.
type track struct {
	id, timescale          uint32
	enabled                bool
	dur                    int64 // mdhd
	handler, name, lang    string
	title                  string
	matrix                 [9]int32
	edits                  []edit
	chapters               []uint32 // tracks that hold this one's chapter titles
	stsd, stts, ctts, stss []byte
	stsc, stsz, chunks     []byte
	fixedSize              int64
	count                  int64 // samples
	sizeBits               int   // bits an entry of stsz or stz2 has
	wide                   bool  // chunks holds 64-bit offsets
	sync                   bool  // a stss box is there
	trex                   defaults
	frags                  []run
	fragTicks, fragFirst   int64 // length, and first decode time, of fragments
	fragBytes, fragSamples int64
	nextDTS                int64
	movieScale             uint32
	movieMatrix            [9]int32
	warn                   func(format string, args ...any)
}

type defaults struct{ dur, size, flags uint32 }

func (t *track) timebase() media.Rational {
	return media.Rational{Num: 1, Den: int64(max(t.timescale, 1))}
}

func parseTrack(b []byte) (*track, error) {
	t := &track{}
	err := each(b, func(kind string, body []byte) error {
		switch kind {
		case "tkhd":
			return t.tkhd(body)
		case "edts":
			return t.elst(child(body, "elst"))
		case "mdia":
			return t.mdia(body)
		case "tref":
			return each(body, func(kind string, body []byte) error {
				for i := 0; kind == "chap" && i+4 <= len(body) && len(t.chapters) < 64; i += 4 {
					t.chapters = append(t.chapters, be.Uint32(body[i:]))
				}
				return nil
			})
		case "udta":
			if n := child(body, "name"); n != nil {
				t.title = printable(n)
			}
		}
		return nil
	})
	if err == nil && t.timescale == 0 {
		return nil, nil // a track without a media header plays nothing
	}
	return t, err
}

func (t *track) tkhd(b []byte) error {
	v, flags, r, ok := full(b, 80)
	if v == 1 {
		if len(b) < 96 {
			return corrupt("tkhd is truncated")
		}
		r = r[12:]
		t.id = be.Uint32(b[20:])
	} else if ok {
		t.id = be.Uint32(r[8:])
	} else {
		return corrupt("tkhd is truncated")
	}
	t.enabled = flags&1 == 1
	for i := range t.matrix {
		t.matrix[i] = int32(be.Uint32(r[36+4*i:]))
	}
	return nil
}

func (t *track) elst(b []byte) error {
	if b == nil {
		return nil
	}
	size := 12
	if len(b) > 0 && b[0] == 1 {
		size = 20
	}
	e, err := table("elst", b, 0, size)
	if err != nil {
		return err
	}
	if len(e)/size > 4096 {
		return corrupt("elst has %d entries", len(e)/size)
	}
	for ; len(e) > 0; e = e[size:] {
		if size == 20 {
			t.edits = append(t.edits, edit{int64(be.Uint64(e)), int64(be.Uint64(e[8:])), int32(be.Uint32(e[16:]))})
		} else {
			t.edits = append(t.edits, edit{int64(be.Uint32(e)), int64(int32(be.Uint32(e[4:]))), int32(be.Uint32(e[8:]))})
		}
	}
	return nil
}

func (t *track) mdia(b []byte) error {
	return each(b, func(kind string, body []byte) error {
		switch kind {
		case "mdhd":
			v, _, r, ok := full(body, 20)
			if v == 1 && len(body) >= 36 {
				t.timescale, t.dur = be.Uint32(r[16:]), int64(be.Uint64(r[20:]))
				t.lang = language(be.Uint16(r[28:]))
			} else if ok && v == 0 {
				t.timescale, t.dur = be.Uint32(r[8:]), int64(be.Uint32(r[12:]))
				t.lang = language(be.Uint16(r[16:]))
			} else {
				return corrupt("mdhd is truncated")
			}
			if t.timescale == 0 || t.timescale > math.MaxInt32 {
				return corrupt("time scale of %d", t.timescale)
			}
		case "elng":
			if _, _, r, ok := full(body, 1); ok {
				t.lang = printable(r)
			}
		case "hdlr":
			if _, _, r, ok := full(body, 20); ok {
				t.handler = string(r[4:8])
				name := r[20:]
				if len(name) > 0 && int(name[0]) == len(name)-1 { // QuickTime counts the string
					name = name[1:]
				}
				t.name = printable(name)
			}
		case "minf":
			return t.stbl(child(body, "stbl"))
		}
		return nil
	})
}

func (t *track) stbl(b []byte) error {
	return each(b, func(kind string, body []byte) (err error) {
		switch kind {
		case "stsd":
			t.stsd = body
		case "stts":
			t.stts, err = table(kind, body, 0, 8)
		case "ctts":
			t.ctts, err = table(kind, body, 0, 8)
		case "stss":
			t.sync = true
			t.stss, err = table(kind, body, 0, 4)
		case "stsc":
			t.stsc, err = table(kind, body, 0, 12)
		case "stco":
			t.chunks, err = table(kind, body, 0, 4)
		case "co64":
			t.wide = true
			t.chunks, err = table(kind, body, 0, 8)
		case "stsz", "stz2":
			if len(body) < 12 {
				return corrupt("%s is truncated", kind)
			}
			t.count = int64(be.Uint32(body[8:]))
			if kind == "stsz" {
				t.fixedSize, t.sizeBits = int64(be.Uint32(body[4:])), 32
			} else {
				t.fixedSize, t.sizeBits = 0, int(body[7])
			}
			if t.fixedSize > 0 {
				return nil
			}
			if t.sizeBits != 4 && t.sizeBits != 8 && t.sizeBits != 16 && t.sizeBits != 32 {
				return corrupt("sample sizes of %d bits", t.sizeBits)
			}
			t.stsz = body[12:]
			if (t.count*int64(t.sizeBits)+7)/8 > int64(len(t.stsz)) {
				return corrupt("%s claims %d entries in %d bytes", kind, t.count, len(t.stsz))
			}
		}
		return err
	})
}

// size of sample i in bytes.
func (t *track) size(i int64) int64 {
	if t.fixedSize > 0 {
		return t.fixedSize
	}
	switch t.sizeBits {
	case 4:
		return int64(t.stsz[i/2] >> (4 * (1 - i&1)) & 15)
	case 8:
		return int64(t.stsz[i])
	case 16:
		return int64(be.Uint16(t.stsz[2*i:]))
	}
	return int64(be.Uint32(t.stsz[4*i:]))
}

// orientation reads the display matrix: degrees clockwise, and whether the
// picture is mirrored left to right before it is turned.
func (t *track) orientation() (degrees int, flip bool) {
	m, v := t.matrix, t.movieMatrix
	mul := func(r, c int) float64 {
		return float64(m[r*3])*float64(v[c]) + float64(m[r*3+1])*float64(v[3+c])
	}
	a, b, c, d := mul(0, 0), mul(0, 1), mul(1, 0), mul(1, 1)
	if a == 0 && b == 0 {
		return 0, false
	}
	if a*d-b*c < 0 {
		flip, a, b = true, -a, -b
	}
	degrees = int(math.Round(math.Atan2(b, a)*180/math.Pi/90)) * 90
	return (degrees + 360) % 360, flip
}

// language decodes a packed ISO 639-2 code; Macintosh codes below 0x400 other
// than English are left unknown.
func language(v uint16) string {
	if v == 0 {
		return "eng"
	}
	if v < 0x400 || v == 0x7fff {
		return ""
	}
	return string([]byte{byte(v>>10&31) + 0x60, byte(v>>5&31) + 0x60, byte(v&31) + 0x60})
}
