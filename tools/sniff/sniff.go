package sniff

import (
	"bytes"
	"encoding/binary"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

const op = "sniff"

// Sniff says what a file of size bytes is, from head: its first bytes, up to
// HeadSize (more is ignored). Pass size < 0 where it is not known.
//
// It fails with Invalid for an empty file, plain text and a file too short to
// be anything; with Unsupported for playlists and manifests, which name other
// files and are never media, and for formats nobody here reads.
func Sniff(head []byte, size int64) (Format, error) {
	if len(head) > HeadSize {
		head = head[:HeadSize]
	}
	if size == 0 || len(head) == 0 {
		return Format{}, errs.New(errs.Invalid, op, "file is empty")
	}
	if name, animated := signature(head); name != "" {
		f, _ := FormatByName(name)
		f.Animated = animated
		if name == "ogg" && (bytes.Contains(head, []byte("\x80theora")) || bytes.Contains(head, []byte("OVP80"))) {
			f.Kind, f.Mime = media.Video, "video/ogg"
		}
		return f, nil
	}
	if f, known, err := text(head); known {
		return f, err
	}
	whole := size < 0 || size > int64(len(head))
	if name := synced(head, !whole); name != "" {
		f, _ := FormatByName(name)
		return f, nil
	}
	if len(head) < 16 {
		return Format{}, errs.New(errs.Invalid, op, "file of %d bytes is too short to be media", len(head))
	}
	return Format{}, errs.New(errs.Unsupported, op, "not a media format known here")
}

// signature recognises formats that begin with fixed bytes.
func signature(h []byte) (name string, animated bool) {
	at := func(off int, s string) bool { return len(h) >= off+len(s) && string(h[off:off+len(s)]) == s }
	switch {
	case at(0, "\xff\xd8\xff"):
		return "jpeg", false
	case at(0, "\x89PNG\r\n\x1a\n"):
		return "png", pngAnimated(h)
	case at(0, "GIF87a"), at(0, "GIF89a"):
		return "gif", gifAnimated(h)
	case at(0, "RIFF"), at(0, "RF64"), at(0, "RIFX"):
		switch {
		case at(8, "WEBP"):
			return "webp", at(12, "VP8X") && len(h) > 20 && h[20]&2 != 0
		case at(8, "WAVE"):
			return "wav", false
		case at(8, "AVI "), at(8, "AVIX"):
			return "avi", false
		}
	case at(0, "\x1aE\xdf\xa3"):
		return ebml(h), false
	case at(0, "II*\x00"), at(0, "MM\x00*"), at(0, "II+\x00"), at(0, "MM\x00+"):
		return "tiff", false
	case at(0, "BM") && len(h) >= 26 && bmpHeader(binary.LittleEndian.Uint32(h[14:])):
		return "bmp", false
	case at(0, "FLV\x01"):
		return "flv", false
	case at(0, "OggS\x00"):
		return "ogg", false
	case at(0, "fLaC"):
		return "flac", false
	case at(0, "FORM") && (at(8, "AIFF") || at(8, "AIFC")):
		return "aiff", false
	case at(0, "#!AMR"):
		return "amr", false
	case at(0, "YUV4MPEG2 "):
		return "y4m", false
	case at(0, "DKIF\x00\x00"):
		return "ivf", false
	case at(0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"):
		return "asf", false
	case at(0, "\x00\x00\x01\xba"):
		return "mpegps", false
	}
	return isoBMFF(h), false
}

// bmpHeader reports whether n is the length of a known DIB header.
func bmpHeader(n uint32) bool {
	switch n {
	case 12, 16, 40, 52, 56, 64, 108, 124:
		return true
	}
	return false
}

// isoBMFF reads the brands of a file type box (ISO/IEC 14496-12 §4.3), or
// recognises a file without one by the type of its first box.
func isoBMFF(h []byte) string {
	if len(h) < 12 {
		return ""
	}
	n := int(binary.BigEndian.Uint32(h))
	switch string(h[4:8]) {
	case "ftyp", "styp":
	case "moov", "mdat", "wide", "free", "skip", "pnot":
		if n == 0 || n == 1 || n >= 8 {
			return "mov" // QuickTime before there were brands
		}
		return ""
	case "moof", "sidx":
		return "mp4"
	default:
		return ""
	}
	if n < 12 {
		return ""
	}
	major, brands := string(h[8:12]), map[string]bool{string(h[8:12]): true}
	for i := 16; i+4 <= min(n, len(h)); i += 4 {
		brands[string(h[i:i+4])] = true
	}
	switch {
	case major == "qt  ":
		return "mov"
	case major == "M4A " || major == "M4B " || major == "F4A ":
		return "m4a"
	case major[:2] == "3g":
		return "3gp"
	case brands["avif"] || brands["avis"]:
		return "avif"
	}
	for _, b := range []string{"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"} {
		if major == b {
			return "heif"
		}
	}
	return "mp4"
}

// ebml tells WebM from Matroska by the DocType element of the EBML header.
func ebml(h []byte) string {
	i := bytes.Index(h[:min(len(h), 256)], []byte{0x42, 0x82})
	if i >= 0 && i+3 < len(h) {
		n := int(h[i+2] & 0x7f)
		if h[i+2]&0x80 != 0 && i+3+n <= len(h) {
			switch string(bytes.TrimRight(h[i+3:i+3+n], "\x00")) {
			case "webm":
				return "webm"
			case "matroska":
				return "matroska"
			}
			return ""
		}
	}
	return ""
}

// pngAnimated reports whether an acTL chunk comes before the first IDAT.
func pngAnimated(h []byte) bool {
	for i := 8; i+8 <= len(h); {
		n := int64(binary.BigEndian.Uint32(h[i:]))
		switch string(h[i+4 : i+8]) {
		case "acTL":
			return true
		case "IDAT", "IEND":
			return false
		}
		if n > int64(len(h)) {
			return false
		}
		i += int(n) + 12
	}
	return false
}

// gifAnimated reports whether a second image descriptor is seen in the head.
func gifAnimated(h []byte) bool {
	if len(h) < 13 {
		return false
	}
	i, images := 13, 0
	if h[10]&0x80 != 0 {
		i += 3 << (h[10]&7 + 1)
	}
	for i < len(h) {
		switch h[i] {
		case 0x21:
			i += 2
		case 0x2c:
			if images++; images > 1 {
				return true
			}
			if i+10 > len(h) {
				return false
			}
			local := 0
			if h[i+9]&0x80 != 0 {
				local = 3 << (h[i+9]&7 + 1)
			}
			i += 11 + local
		default:
			return false
		}
		for i < len(h) && h[i] != 0 {
			i += int(h[i]) + 1
		}
		i++
	}
	return false
}
