package isobmff

import (
	"math"
	"strings"

	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/container/codec"
)

// videoCodecs maps sample entry types to FFmpeg's codec names.
var videoCodecs = map[string]string{
	"avc1": "h264", "avc2": "h264", "avc3": "h264", "avc4": "h264", "dva1": "h264", "dvav": "h264",
	"hvc1": "hevc", "hev1": "hevc", "dvh1": "hevc", "dvhe": "hevc", "vvc1": "vvc", "vvi1": "vvc",
	"av01": "av1", "dav1": "av1", "vp08": "vp8", "vp09": "vp9", "mp4v": "mpeg4",
	"apco": "prores", "apcs": "prores", "apcn": "prores", "apch": "prores", "ap4h": "prores", "ap4x": "prores",
	"jpeg": "mjpeg", "mjpa": "mjpeg", "png ": "png", "AVdn": "dnxhd", "AVdh": "dnxhd", "s263": "h263", "h263": "h263",
	"SVQ3": "svq3", "SVQ1": "svq1", "rle ": "qtrle", "cvid": "cinepak", "mp2v": "mpeg2video", "m2v1": "mpeg2video",
	"FFV1": "ffv1", "v210": "v210", "raw ": "rawvideo", "2vuy": "rawvideo", "yuv2": "rawvideo", "mpeg": "mpeg1video", "CFHD": "cfhd", "Hap1": "hap", "WMV3": "wmv3", "vc-1": "vc1",
}

var audioCodecs = map[string]string{
	"mp4a": "aac", "ac-3": "ac3", "ec-3": "eac3", "ac-4": "ac4", "Opus": "opus", "alac": "alac", "fLaC": "flac",
	".mp3": "mp3", "mp3 ": "mp3", "samr": "amr_nb", "sawb": "amr_wb", "ulaw": "pcm_mulaw", "alaw": "pcm_alaw",
	"dtsc": "dts", "dtsh": "dts", "dtsl": "dts", "dtse": "dts", "mlpa": "truehd", "QDM2": "qdm2", "ima4": "adpcm_ima_qt",
	"fl32": "pcm_f32be", "fl64": "pcm_f64be", "in24": "pcm_s24be", "in32": "pcm_s32be", "twos": "pcm_s16be", "sowt": "pcm_s16le", "spex": "speex",
}

var proresProfiles = map[string]string{"apco": "Proxy", "apcs": "LT", "apcn": "Standard", "apch": "HQ", "ap4h": "4444", "ap4x": "4444 XQ"}

// objectTypes maps an MPEG-4 object type indication to a codec.
var objectTypes = map[byte]string{0x20: "mpeg4", 0x21: "h264", 0x40: "aac", 0x60: "mpeg2video", 0x61: "mpeg2video", 0x62: "mpeg2video",
	0x63: "mpeg2video", 0x64: "mpeg2video", 0x65: "mpeg2video", 0x66: "aac", 0x67: "aac", 0x68: "aac", 0x69: "mp3", 0x6a: "mpeg1video",
	0x6b: "mp3", 0x6c: "mjpeg", 0x6d: "png", 0xa3: "vc1", 0xa5: "ac3", 0xa6: "eac3", 0xa9: "dts", 0xad: "opus", 0xdd: "vorbis"}

// entry returns the first sample description's type and body.
func (t *track) entry() (kind string, body []byte) {
	if len(t.stsd) < 8 {
		return "", nil
	}
	_ = each(t.stsd[8:], func(k string, b []byte) error {
		if kind == "" {
			kind, body = k, b
		}
		return nil
	})
	return kind, body
}

