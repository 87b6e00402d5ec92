package matroska

import (
	"math"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/container/codec"
	"github.com/mediafn/mediafn/tools/container/timeline"
)

const (
	kindVideo    = 1
	kindAudio    = 2
	kindSubtitle = 0x11
)

// track is one TrackEntry and what its blocks told.
type track struct {
	number, uid, kind uint64
	codecID           string
	private           []byte
	lang, name        string
	isDefault         bool
	defaultDur        int64 // nanoseconds
	delay             int64 // CodecDelay, nanoseconds
	encoded           bool  // content encodings: payloads are not as the codec wrote them
	v                 media.VideoStream
	a                 media.AudioStream
	display           [2]int
	unit              int
	crop              [4]int
	interlaced        uint64

	list        bool // collect samples
	samples     []timeline.Sample
	begun, seen bool
	first, last int64
	bytes       int64
	head        []byte // first bytes of the first block
}

func (s *segment) track(number uint64) *track {
	for _, t := range s.tracks {
		if t.number == number {
			return t
		}
	}
	return nil
}

func (s *segment) parseTracks(b []byte) error {
	return each(b, func(id uint32, b []byte) error {
		if id != 0xae {
			return nil
		}
		if len(s.tracks) >= 256 {
			return errs.New(errs.TooLarge, op, "more than 256 tracks")
		}
		t, err := parseTrack(b)
		s.tracks = append(s.tracks, t)
		return err
	})
}

func parseTrack(b []byte) (*track, error) {
	t := &track{lang: "eng", isDefault: true}
	err := each(b, func(id uint32, b []byte) error {
		switch id {
		case 0xd7:
			t.number = uinteger(b)
		case 0x73c5:
			t.uid = uinteger(b)
		case 0x83:
			t.kind = uinteger(b)
			t.list = t.kind == kindVideo
		case 0x86:
			t.codecID = text(b)
		case 0x63a2:
			t.private = append([]byte(nil), b...)
		case 0x22b59c:
			t.lang = text(b)
		case 0x22b59d: // BCP 47 wins over the older field
			t.lang = text(b)
		case 0x536e:
			t.name = text(b)
		case 0x88:
			t.isDefault = uinteger(b) == 1
		case 0x23e383:
			t.defaultDur = int64(min(uinteger(b), 1e12))
		case 0x56aa:
			t.delay = int64(min(uinteger(b), 1e12))
		case 0x6d80:
			t.encoded = true
		case 0xe0:
			return each(b, t.video)
		case 0xe1:
			return each(b, t.audio)
		case 0x41e4: // BlockAdditionMapping
			return each(b, func(id uint32, b []byte) error {
				if v := uinteger(b); id == 0x41e7 && (v == 0x64766343 || v == 0x64767643) { // dvcC, dvvC
					t.hdr().Format = "dolby_vision"
				}
				return nil
			})
		}
		return nil
	})
	return t, err
}

func (t *track) hdr() *media.HDR {
	if t.v.HDR == nil {
		t.v.HDR = &media.HDR{}
	}
	return t.v.HDR
}

func (t *track) video(id uint32, b []byte) error {
	switch id {
	case 0xb0:
		t.v.Width = small(b)
	case 0xba:
		t.v.Height = small(b)
	case 0x54b0:
		t.display[0] = small(b)
	case 0x54ba:
		t.display[1] = small(b)
	case 0x54b2:
		t.unit = small(b)
	case 0x54aa:
		t.crop[0] = small(b)
	case 0x54bb:
		t.crop[1] = small(b)
	case 0x54cc:
		t.crop[2] = small(b)
	case 0x54dd:
		t.crop[3] = small(b)
	case 0x9a:
		t.interlaced = uinteger(b)
		if t.interlaced == 2 {
			t.v.FieldOrder = "progressive"
		}
	case 0x9d:
		if f := map[uint64]string{0: "progressive", 1: "tt", 6: "bb", 9: "tb", 14: "bt"}[uinteger(b)]; t.v.FieldOrder == "" {
			t.v.FieldOrder = f
		}
	case 0x55b0:
		return t.colour(b)
	case 0x7670:
		return t.projection(b)
	}
	return nil
}

// projection: a flat picture with a roll is a rotated one. Roll is degrees
// counter-clockwise (RFC 9559 §5.1.4.1.28.46).
func (t *track) projection(b []byte) error {
	kind, yaw, pitch, roll := uint64(0), 0.0, 0.0, 0.0
	err := each(b, func(id uint32, b []byte) error {
		switch id {
		case 0x7671:
			kind = uinteger(b)
		case 0x7673:
			yaw = float(b)
		case 0x7674:
			pitch = float(b)
		case 0x7675:
			roll = float(b)
		}
		return nil
	})
	if kind == 0 && pitch == 0 && (yaw == 0 || math.Abs(yaw) == 180) && math.Abs(roll) <= 360 {
		t.v.Rotation = (360 - int(math.Round(roll/90))*90 + 360) % 360
		t.v.Flip = yaw != 0
	}
	return err
}

func (t *track) colour(b []byte) error {
	prim, trc, matrix, siting := 2, 2, 2, [2]int{}
	err := each(b, func(id uint32, b []byte) error {
		switch id {
		case 0x55b1:
			matrix = small(b)
		case 0x55ba:
			trc = small(b)
		case 0x55bb:
			prim = small(b)
		case 0x55b2:
			t.v.BitDepth = small(b)
		case 0x55b7:
			siting[0] = small(b)
		case 0x55b8:
			siting[1] = small(b)
		case 0x55b9:
			t.v.Color.Range = map[int]string{1: "tv", 2: "pc"}[small(b)]
		case 0x55bc:
			t.light().MaxCLL = small(b)
		case 0x55bd:
			t.light().MaxFALL = small(b)
		case 0x55d0:
			return t.mastering(b)
		}
		return nil
	})
	c := codec.Colour(prim, trc, matrix)
	c.Range, c.ChromaLoc = t.v.Color.Range, map[[2]int]string{{1, 2}: "left", {1, 1}: "topleft", {2, 2}: "center", {2, 1}: "top"}[siting]
	t.v.Color = c
	return err
}

