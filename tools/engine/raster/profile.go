package raster

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// profileDescription reads the name of an ICC profile (ICC.1:2022 §9.2.41,
// tag "desc", as text of version 2 or 4). "" if there is none.
func profileDescription(p []byte) string {
	be := binary.BigEndian
	if len(p) < 132 {
		return ""
	}
	for i := range min(be.Uint32(p[128:]), 100) {
		e := 132 + 12*int(i)
		if e+12 > len(p) {
			return ""
		}
		if string(p[e:e+4]) != "desc" {
			continue
		}
		off, size := uint64(be.Uint32(p[e+4:])), uint64(be.Uint32(p[e+8:]))
		if off+size > uint64(len(p)) || size < 12 {
			return ""
		}
		return description(p[off : off+size])
	}
	return ""
}

func description(d []byte) string {
	be := binary.BigEndian
	var text string
	switch string(d[:4]) {
	case "desc":
		n := min(uint64(be.Uint32(d[8:])), uint64(len(d)-12))
		text = string(d[12 : 12+n])
	case "mluc":
		if len(d) < 28 || be.Uint32(d[8:]) == 0 {
			return ""
		}
		n, off := uint64(be.Uint32(d[20:])), uint64(be.Uint32(d[24:]))
		if off+n > uint64(len(d)) {
			return ""
		}
		var u []uint16
		for i := off; i+1 < off+n; i += 2 {
			u = append(u, be.Uint16(d[i:]))
		}
		text = string(utf16.Decode(u))
	}
	text, _, _ = strings.Cut(text, "\x00")
	if len(text) > maxDescription {
		text = text[:maxDescription]
	}
	return strings.TrimSpace(strings.ToValidUTF8(text, ""))
}

const maxDescription = 256
