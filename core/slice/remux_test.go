package slice_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
)

func TestLook(t *testing.T) {
	film := func(change func(*media.Info, *media.VideoStream)) func(*slice.Request) {
		return func(r *slice.Request) { change(r.Source, &r.Source.Video[0]) }
	}
	uncounted := func(i *media.Info, v *media.VideoStream) {
		i.Format, v.Timing, v.Frames, v.VFR = "matroska", nil, 0, nil
		for n := range v.GOP.Keys {
			v.GOP.Keys[n].Frame = -1
		}
	}
	for _, c := range []struct {
		name         string
		change       func(*slice.Request)
		remux, again bool
		code         slice.Code
	}{
		{"as it is", func(*slice.Request) {}, false, false, slice.Sliced},
		{"ts", film(func(i *media.Info, _ *media.VideoStream) { i.Format = "mpegts" }), true, true, slice.NotSeekable},
		{"no index", film(func(i *media.Info, _ *media.VideoStream) { i.Seekable = new(false) }), true, true, slice.NotSeekable},
		{"avi", film(func(i *media.Info, v *media.VideoStream) { i.Format, v.Timing, v.GOP = "avi", nil, nil }), true, true, slice.AVI},
		{"edits", film(func(_ *media.Info, v *media.VideoStream) { v.Timing.EditList = true }), true, true, slice.EditList},
		{"negative", film(func(_ *media.Info, v *media.VideoStream) {
			v.Timing.Negative, v.Timing.FirstPTS, v.Timing.LastPTS = 3, v.Timing.FirstPTS-1536, v.Timing.LastPTS-1536
			for n := range v.GOP.Keys {
				v.GOP.Keys[n].PTS -= 1536
			}
		}), true, true, slice.Negative},
		{"uncounted", film(uncounted), false, true, slice.NoVideo},
		{"uncounted and nothing known", film(func(i *media.Info, v *media.VideoStream) {
			uncounted(i, v)
			i.Duration, v.FrameRate = 0, media.Rational{}
		}), false, false, slice.NoVideo},
		{"ts, repeated", film(func(i *media.Info, v *media.VideoStream) { i.Format, v.Timing.Repeated = "mpegts", 2 }), false, false, slice.Repeated},
		{"ts, reset", film(func(i *media.Info, v *media.VideoStream) { i.Format, v.Timing.Discontinue = "mpegts", true }), false, false, slice.Discontinued},
		{"ts, late key", film(func(i *media.Info, v *media.VideoStream) { i.Format, v.GOP.Keys = "mpegts", v.GOP.Keys[1:] }), false, false, slice.NoKeyframes},
		{"ts, off", func(r *slice.Request) { r.Source.Format, r.Mode = "mpegts", slice.Off }, false, false, slice.OffByUser},
		{"ts, whole", func(r *slice.Request) { r.Source.Format, r.Spec.Mode = "mpegts", fn.Whole }, false, false, slice.NotOffered},
		{"ts, alone", func(r *slice.Request) { r.Source.Format, r.Workers = "mpegts", 1 }, false, false, slice.FewWorkers},
		{"ts, alone, forced", func(r *slice.Request) { r.Source.Format, r.Workers, r.Mode = "mpegts", 1, slice.Force }, true, true, slice.NotSeekable},
		{"ts, huge", func(r *slice.Request) { r.Source.Format, r.Source.Size = "mpegts", 1<<40 }, false, false, slice.NoGain},
	} {
		r := request(clip(600, pal, 12800, 50))
		c.change(&r)
		before := len(r.Source.Video[0].FrameList)
		l := slice.LookAt(r)
		if l.Remux != c.remux || l.Again != c.again || l.Code != c.code || l.Reason == "" {
			t.Errorf("%s: %+v", c.name, l)
		}
		if len(r.Source.Video[0].FrameList) != before || c.code == slice.Negative && r.Source.Video[0].GOP.Keys[0].PTS >= 0 {
			t.Errorf("%s: the profile was changed", c.name)
		}
	}
}

func TestCloser(t *testing.T) {
	ts := clip(600, pal, 12800, 50)
	ts.Format, ts.Size = "mpegts", 600<<20
	copied := clip(600, pal, 12800, 50)
	look := slice.LookAt(request(ts))

	p := slice.Closer(look, &slice.Remuxed{Shift: -1.4}, ts, copied, request(copied))
	if whole := slice.Document(request(copied)); !p.Sliced || p.Code != slice.Remuxing || p.Shift != -1.4 || p.Prediction.SlicedSeconds < whole.Prediction.SlicedSeconds+4 {
		t.Errorf("%s %s %+v", p.Code, p.Reason, p.Prediction)
	}
	if !strings.HasPrefix(p.Reason, "ranges of mpegts lose frames: copied into an mp4 first") {
		t.Error(p.Reason)
	}
	for name, p := range map[string]slice.Plan{
		"failed":    slice.Closer(look, &slice.Remuxed{Failed: true, Reason: "7 frames of 9"}, ts, nil, request(ts)),
		"crashed":   slice.Closer(look, nil, ts, nil, request(ts)),
		"unseen":    slice.Closer(look, &slice.Remuxed{}, ts, nil, request(ts)),
		"uncounted": slice.Closer(slice.Look{Again: true, Code: slice.NoVideo, Reason: "x"}, nil, ts, nil, request(ts)),
	} {
		if p.Sliced || p.Segments == nil || p.Promise != nil || !slices.Contains([]slice.Code{slice.NotSeekable, slice.NoVideo}, p.Code) || !strings.Contains(p.Reason, "; ") {
			t.Errorf("%s: %+v", name, p)
		}
	}
	short := clip(5, pal, 12800, 50)
	short.Format = "flv"
	if p := slice.Closer(slice.LookAt(request(short)), nil, short, nil, request(short)); p.Sliced || p.Code != slice.TooShort {
		t.Errorf("%s: %s", p.Code, p.Reason)
	}
	if p := slice.Closer(slice.LookAt(request(copied)), nil, copied, nil, request(copied)); !p.Sliced || p.Code != slice.Sliced {
		t.Errorf("%s: %s", p.Code, p.Reason)
	}
}
