package sniff

import "bytes"

// synced recognises formats that have no file header, only frames that begin
// with a sync word: a frame counts only where the next ones are found exactly
// at its end. whole says that h is the entire file.
func synced(h []byte, whole bool) string {
	if transportStream(h, whole) {
		return "mpegts"
	}
	if len(h) > 10 && string(h[:3]) == "ID3" {
		return afterID3(h, whole)
	}
	// A file cut out of a broadcast may begin in the middle of a frame.
	for off := 0; off < min(len(h), 4096); off++ {
		if h[off] != 0xff {
			continue
		}
		need := 2
		if off > 0 {
			need = 4
		}
		if chain(h[off:], mpegAudio, need, whole) {
			return "mp3"
		}
		if chain(h[off:], adts, need, whole) {
			return "adts"
		}
	}
	return ""
}

// transportStream looks for 0x47 every 188 bytes, or 192 where a timestamp
// precedes each packet (BDAV).
func transportStream(h []byte, whole bool) bool {
	for _, packet := range []int{188, 192, 204} {
		for off := 0; off < min(packet, len(h)); off++ {
			if h[off] != 0x47 {
				continue
			}
			n := 0
			for i := off; i < len(h); i += packet {
				if h[i] != 0x47 {
					n = -1
					break
				}
				n++
			}
			if n >= 5 || whole && n >= 2 && (off == 0 || off == 4) {
				return true
			}
		}
	}
	return false
}

// afterID3 looks past an ID3v2 tag (size is a syncsafe integer).
func afterID3(h []byte, whole bool) string {
	n := 10 + (int(h[6]&0x7f)<<21 | int(h[7]&0x7f)<<14 | int(h[8]&0x7f)<<7 | int(h[9]&0x7f))
	if n >= len(h) {
		return "mp3" // a tag with a large picture; nothing else wears such tags commonly
	}
	rest := bytes.TrimLeft(h[n:], "\x00")
	switch {
	case bytes.HasPrefix(rest, []byte("fLaC")):
		return "flac"
	case chain(rest, adts, 2, whole):
		return "adts"
	}
	return "mp3"
}

// chain reports whether need frames follow one another, or every frame up to
// the end of the data where there are fewer.
func chain(h []byte, length func([]byte) int, need int, whole bool) bool {
	n := 0
	for n < need {
		if len(h) == 0 && whole {
			return n > 0
		}
		l := length(h)
		if l <= 0 {
			return false
		}
		n++
		if l > len(h) {
			return n > 1 // cut off by the end of the head
		}
		h = h[l:]
	}
	return true
}

var mp3Rates = [3]int{44100, 48000, 32000}

var mp3Bits = [2][3][15]int{
	{ // MPEG-1 layers I, II, III (ISO/IEC 11172-3 §2.4.2.3), kbit/s
		{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	},
	{ // MPEG-2 and 2.5
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	},
}

// mpegAudio returns the length of the MPEG audio frame at the start of h, or 0.
func mpegAudio(h []byte) int {
	if len(h) < 4 || h[0] != 0xff || h[1]&0xe0 != 0xe0 {
		return 0
	}
	version, layer, rate, bits := h[1]>>3&3, 4-int(h[1]>>1&3), int(h[2]>>2&3), int(h[2]>>4)
	if version == 1 || layer == 4 || rate == 3 || bits == 0 || bits == 15 {
		return 0
	}
	hz, low := mp3Rates[rate], 0
	if version != 3 {
		low, hz = 1, hz/2
		if version == 0 {
			hz /= 2
		}
	}
	bps, pad := mp3Bits[low][layer-1][bits]*1000, int(h[2]>>1&1)
	switch {
	case layer == 1:
		return (12*bps/hz + pad) * 4
	case layer == 3 && low == 1:
		return 72*bps/hz + pad
	}
	return 144*bps/hz + pad
}

// adts returns the length of the ADTS frame at the start of h, or 0.
func adts(h []byte) int {
	if len(h) < 7 || h[0] != 0xff || h[1]&0xf6 != 0xf0 || h[2]>>2&15 > 12 {
		return 0
	}
	n := int(h[3]&3)<<11 | int(h[4])<<3 | int(h[5])>>5
	if n < 7 {
		return 0
	}
	return n
}
