package raster

import (
	"encoding/binary"
	"testing"
	"unicode/utf16"
)

func profile(tag []byte) []byte {
	p := make([]byte, 144)
	be := binary.BigEndian
	be.PutUint32(p[128:], 1)
	copy(p[132:], "desc")
	be.PutUint32(p[136:], 144)
	be.PutUint32(p[140:], uint32(len(tag)))
	return append(p, tag...)
}

func version2(s string) []byte {
	b := binary.BigEndian.AppendUint32([]byte("desc\x00\x00\x00\x00"), uint32(len(s)+1))
	return append(append(b, s...), 0)
}

func version4(s string) []byte {
	u := utf16.Encode([]rune(s))
	be := binary.BigEndian
	b := []byte("mluc\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0cenUS")
	b = be.AppendUint32(be.AppendUint32(b, uint32(2*len(u))), 28)
	for _, c := range u {
		b = be.AppendUint16(b, c)
	}
	return b
}

func TestProfileDescription(t *testing.T) {
	for _, tag := range [][]byte{version2("Display P3"), version4("Display P3")} {
		if got := profileDescription(profile(tag)); got != "Display P3" {
			t.Errorf("%q", got)
		}
	}
}

func FuzzProfileDescription(f *testing.F) {
	f.Add(profile(version2("a")))
	f.Add(profile(version4("b")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := profileDescription(b); len(got) > maxDescription {
			t.Fatalf("%d bytes", len(got))
		}
	})
}
