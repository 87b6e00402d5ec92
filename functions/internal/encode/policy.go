package encode

import (
	"fmt"
	"slices"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// policy.go: which rate control a source gets where the caller chose none.

// Bits a pixel and frame, as H.264 would need them for the same quality: the
// limits of media.Info.BitRateClass, which counts all codecs alike.
const (
	thin = 0.02 // 1080p25 at 1 Mbit/s; constant quality takes more
	rich = 0.5  // 1080p25 at 26 Mbit/s
	// capped is what a mezzanine's result may take: 1080p25 at 10 Mbit/s in H.264,
	// the usual top of a ladder.
	capped = 0.2
	// leaves is the part of a thin source's rate that is the result's peak: with a
	// buffer of a second, nine tenths full, ten seconds take no more than they had.
	leaves = 0.9
	// lowest is a rate below which caps make no sense: headers alone take a part.
	lowest = 50_000
	// finer and coarser are the steps of crf a mezzanine gets over the default, and
	// a thin source below it where the encoder has no cap.
	finer, coarser = 2, 5
)

// worth is how many bits of H.264 a bit of another codec is worth, roughly, by
// published comparisons of encoders at equal quality.
var worth = map[string]float64{"h264": 1, "hevc": 1.6, "h265": 1.6, "vp9": 1.5, "av1": 2, "vvc": 2.2, "vp8": 0.9, "mpeg4": 0.7, "mpeg2video": 0.5,
	"mpeg1video": 0.4, "h263": 0.5, "flv1": 0.5, "wmv2": 0.6, "wmv3": 0.8, "vc1": 0.8}

// intra are codecs for editing, each picture by itself, whatever their rate.
var intra = []string{"prores", "dnxhd", "dnxhr", "cfhd", "mjpeg", "jpeg2000", "ffv1", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "v210", "dvvideo", "magicyuv", "hap"}

// RateFor decides how the pictures of a source are encoded: as the parameters say,
// or, where they leave the rate open and rate is auto, by another policy. It
// depends on what the profile says of the source and nothing else, so that the
// whole and every slice decide alike. The second result is nil where nothing
// was changed.
func (p *Params) RateFor(source *media.Info) (Video, *fn.RatePolicy) {
	v := p.Video()
	if p.RateControl == "asked" || p.CRF != nil || p.Bitrate != 0 || p.MaxBitrate != 0 || source == nil {
		return v, nil
	}
	s := source.MainVideo()
	rate := pictureRate(source)
	if s == nil || s.Width <= 0 || s.Height <= 0 {
		return v, nil
	}
	each := pixelRate(s)
	c := videoCodecs[p.Codec]
	editing := slices.Contains(intra, s.Codec)
	value := worth[s.Codec]
	if value == 0 {
		value = 1
	}
	if !editing && (rate <= 0 || each <= 0) {
		return v, nil
	}
	bits := float64(rate) / each * value
	told := "the source is " + s.Codec + ": "
	if rate > 0 {
		told = fmt.Sprintf("the source is %s at %s, %.3f bits a pixel: ", s.Codec, megabit(rate), bits/value)
	}
	switch {
	case editing && each <= 0:
	case editing || bits > rich:
		out := each
		if chain, err := p.Picture().Plan(s, v); err == nil {
			out *= float64(chain.Width) * float64(chain.Height) / (float64(s.Width) * float64(s.Height))
		}
		crf := c.crf - finer
		v.CRF = &crf
		told += "a crf finer than usual, " + number(crf)
		if c.vbv {
			v.MaxBitrate, v.Cap = kilo(max(capped*out/worth[p.Codec], lowest)), true
			told += ", and at most " + megabit(v.MaxBitrate)
		}
		return v, &fn.RatePolicy{Code: fn.Mezzanine, Reason: told}
	case bits < thin && c.vbv:
		v.MaxBitrate, v.Cap = kilo(max(leaves*float64(rate), lowest)), true
		v.Buffer = v.MaxBitrate
		return v, &fn.RatePolicy{Code: fn.LowRate, Reason: told + "constant quality, at most as many bits as the source"}
	case bits < thin:
		crf := c.crf + coarser
		v.CRF = &crf
		return v, &fn.RatePolicy{Code: fn.LowRate, Reason: told + "a crf coarser than usual, " + number(crf)}
	}
	return v, nil
}

// pixelRate is pixels a second.
func pixelRate(s *media.VideoStream) float64 {
	fps := s.FrameRate.Float()
	if fps <= 0 {
		fps = s.AvgRate.Float()
	}
	return float64(s.Width) * float64(s.Height) * fps
}

// pictureRate is the bit rate of the picture track: as told, or what the file
// has beside its sound.
func pictureRate(i *media.Info) int64 {
	if v := i.MainVideo(); v != nil && v.BitRate > 0 {
		return v.BitRate
	}
	rate := i.BitRate
	for _, a := range i.Audio {
		rate -= a.BitRate
	}
	return max(rate, 0)
}

// kilo rounds as encoders count.
func kilo(rate float64) int64 { return int64(rate/1000+0.5) * 1000 }

func megabit(rate int64) string {
	if rate < 1_000_000 {
		return fmt.Sprintf("%d kbit/s", rate/1000)
	}
	return fmt.Sprintf("%.1f Mbit/s", float64(rate)/1e6)
}