// video fills in v from the sample description. lengthSize is that of NAL
// units in samples, or 0.
func (t *track) video(v *media.VideoStream) (lengthSize int, hint media.Rational) {
	kind, b := t.entry()
	v.Tag, v.Codec = strings.TrimRight(kind, "\x00"), videoCodecs[kind]
	if len(b) < 78 {
		t.warn("track %d: sample description is missing or truncated", t.id)
		return 0, hint
	}
	v.Width, v.Height = int(be.Uint16(b[24:])), int(be.Uint16(b[26:]))
	var p codec.Params
	err := each(b[78:], func(k string, x []byte) (err error) {
		var c codec.Config
		switch k {
		case "avcC":
			c, err = codec.AVCConfig(x)
			p, lengthSize = c.Params, c.LengthSize
		case "hvcC":
			c, err = codec.HEVCConfig(x)
			p, lengthSize = c.Params, c.LengthSize
			hdrSEI(v, codec.HEVCConfigHDR(x))
		case "av1C":
			if len(x) > 4 {
				p, err = codec.AV1(x[4:])
			}
		case "vpcC":
			if len(x) > 4 {
				p, err = codec.VP9Config(x[4:])
			}
		case "esds":
			if o, _ := esds(x); objectTypes[o] != "" {
				v.Codec = objectTypes[o]
			}
		case "sinf":
			if f := child(x, "frma"); len(f) >= 4 {
				v.Codec = videoCodecs[string(f[:4])]
			}
			t.warn("track %d is encrypted", t.id)
		case "pasp":
			if len(x) >= 8 && be.Uint32(x) > 0 && be.Uint32(x[4:]) > 0 {
				v.SAR = media.Rational{Num: int64(be.Uint32(x)), Den: int64(be.Uint32(x[4:]))}.Reduce()
			}
		case "colr":
			if len(x) >= 10 && (string(x[:4]) == "nclx" || string(x[:4]) == "nclc") {
				v.Color = codec.Colour(int(be.Uint16(x[4:])), int(be.Uint16(x[6:])), int(be.Uint16(x[8:])))
				if string(x[:4]) == "nclx" && len(x) > 10 {
					v.Color.Range = codec.Range(x[10]&0x80 != 0)
				}
			}
		case "fiel":
			if len(x) >= 2 {
				v.FieldOrder = map[byte]string{1: "tt", 6: "bb", 9: "tb", 14: "bt"}[x[1]]
				if x[0] == 1 {
					v.FieldOrder = "progressive"
				}
			}
		case "mdcv":
			if len(x) >= 24 {
				setHDR(v, codec.Mastering(x), nil)
			}
		case "clli":
			if len(x) >= 4 {
				setHDR(v, nil, &media.LightLevel{MaxCLL: int(be.Uint16(x)), MaxFALL: int(be.Uint16(x[2:]))})
			}
		case "dvcC", "dvvC", "dvwC":
			if v.HDR == nil {
				v.HDR = &media.HDR{}
			}
			v.HDR.Format = "dolby_vision"
		}
		if err != nil {
			t.warn("track %d: %v", t.id, err)
		}
		return nil
	})
	if err != nil {
		t.warn("track %d: %v", t.id, err)
	}
	if name, ok := proresProfiles[kind]; ok {
		v.Profile = name
		if kind[:3] == "apc" {
			v.PixelFormat, v.BitDepth = "yuv422p10le", 10
		}
	}
	p.Apply(v)
	return lengthSize, p.FrameRate
}

func setHDR(v *media.VideoStream, mastering *media.HDR, light *media.LightLevel) {
	if v.HDR == nil {
		v.HDR = &media.HDR{}
	}
	if mastering != nil {
		v.HDR.Primaries, v.HDR.White, v.HDR.MinLum, v.HDR.MaxLum = mastering.Primaries, mastering.White, mastering.MinLum, mastering.MaxLum
	}
	if light != nil {
		v.HDR.Light = light
	}
}

func hdrSEI(v *media.VideoStream, h *media.HDR) {
	if h != nil && v.HDR == nil {
		v.HDR = h
	}
}

// audio fills in a from the sample description.
func (t *track) audio(a *media.AudioStream) {
	kind, b := t.entry()
	a.Codec = audioCodecs[kind]
	if len(b) < 28 {
		t.warn("track %d: sample description is missing or truncated", t.id)
		return
	}
	version, bits := be.Uint16(b[8:]), int(be.Uint16(b[18:]))
	a.Channels, a.SampleRate = int(be.Uint16(b[16:])), int(be.Uint32(b[24:])>>16)
	rest := b[28:]
	switch {
	case version == 1 && len(rest) >= 16:
		rest = rest[16:]
	case version == 2 && len(rest) >= 36: // QuickTime's float rate and wide fields
		if r := math.Float64frombits(be.Uint64(rest[4:])); r > 0 && r < 1e7 {
			a.SampleRate = int(r)
		}
		a.Channels, bits = int(min(be.Uint32(rest[12:]), 255)), int(min(be.Uint32(rest[20:]), 64))
		if kind == "lpcm" {
			a.Codec = lpcm(bits, be.Uint32(rest[24:]))
		}
		rest = rest[36:]
	}
	if kind == "raw " || kind == "NONE" {
		a.Codec = map[int]string{8: "pcm_u8", 16: "pcm_s16be"}[bits]
	} else if bits == 8 && (kind == "twos" || kind == "sowt") {
		a.Codec = "pcm_s8"
	} else if kind == "ipcm" || kind == "fpcm" {
		a.Codec = pcmC(kind, child(rest, "pcmC"))
	}
	_ = each(rest, func(k string, x []byte) error { t.audioBox(a, k, x); return nil })
	if w := child(rest, "wave"); w != nil {
		_ = each(w, func(k string, x []byte) error { t.audioBox(a, k, x); return nil })
	}
	if a.Layout == "" && (a.Channels <= 2 || strings.HasPrefix(a.Codec, "aac")) {
		a.Layout = codec.Layout(a.Channels)
	}
	if strings.HasPrefix(a.Codec, "pcm_s") || strings.HasPrefix(a.Codec, "pcm_f") {
		a.BitDepth = bits
	}
}

