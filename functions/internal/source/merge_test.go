package source

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/media"
)

func TestMergeFillsHoles(t *testing.T) {
	tb := media.Rational{Num: 1, Den: 90000}
	base := &media.Info{Kind: media.Video, Format: "mp4", Size: 10, Duration: 4, StartTime: 0.5, Warnings: []string{"a"},
		Video: []media.VideoStream{{Index: 0, Codec: "h264", Width: 640, Height: 360, Rotation: 90, TimeBase: tb, VFR: new(true),
			FrameList: []media.Frame{{PTS: 0, Key: true, Type: "I"}, {PTS: 3000}}}},
		Audio: []media.AudioStream{{Index: 1, Codec: "aac"}}}
	more := &media.Info{Kind: media.Video, Format: "mov", Size: 11, Duration: 5, BitRate: 8, Warnings: []string{"a", "b"}, Tags: map[string]string{"title": "x"},
		Video: []media.VideoStream{{Index: 0, Codec: "h265", Width: 1, Height: 1, FieldOrder: "tt", TimeBase: tb, FrameRate: media.Rational{Num: 25, Den: 1}, VFR: new(false),
			SAR: media.Rational{Num: 2, Den: 1}, HDR: &media.HDR{Format: "hdr10"}, Timing: &media.Timing{Repeated: 3},
			FrameList: []media.Frame{{PTS: 0, Type: "P"}, {PTS: 3000, Type: "B"}}}},
		Audio: []media.AudioStream{{Index: 1, SampleRate: 48000, Layout: "stereo"}, {Index: 2}}}
	before := *base
	got := Merge(base, more)
	want := &media.Info{Kind: media.Video, Format: "mp4", Size: 10, Duration: 4, StartTime: 0.5, BitRate: 8, Warnings: []string{"a", "b"}, Tags: map[string]string{"title": "x"},
		Video: []media.VideoStream{{Index: 0, Codec: "h264", Width: 640, Height: 360, Rotation: 90, TimeBase: tb, VFR: new(true), FieldOrder: "tt",
			SAR: media.Rational{Num: 2, Den: 1}, HDR: &media.HDR{Format: "hdr10"}, Timing: &media.Timing{Repeated: 3},
			FrameList: []media.Frame{{PTS: 0, Key: true, Type: "I"}, {PTS: 3000, Type: "B"}}}},
		Audio: []media.AudioStream{{Index: 1, Codec: "aac", SampleRate: 48000, Layout: "stereo"}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if d := cmp.Diff(&before, base); d != "" || base.Video[0].FrameList[1].Type != "" {
		t.Errorf("base was changed\n%s", d)
	}
}

// Ticks of another time base mean nothing here.
func TestMergeTimeBase(t *testing.T) {
	base := &media.Info{Video: []media.VideoStream{{TimeBase: media.Rational{Num: 1, Den: 1000}}}}
	more := &media.Info{Video: []media.VideoStream{{TimeBase: media.Rational{Num: 1, Den: 25}, FieldOrder: "tt", Timing: &media.Timing{LastPTS: 9}, GOP: &media.GOP{Count: 1}, FrameList: []media.Frame{{PTS: 9}}}}}
	v := Merge(base, more).Video[0]
	if v.Timing != nil || v.GOP != nil || v.FrameList != nil || v.FieldOrder != "tt" {
		t.Errorf("%+v", v)
	}
}

func TestMergeNothing(t *testing.T) {
	one := &media.Info{Format: "mp4"}
	if Merge(nil, one) != one || Merge(one, nil) != one {
		t.Error("one side alone is the answer")
	}
	if got := Merge(&media.Info{Format: "ts"}, &media.Info{StartTime: 2, Video: []media.VideoStream{{Index: 1}}}); len(got.Video) != 1 || got.StartTime != 2 {
		t.Errorf("%+v", got)
	}
}

func TestWantHas(t *testing.T) {
	full := func() *media.Info {
		return &media.Info{Video: []media.VideoStream{{Frames: 2, Timing: &media.Timing{}, GOP: &media.GOP{Count: 1, MaxLen: 2, Keys: []media.Key{{}}}, FrameList: []media.Frame{{Type: "I"}, {Type: "P"}}},
			{Attached: true}}}
	}
	for name, tc := range map[string]struct {
		want Want
		edit func(v *media.VideoStream)
		has  bool
	}{
		"all":       {Want{Types: true}, func(*media.VideoStream) {}, true},
		"stream":    {Want{}, func(v *media.VideoStream) { *v = media.VideoStream{} }, true},
		"no keys":   {Want{Keys: true}, func(v *media.VideoStream) { v.GOP.Keys = nil }, false},
		"index":     {Want{Keys: true}, func(v *media.VideoStream) { v.GOP.MaxLen = 0 }, false},
		"no timing": {Want{Keys: true}, func(v *media.VideoStream) { v.Timing = nil }, false},
		"no list":   {Want{Frames: true}, func(v *media.VideoStream) { v.FrameList = nil }, false},
		"untyped":   {Want{Types: true}, func(v *media.VideoStream) { v.FrameList[1].Type = "" }, false},
		"enough":    {Want{Frames: true}, func(v *media.VideoStream) { v.FrameList[1].Type = "" }, true},
	} {
		info := full()
		tc.edit(&info.Video[0])
		if got := tc.want.Has(info); got != tc.has {
			t.Errorf("%s: %v, want %v", name, got, tc.has)
		}
	}
	if (Want{}).Has(nil) {
		t.Error("nil has nothing")
	}
}
