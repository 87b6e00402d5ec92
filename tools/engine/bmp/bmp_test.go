package bmp

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
)

func picture(w, h, bands int) *Picture {
	p := &Picture{W: w, H: h, Bands: bands, Pix: make([]byte, w*h*bands)}
	for i := range p.Pix {
		p.Pix[i] = byte(i * 7)
	}
	return p
}

func TestRoundTrip(t *testing.T) {
	for _, bands := range []int{3, 4} {
		for w := 1; w < 9; w++ {
			want := picture(w, 3, bands)
			b := Encode(want)
			h, err := ReadHeader(b)
			if err != nil || h.W != w || h.H != 3 {
				t.Fatalf("%v %+v", err, h)
			}
			got, err := Decode(b, h, false)
			if err != nil || got.Bands != bands || !bytes.Equal(got.Pix, want.Pix) {
				t.Fatalf("%d bands, width %d: %v", bands, w, err)
			}
			if _, err := Decode(b[:len(b)-1], h, false); !errs.Is(err, errs.Invalid) {
				t.Errorf("truncated: %v", err)
			}
			if _, err := Decode(b[:len(b)-1], h, true); err != nil {
				t.Errorf("truncated, lenient: %v", err)
			}
		}
	}
}

// indexed makes a bitmap with a palette of red and green.
func indexed(w, h, bits int, compress uint32, data ...byte) []byte {
	le := binary.LittleEndian
	b := make([]byte, 54, 62+len(data))
	copy(b, "BM")
	le.PutUint32(b[10:], 62)
	le.PutUint32(b[14:], 40)
	le.PutUint32(b[18:], uint32(w))
	le.PutUint32(b[22:], uint32(h))
	le.PutUint16(b[28:], uint16(bits))
	le.PutUint32(b[30:], compress)
	le.PutUint32(b[46:], 2)
	b = append(b, 0, 0, 255, 0, 0, 255, 0, 0)
	return append(b, data...)
}

func TestIndexedAndRuns(t *testing.T) {
	for name, b := range map[string][]byte{
		"1 bit":         indexed(4, 1, 1, 0, 0b0110_0000, 0, 0, 0),
		"4 bit":         indexed(4, 1, 4, 0, 0x01, 0x10, 0, 0),
		"8 bit":         indexed(4, 1, 8, 0, 0, 1, 1, 0),
		"rle8":          indexed(4, 1, 8, 1, 1, 0, 2, 1, 1, 0, 0, 1),
		"rle8 absolute": indexed(4, 1, 8, 1, 0, 4, 0, 1, 1, 0, 0, 1),
		"rle4":          indexed(4, 1, 4, 2, 4, 0x01, 0, 2, 0xfe, 0, 0, 1)[:62+2+2],
	} {
		h, err := ReadHeader(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p, err := Decode(b, h, name == "rle4")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := []byte{255, 0, 0, 0, 255, 0, 0, 255, 0, 255, 0, 0}
		if name == "rle4" {
			want = []byte{255, 0, 0, 0, 255, 0, 255, 0, 0, 0, 255, 0}
		}
		if !bytes.Equal(p.Pix, want) {
			t.Errorf("%s: %v", name, p.Pix)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode(picture(3, 2, 3)))
	f.Add(Encode(picture(3, 2, 4)))
	f.Add(indexed(4, 1, 8, 1, 1, 0, 2, 1, 1, 0, 0, 1))
	f.Add(indexed(4, 1, 4, 2, 4, 1, 0, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ReadHeader(b)
		if err != nil {
			if !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.Unsupported) {
				t.Fatal(err)
			}
			return
		}
		if h.W*h.H > 1<<20 {
			return
		}
		p, err := Decode(b, h, len(b)%2 == 0)
		if err == nil && len(p.Pix) != h.W*h.H*p.Bands {
			t.Fatalf("%d bytes for %d×%d", len(p.Pix), h.W, h.H)
		}
	})
}
