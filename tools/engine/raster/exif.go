package raster

import (
	"encoding/binary"
	"strings"
)

const maxTag = 256 // bytes of one value

// exifValue takes the value out of libvips' text of a field, in which libexif's
// rendering follows: "6 (Right-top, Short, 1 components, 2 bytes)", and for text,
// which may hold parentheses itself, "me (c) (me (c), ASCII, 7 components, 7 bytes)".
func exifValue(v string) string {
	if strings.HasSuffix(v, " bytes)") {
		v = withoutRendering(v)
	}
	v = strings.TrimSpace(strings.ToValidUTF8(v, "?"))
	if len(v) > maxTag {
		v = strings.ToValidUTF8(v[:maxTag], "")
	}
	return v
}

func withoutRendering(v string) string {
	first, _, found := strings.Cut(v, " (")
	if !found {
		return v
	}
	if !strings.Contains(v, ", ASCII, ") {
		return first
	}
	for from := 0; ; { // the rendering of a text repeats it
		i := strings.Index(v[from:], " (")
		if i < 0 {
			return first
		}
		if i += from; strings.HasPrefix(v[i+2:], v[:i]) {
			return v[:i]
		}
		from = i + 2
	}
}

// copyrightBlock is an EXIF block (EXIF 2.32 §4.5) of two texts; an empty one
// is left out.
func copyrightBlock(artist, copyright string) []byte {
	le := binary.LittleEndian
	type entry struct {
		tag  uint16
		text string
	}
	var entries []entry
	for _, e := range []entry{{0x013b, artist}, {0x8298, copyright}} {
		if e.text != "" {
			entries = append(entries, entry{e.tag, e.text + "\x00"})
		}
	}
	b := append([]byte("Exif\x00\x00II*\x00"), 8, 0, 0, 0) // the directory follows
	b = le.AppendUint16(b, uint16(len(entries)))
	at := 8 + 2 + 12*len(entries) + 4 // of texts, from the II
	var texts []byte
	for _, e := range entries {
		b = le.AppendUint32(le.AppendUint16(le.AppendUint16(b, e.tag), 2), uint32(len(e.text)))
		if len(e.text) <= 4 {
			b = append(b, (e.text + "\x00\x00\x00")[:4]...)
			continue
		}
		b = le.AppendUint32(b, uint32(at+len(texts)))
		texts = append(texts, e.text...)
	}
	return append(append(b, 0, 0, 0, 0), texts...)
}