func (t *track) audioBox(a *media.AudioStream, kind string, x []byte) {
	switch kind {
	case "enda":
		if len(x) >= 2 && x[1] == 1 {
			a.Codec = strings.TrimSuffix(a.Codec, "be") + map[bool]string{true: "le"}[strings.HasSuffix(a.Codec, "be")]
		}
	case "esds":
		o, config := esds(x)
		if objectTypes[o] != "" {
			a.Codec = objectTypes[o]
		}
		if c, err := codec.AAC(config); a.Codec == "aac" && err == nil {
			a.Codec, a.Profile = c.Codec, c.Profile
			if c.SampleRate > 0 {
				a.SampleRate = c.SampleRate
			}
			if c.Channels > 0 {
				a.Channels = c.Channels
			}
		}
	case "dOps":
		if len(x) >= 2 {
			a.Channels, a.SampleRate = int(x[1]), 48000 // Opus always decodes at 48 kHz
			a.Layout = codec.Layout(a.Channels)
		}
	case "alac":
		if len(x) >= 28 {
			a.BitDepth, a.Channels, a.SampleRate = int(x[9]), int(x[13]), int(be.Uint32(x[24:]))
		}
	case "dfLa":
		if len(x) >= 4+4+18 {
			s := be.Uint64(x[18:])
			a.SampleRate, a.Channels, a.BitDepth = int(s>>44), int(s>>41&7)+1, int(s>>36&31)+1
		}
	case "dac3":
		if len(x) >= 3 {
			mode := x[1] >> 3 & 7
			a.Channels = [...]int{2, 1, 2, 3, 3, 4, 4, 5}[mode] + int(x[1]>>2&1)
			a.Layout = map[int]string{1: "mono", 2: "stereo", 6: "5.1(side)"}[a.Channels]
		}
	case "dec3":
		if len(x) >= 5 {
			mode := x[3] >> 1 & 7
			a.Channels = [...]int{2, 1, 2, 3, 3, 4, 4, 5}[mode] + int(x[3]&1)
			a.Layout = map[int]string{1: "mono", 2: "stereo", 6: "5.1(side)"}[a.Channels]
		}
	}
}

// lpcm names QuickTime's version 2 PCM by its flags: float, big endian, signed.
func lpcm(bits int, flags uint32) string {
	order, kind := "le", "u"
	if flags&2 != 0 {
		order = "be"
	}
	if flags&4 != 0 {
		kind = "s"
	}
	if flags&1 != 0 {
		kind = "f"
	}
	switch bits {
	case 8:
		return "pcm_" + kind + "8"
	case 16, 24, 32, 64:
		return "pcm_" + kind + map[int]string{16: "16", 24: "24", 32: "32", 64: "64"}[bits] + order
	}
	return ""
}

func pcmC(kind string, x []byte) string {
	if len(x) < 6 {
		return ""
	}
	flags := uint32(4)
	if kind == "fpcm" {
		flags = 1
	}
	if x[4]&1 == 0 {
		flags |= 2
	}
	return lpcm(int(x[5]), flags)
}

// esds reads an elementary stream descriptor (ISO/IEC 14496-1 §7.2.6.5): the
// object type and the decoder's own configuration.
func esds(b []byte) (object byte, config []byte) {
	if len(b) < 4 {
		return 0, nil
	}
	b = b[4:]
	for len(b) >= 2 {
		tag, n, i := b[0], 0, 1
		for ; i < len(b) && i < 5; i++ {
			n = n<<7 | int(b[i]&0x7f)
			if b[i]&0x80 == 0 {
				i++
				break
			}
		}
		body := b[min(i, len(b)):]
		switch tag {
		case 3: // ES descriptor: id, flags and what they announce
			if len(body) < 3 {
				return object, nil
			}
			skip := 3
			if body[2]&0x80 != 0 {
				skip += 2
			}
			if body[2]&0x40 != 0 && len(body) > skip {
				skip += 1 + int(body[skip])
			}
			if body[2]&0x20 != 0 {
				skip += 2
			}
			b = body[min(skip, len(body)):]
		case 4:
			if len(body) < 13 {
				return object, nil
			}
			object, b = body[0], body[13:]
		case 5:
			return object, body[:min(n, len(body))]
		default:
			b = body[min(n, len(body)):]
		}
	}
	return object, nil
}
