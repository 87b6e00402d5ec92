package media_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/media"
)

func TestReduce(t *testing.T) {
	for in, want := range map[media.Rational]media.Rational{
		{Num: 50000, Den: 1000}: {Num: 50, Den: 1}, {Num: 2, Den: -4}: {Num: -1, Den: 2}, {Num: -2, Den: -4}: {Num: 1, Den: 2},
		{Num: 0, Den: 7}: {Num: 0, Den: 1}, {}: {}, {Num: 30000, Den: 1001}: {Num: 30000, Den: 1001},
	} {
		if got := in.Reduce(); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		r := media.Rational{Num: rapid.Int64Range(-1e6, 1e6).Draw(t, "num"), Den: rapid.Int64Range(1, 1e6).Draw(t, "den")}
		got := r.Reduce()
		if got.Den <= 0 || got.Num*r.Den != r.Num*got.Den || got.Reduce() != got {
			t.Fatalf("%s becomes %s", r, got)
		}
	})
}

func TestRationalText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := media.Rational{Num: rapid.Int64().Draw(t, "num"), Den: rapid.Int64().Draw(t, "den")}
		text, err := r.MarshalText()
		var back media.Rational
		if err == nil {
			err = back.UnmarshalText(text)
		}
		if err != nil || back != r {
			t.Fatalf("%s reads back as %s: %v", text, back, err)
		}
	})
	var r media.Rational
	if err := r.UnmarshalText([]byte("16:9")); err != nil || r != (media.Rational{Num: 16, Den: 9}) {
		t.Errorf("16:9 is %s, %v", r, err)
	}
	for _, text := range []string{"", "1", "a/b", "1/", "/1", "1/2/3", "1/2x"} {
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %s", text, r)
		}
	}
}

func TestTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := media.Rational{Num: rapid.Int64Range(1, 1001).Draw(t, "num"), Den: rapid.Int64Range(1, 90000).Draw(t, "den")}
		ticks := rapid.Int64Range(-1e9, 1e9).Draw(t, "ticks")
		if got := base.Ticks(base.Seconds(ticks)); got != ticks {
			t.Fatalf("%d ticks of %s become %d", ticks, base, got)
		}
	})
}

func TestDisplaySize(t *testing.T) {
	for _, c := range []struct {
		v     media.VideoStream
		w, h  int
		class string
	}{
		{media.VideoStream{Width: 1920, Height: 1080}, 1920, 1080, "1080"},
		{media.VideoStream{Width: 1920, Height: 1088, Rotation: 90}, 1088, 1920, "1080"},
		{media.VideoStream{Width: 720, Height: 576, SAR: media.Rational{Num: 16, Den: 11}}, 1047, 576, "720"},
		{media.VideoStream{Width: 1440, Height: 2160, SAR: media.Rational{Num: 4, Den: 3}}, 1920, 2160, "4k"},
		{media.VideoStream{Width: 640, Height: 480, SAR: media.Rational{Num: 1, Den: 1}}, 640, 480, "480"},
		{media.VideoStream{Width: 7680, Height: 4320}, 7680, 4320, "8k"},
	} {
		if w, h := c.v.DisplaySize(); w != c.w || h != c.h || c.v.ResolutionClass() != c.class {
			t.Errorf("%+v: %d×%d, class %s", c.v, w, h, c.v.ResolutionClass())
		}
	}
}

func TestMainVideo(t *testing.T) {
	info := media.Info{Video: []media.VideoStream{{Index: 0, Attached: true}, {Index: 1}}}
	if v := info.MainVideo(); v == nil || v.Index != 1 {
		t.Errorf("%+v", v)
	}
	if (&media.Info{Video: info.Video[:1]}).MainVideo() != nil || info.HasAudio() {
		t.Error("a cover is no picture track")
	}
}

func TestBitRateClass(t *testing.T) {
	for _, c := range []struct {
		track, file int64
		rate        media.Rational
		want        string
	}{
		{0, 0, media.Rational{25, 1}, ""}, {900_000, 0, media.Rational{25, 1}, "low"}, {0, 5_000_000, media.Rational{25, 1}, "normal"},
		{40_000_000, 0, media.Rational{25, 1}, "high"}, {40_000_000, 0, media.Rational{}, ""},
	} {
		i := media.Info{BitRate: c.file, Video: []media.VideoStream{{Width: 1920, Height: 1080, BitRate: c.track, AvgRate: c.rate}}}
		if got := i.BitRateClass(); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
