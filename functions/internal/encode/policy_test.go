package encode

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// of is a source of 25 frames a second.
func of(codec string, width, height int, rate int64) *media.Info {
	return &media.Info{Format: "mp4", Duration: 60, Video: []media.VideoStream{{Codec: codec, Width: width, Height: height,
		FrameRate: media.Rational{Num: 25, Den: 1}, TimeBase: media.Rational{Num: 1, Den: 12800}, BitRate: rate}}}
}

func TestRatePolicy(t *testing.T) {
	crf := 20.0
	for name, c := range map[string]struct {
		params Params
		source *media.Info
		code   string
		max    int64   // bit/s
		crf    float64 // 0 = the codec's default
	}{
		"usual":                       {Params{}, of("h264", 1920, 1080, 5_000_000), "", 0, 0},
		"thin":                        {Params{}, of("h264", 1920, 1080, 900_000), fn.LowRate, 810_000, 0},
		"as thin in HEVC is not thin": {Params{}, of("hevc", 1920, 1080, 900_000), "", 0, 0},
		"thin in HEVC":                {Params{}, of("hevc", 1920, 1080, 500_000), fn.LowRate, 450_000, 0},
		"a cap has a floor":           {Params{}, of("h264", 320, 180, 20_000), fn.LowRate, 50_000, 0},
		"ProRes":                      {Params{}, of("prores", 1920, 1080, 120_000_000), fn.Mezzanine, 10_368_000, 21},
		"ProRes, smaller":             {Params{Height: 540}, of("prores", 1920, 1080, 120_000_000), fn.Mezzanine, 2_592_000, 21},
		"ProRes to HEVC":              {Params{Codec: "h265"}, of("prores", 1920, 1080, 120_000_000), fn.Mezzanine, 6_480_000, 26},
		"H.264 from a camera":         {Params{}, of("h264", 1920, 1080, 50_000_000), fn.Mezzanine, 10_368_000, 21},
		"crf is the caller's":         {Params{CRF: &crf}, of("h264", 1920, 1080, 900_000), "", 0, 20},
		"bitrate is the caller's":     {Params{Bitrate: 1_000_000}, of("h264", 1920, 1080, 900_000), "", 0, 0},
		"max_bitrate is the caller's": {Params{MaxBitrate: 1_000_000}, of("h264", 1920, 1080, 900_000), "", 1_000_000, 0},
		"asked":                       {Params{RateControl: "asked"}, of("prores", 1920, 1080, 120_000_000), "", 0, 0},
		"ProRes, no caps to be had":   {Params{Codec: "av1"}, of("prores", 1920, 1080, 120_000_000), fn.Mezzanine, 0, 33},
		"thin, no caps to be had":     {Params{Codec: "av1"}, of("h264", 1920, 1080, 900_000), fn.LowRate, 0, 40},
		"no rate told":                {Params{}, of("h264", 1920, 1080, 0), "", 0, 0},
		"nothing known":               {Params{}, nil, "", 0, 0},
	} {
		p := c.params
		p.Preset = "medium"
		p.Normalize()
		v, policy := p.RateFor(c.source)
		code := ""
		if policy != nil {
			if code = policy.Code; policy.Reason == "" {
				t.Errorf("%s: no reason", name)
			}
		}
		crf := 0.0
		if v.CRF != nil {
			crf = *v.CRF
		}
		if code != c.code || v.MaxBitrate != c.max || crf != c.crf {
			t.Errorf("%s: %q, at most %d bit/s, crf %v; want %q, %d, %v", name, code, v.MaxBitrate, crf, c.code, c.max, c.crf)
		}
		if err := v.Check("mp4"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A whole file's rate stands for its pictures' where the track's is not told.
func TestRatePolicyWithoutTrackRate(t *testing.T) {
	source := of("h264", 1920, 1080, 0)
	source.BitRate = 1_000_000
	source.Audio = []media.AudioStream{{BitRate: 128_000}}
	p := Params{}
	p.Normalize()
	if v, policy := p.RateFor(source); policy == nil || v.MaxBitrate != 785_000 {
		t.Errorf("at most %d, %+v", v.MaxBitrate, policy)
	}
}

// Whatever the source, what a policy makes of it is a valid encode that never
// takes more than the source where that is why it was chosen.
func TestRatePolicyIsValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Params{Codec: rapid.SampledFrom([]string{"h264", "h265", "vp9", "av1"}).Draw(t, "codec"), Format: "mp4", Preset: "fast"}
		p.Normalize()
		source := of(rapid.SampledFrom([]string{"h264", "hevc", "prores", "mjpeg", "vp9", "unheard"}).Draw(t, "source"),
			rapid.IntRange(2, 8192).Draw(t, "width"), rapid.IntRange(2, 8192).Draw(t, "height"), rapid.Int64Range(0, 5e9).Draw(t, "rate"))
		v, policy := p.RateFor(source)
		again, _ := p.RateFor(source)
		if v.MaxBitrate != again.MaxBitrate {
			t.Fatal("two answers")
		}
		if err := v.Check("mp4"); err != nil {
			t.Fatal(err)
		}
		if policy != nil && policy.Code == fn.LowRate && v.MaxBitrate > max(source.Video[0].BitRate+500, lowest) {
			t.Fatalf("at most %d of a source of %d", v.MaxBitrate, source.Video[0].BitRate)
		}
	})
}
