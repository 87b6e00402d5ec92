package render

import (
	"slices"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// rendered is an order of parameters on a plain source; part k of n, or the whole
// for n = 0.
func rendered(p encode.Params, k, n int) Order {
	no := false
	p.Preset, p.PixelFormat, p.AudioCodec = "medium", "yuv420p", "none"
	p.Normalize()
	o := Order{Params: &p, Threads: 1, Info: &media.Info{Kind: media.Video, Format: "mp4", Duration: 40,
		Video: []media.VideoStream{{Codec: "h264", Width: 320, Height: 180, PixelFormat: "yuv420p", TimeBase: media.Rational{Num: 1, Den: 25},
			FrameRate: media.Rational{Num: 25, Den: 1}, Frames: 1000, Duration: 40, VFR: &no, BitRate: 400_000}}}}
	if n > 0 {
		o.Part = &fn.Part{Stream: fn.Pictures, Order: k, Of: n, TimeBase: media.Rational{Num: 1, Den: 25}, Start: int64(k * 250), End: int64(k*250 + 250),
			From: int64(k * 250), To: int64(k*250 + 250), Entry: int64(k * 250), Frames: 250, Scale: 25}
	}
	return o
}

func argv(t *testing.T, o Order) string {
	t.Helper()
	args, err := o.Argv(ffmpeg.Input{Demuxer: "mov", Path: "/in"}, "/out")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(args, " ")
}

func TestPasses(t *testing.T) {
	look := rendered(encode.Params{Codec: "h264", Bitrate: 300_000}, 1, 4)
	look.Part.Pass = fn.Analyse
	for name, c := range map[string]struct {
		o         Order
		has, lack []string
	}{
		"first": {look, []string{"-pass:v 1", "-crf 23", "-f null -"}, []string{"-b:v", "-f mp4", "stitchable"}},
		"second": {rendered(encode.Params{Codec: "h264", Bitrate: 300_000}, 1, 4),
			[]string{"-pass:v 2", "-b:v 300000", "stitchable=1", "-f mp4"}, []string{"-crf"}},
		"x265": {rendered(encode.Params{Codec: "h265", Bitrate: 300_000}, 0, 0), []string{"pass=2:stats=rate-0.log", "-b:v 300000"}, []string{"-pass:v"}},
		"av1":  {rendered(encode.Params{Codec: "av1", Bitrate: 300_000}, 0, 0), []string{"-b:v 300000"}, []string{"-pass", "pass="}},
		"crf":  {rendered(encode.Params{Codec: "h264"}, 1, 4), []string{"-crf 23"}, []string{"-pass:v", "pass=", "-b:v"}},
	} {
		text := argv(t, c.o)
		for _, want := range c.has {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %s", name, want, text)
			}
		}
		for _, no := range c.lack {
			if strings.Contains(text, no) {
				t.Errorf("%s: %q in %s", name, no, text)
			}
		}
	}
}

// The whole and every slice choose the same rate control, whatever a slice finds
// out about the source by itself.
func TestPolicyIsTheSameForSlices(t *testing.T) {
	thin := rendered(encode.Params{Codec: "h264"}, 0, 0)
	thin.Info.Video[0].BitRate = 20_000
	want := thin.video(thin.Params, thin.Info.MainVideo())
	if want.MaxBitrate == 0 || !want.Cap {
		t.Fatalf("%+v", want)
	}
	part := rendered(encode.Params{Codec: "h264"}, 2, 4)
	part.Info.Video[0].BitRate = 400_000 // by other means
	part.seen = thin.Info
	if got := part.video(part.Params, part.Info.MainVideo()); got.MaxBitrate != want.MaxBitrate || got.Start != 0 {
		t.Errorf("%+v, want at most %d", got, want.MaxBitrate)
	}
	if a := Assembly(thin.Params, thin.Info); a.RatePolicy == nil || a.RatePolicy.Code != fn.LowRate || a.MaxRate != 0 {
		t.Errorf("%+v", a)
	}
	if thin.told() == nil || part.told() != nil {
		t.Error("the whole tells, a slice does not")
	}
}

func TestBufferContract(t *testing.T) {
	p := encode.Params{Codec: "h264", MaxBitrate: 100_000, Buffer: 100_000}
	// Pictures of 4000 bits at 25 a second are just what comes in.
	even := slices.Repeat([]slice.Sample{{Dur: 1, Size: 500}}, 250)
	bursting := slices.Clone(even)
	for i := 240; i < 250; i++ {
		bursting[i].Size = 1250 // 6000 bits too many, ten times
	}
	greedy := slices.Clone(even)
	greedy[0].Size = 7000 // 56000 bits
	for name, c := range map[string]struct {
		k        int
		pictures []slice.Sample
		want     float64
	}{
		"as much as comes in":                {1, even, 0},
		"ends on a burst":                    {1, bursting, 60_000},
		"the first slice starts fuller":      {0, bursting, 60_000 - 50_000},
		"nobody comes after the last":        {3, bursting, 60_000 - 40_000 - 2500},
		"takes more than there is at first":  {1, greedy, 52_000},
		"which the first slice has, or most": {0, greedy, 52_000 - 50_000},
	} {
		o := rendered(p, c.k, 4)
		if got := o.short(c.pictures, 100_000, 100_000); got > c.want+4001 || got < c.want-4001 {
			t.Errorf("%s: %.0f bits missing, want about %.0f", name, got, c.want)
		}
	}
	v := rendered(p, 1, 4)
	if e := v.video(v.Params, v.Info.MainVideo()); e.Start != handedOver || e.Buffer != 100_000 {
		t.Errorf("%+v", e)
	}
	v.saved = map[string]float64{"": 0.1}
	if text := argv(t, v); !strings.Contains(text, "-maxrate:v 90000 -bufsize:v 100000") || !strings.Contains(text, "-rc_init_occupancy:v 40000") {
		t.Error(text)
	}
}

func TestProgressOfTwoPassesRises(t *testing.T) {
	o := rendered(encode.Params{Codec: "h264", Bitrate: 300_000}, 0, 0)
	o.turn = &turn{pass: 1}
	a := o.done(1)
	o.turn = &turn{pass: 2}
	if b, c := o.done(0), o.done(1); a != b || c != 1 {
		t.Errorf("%v, then %v to %v", a, b, c)
	}
}