func (t *track) light() *media.LightLevel {
	h := t.hdr()
	if h.Light == nil {
		h.Light = &media.LightLevel{}
	}
	return h.Light
}

// mastering holds floats; they are given in the units of SMPTE ST 2086.
func (t *track) mastering(b []byte) error {
	h := t.hdr()
	fix := func(v float64, den int64) media.Rational {
		return media.Rational{Num: int64(math.Round(max(0, min(v, 1e5)) * float64(den))), Den: den}
	}
	return each(b, func(id uint32, b []byte) error {
		v := float(b)
		switch {
		case id >= 0x55d1 && id <= 0x55d6:
			p := &h.Primaries[(id-0x55d1)/2]
			if id&1 == 1 {
				p.X = fix(v, 50000)
			} else {
				p.Y = fix(v, 50000)
			}
		case id == 0x55d7:
			h.White.X = fix(v, 50000)
		case id == 0x55d8:
			h.White.Y = fix(v, 50000)
		case id == 0x55d9:
			h.MaxLum = fix(v, 10000)
		case id == 0x55da:
			h.MinLum = fix(v, 10000)
		}
		return nil
	})
}

func (t *track) audio(id uint32, b []byte) error {
	switch id {
	case 0xb5:
		if t.a.SampleRate == 0 {
			t.a.SampleRate = int(min(float(b), 1e7))
		}
	case 0x78b5: // after SBR
		t.a.SampleRate = int(min(float(b), 1e7))
	case 0x9f:
		t.a.Channels = small(b)
	case 0x6264:
		t.a.BitDepth = small(b)
	}
	return nil
}

// codecNames maps codec ids to FFmpeg's names; ids with a suffix match by
// their longest prefix here.
var codecNames = map[string]string{
	"V_MPEG4/ISO/AVC": "h264", "V_MPEGH/ISO/HEVC": "hevc", "V_MPEGI/ISO/VVC": "vvc", "V_AV1": "av1", "V_VP8": "vp8", "V_VP9": "vp9",
	"V_MPEG4/ISO": "mpeg4", "V_MPEG4/MS/V3": "msmpeg4v3", "V_MPEG1": "mpeg1video", "V_MPEG2": "mpeg2video", "V_PRORES": "prores", "V_FFV1": "ffv1",
	"V_THEORA": "theora", "V_MJPEG": "mjpeg", "V_UNCOMPRESSED": "rawvideo", "V_DIRAC": "dirac", "V_SNOW": "snow",
	"A_AAC": "aac", "A_OPUS": "opus", "A_VORBIS": "vorbis", "A_FLAC": "flac", "A_MPEG/L3": "mp3", "A_MPEG/L2": "mp2", "A_MPEG/L1": "mp1", "A_AC3": "ac3",
	"A_EAC3": "eac3", "A_DTS": "dts", "A_TRUEHD": "truehd", "A_MLP": "mlp", "A_ALAC": "alac", "A_WAVPACK4": "wavpack", "A_TTA1": "tta",
	"S_TEXT/UTF8": "subrip", "S_TEXT/ASS": "ass", "S_TEXT/SSA": "ass", "S_ASS": "ass", "S_SSA": "ass", "S_TEXT/WEBVTT": "webvtt", "D_WEBVTT": "webvtt",
	"S_HDMV/PGS": "hdmv_pgs_subtitle", "S_HDMV/TEXTST": "hdmv_text_subtitle", "S_VOBSUB": "dvd_subtitle", "S_DVBSUB": "dvb_subtitle",
}

var fourCCs = map[string]string{"H264": "h264", "h264": "h264", "X264": "h264", "avc1": "h264", "HEVC": "hevc", "MJPG": "mjpeg", "XVID": "mpeg4", "DIVX": "mpeg4",
	"DX50": "mpeg4", "FMP4": "mpeg4", "MP42": "msmpeg4v2", "MP43": "msmpeg4v3", "DIV3": "msmpeg4v3", "WMV3": "wmv3", "WVC1": "vc1", "FFV1": "ffv1", "ULRG": "utvideo", "HFYU": "huffyuv", "FFVH": "ffvhuff", "FLV1": "flv1"}

// codecName is FFmpeg's name of the track's codec, or "".
func (t *track) codecName() string {
	switch {
	case t.codecID == "V_MS/VFW/FOURCC" && len(t.private) >= 20:
		return fourCCs[string(t.private[16:20])]
	case strings.HasPrefix(t.codecID, "A_PCM/") && t.a.BitDepth > 0:
		bits := map[int]string{8: "8", 16: "16", 24: "24", 32: "32", 64: "64"}[t.a.BitDepth]
		switch {
		case strings.HasPrefix(t.codecID, "A_PCM/FLOAT") && bits != "":
			return "pcm_f" + bits + "le"
		case bits == "8":
			return "pcm_u8"
		case strings.HasSuffix(t.codecID, "LIT"):
			return "pcm_s" + bits + "le"
		}
		return "pcm_s" + bits + "be"
	}
	id := t.codecID
	for id != "" {
		if n := codecNames[id]; n != "" {
			return n
		}
		id = id[:max(0, strings.LastIndexByte(id, '/'))]
	}
	return ""
}
