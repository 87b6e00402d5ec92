package slice_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// clip is a constant-rate mp4 with keyframes every gop frames.
func clip(seconds float64, rate media.Rational, scale int64, gop int) *media.Info {
	step := scale * rate.Den / rate.Num
	frames := int64(math.Round(seconds * rate.Float()))
	v := media.VideoStream{
		Codec: "h264", Width: 1280, Height: 720, TimeBase: media.Rational{Num: 1, Den: scale}, FrameRate: rate, VFR: new(false), Frames: frames,
		Timing: &media.Timing{LastPTS: (frames - 1) * step, LastDur: step}, GOP: &media.GOP{},
	}
	for f := int64(0); f < frames; f += int64(gop) {
		v.GOP.Keys = append(v.GOP.Keys, media.Key{Frame: f, PTS: f * step})
	}
	v.GOP.Count = len(v.GOP.Keys)
	return &media.Info{Format: "mp4", Kind: media.Video, Duration: seconds, Video: []media.VideoStream{v},
		Audio: []media.AudioStream{{Codec: "aac", SampleRate: 48000, Channels: 2, Duration: seconds}}}
}

func request(source *media.Info) slice.Request {
	return slice.Request{Source: source, Spec: fn.Slicing{Mode: fn.Independent}, Workers: 16,
		Price:    fn.Price{CPUSeconds: 3 * source.Duration, Sound: 0.05 * source.Duration, Serial: 0.3 * source.Duration, Cores: 4},
		Assembly: fn.Assembly{Container: "mp4", Sound: true}}
}

var (
	pal  = media.Rational{Num: 25, Den: 1}
	ntsc = media.Rational{Num: 30000, Den: 1001}
)

func TestDecideCodes(t *testing.T) {
	video := func(change func(*media.VideoStream)) func(*slice.Request) {
		return func(r *slice.Request) { change(&r.Source.Video[0]) }
	}
	cases := []struct {
		want   slice.Code
		name   string
		change func(*slice.Request)
		forced slice.Code // on force; empty = the same
	}{
		{slice.Sliced, "plain", func(*slice.Request) {}, slice.Forced},
		{slice.OffByUser, "off", func(r *slice.Request) { r.Mode = slice.Off }, slice.Forced},
		{slice.NotOffered, "whole", func(r *slice.Request) { r.Spec.Mode = fn.Whole }, ""},
		{slice.NotOffered, "weak", func(r *slice.Request) { r.Spec.Mode = fn.Weak }, ""},
		{slice.NotOffered, "this call", func(r *slice.Request) { r.Assembly.Whole = "it trims the video" }, ""},
		{slice.Sliced, "reducible", func(r *slice.Request) { r.Spec.Mode = fn.Reducible }, slice.Forced},
		{slice.NoVideo, "nothing known", func(r *slice.Request) { r.Source = nil }, ""},
		{slice.NoVideo, "sound only", func(r *slice.Request) { r.Source.Video = nil }, ""},
		{slice.NoVideo, "no times", video(func(v *media.VideoStream) { v.Timing = nil }), ""},
		{slice.NotSeekable, "ts", func(r *slice.Request) { r.Source.Format = "mpegts" }, ""},
		{slice.NotSeekable, "flv", func(r *slice.Request) { r.Source.Format = "flv" }, ""},
		{slice.NotSeekable, "no index", func(r *slice.Request) { r.Source.Seekable = new(false) }, ""},
		{slice.AVI, "avi", func(r *slice.Request) { r.Source.Format = "avi" }, ""},
		{slice.Discontinued, "reset", video(func(v *media.VideoStream) { v.Timing.Discontinue = true }), ""},
		{slice.EditList, "edits", video(func(v *media.VideoStream) { v.Timing.EditList = true }), ""},
		{slice.Negative, "negative", video(func(v *media.VideoStream) { v.Timing.Negative = 2 }), ""},
		{slice.Repeated, "repeated", video(func(v *media.VideoStream) { v.Timing.Repeated = 1 }), ""},
		{slice.NoKeyframes, "no keys", video(func(v *media.VideoStream) { v.GOP.Keys = nil }), ""},
		{slice.NoKeyframes, "late key", video(func(v *media.VideoStream) { v.GOP.Keys = v.GOP.Keys[1:] }), ""},
		{slice.NoKeyframes, "unsorted keys", video(func(v *media.VideoStream) { v.GOP.Keys[3].PTS = 1 }), ""},
		{slice.OneGOP, "one GOP, variable rate", video(func(v *media.VideoStream) { v.GOP.Keys = v.GOP.Keys[:1]; v.VFR = new(true) }), ""},
		{slice.FrameRate, "no common instants", func(r *slice.Request) {
			r.Assembly.FrameRate = media.Rational{Num: 24000, Den: 1001}
			v := &r.Source.Video[0]
			for i := range v.GOP.Keys[1:] {
				v.GOP.Keys[i+1].PTS += 7
			}
			v.Timing.LastPTS, v.VFR = v.Timing.LastPTS+7, new(true)
		}, ""},
		{slice.TooShort, "short", func(r *slice.Request) { r.Source = clip(40, pal, 12800, 50) }, slice.Forced},
		{slice.TooShort, "one second", func(r *slice.Request) { r.Source = clip(1, pal, 12800, 50) }, ""},
		{slice.TooShort, "threshold", func(r *slice.Request) { r.Threshold = time.Hour }, slice.Forced},
		{slice.FewWorkers, "one worker", func(r *slice.Request) { r.Workers = 1 }, slice.Forced},
		{slice.NoGain, "as many cores as threads", func(r *slice.Request) { r.Workers, r.Price.Serial = 2, 0 }, slice.Forced},
	}
	for _, c := range cases {
		for _, mode := range []slice.Mode{slice.Auto, slice.Force} {
			r := request(clip(120, pal, 12800, 50))
			r.Mode = mode
			c.change(&r)
			want := c.want
			if mode == slice.Force && c.forced != "" {
				if c.want == slice.OffByUser {
					continue
				}
				want = c.forced
			}
			d := slice.Decide(r)
			if d.Code != want || d.Sliced != (len(d.Parts) > 1) || d.Sliced != (want == slice.Sliced || want == slice.Forced) || d.Reason == "" {
				t.Errorf("%s, %s: %s (%s), %d parts, want %s", c.name, mode, d.Code, d.Reason, len(d.Parts), want)
			}
		}
	}
}

func TestForcedOnTwoCoresIsSensible(t *testing.T) {
	for _, s := range []float64{70, 80, 90} {
		r := request(clip(s, ntsc, 30000, 60))
		r.Mode, r.Workers = slice.Force, 2
		if n := len(slice.Decide(r).Parts); n < 4 || n > 8 {
			t.Errorf("%v s on two cores: %d parts", s, n)
		}
	}
}

func TestGolden(t *testing.T) {
	plans := []struct {
		name string
		r    func() slice.Request
	}{
		{"gop-80s-force-2", func() slice.Request {
			r := request(clip(80, ntsc, 30000, 60))
			r.Mode, r.Workers = slice.Force, 2
			return r
		}},
		{"one-gop-by-frame", func() slice.Request { return request(clip(120, pal, 12800, 1<<20)) }},
		{"overlap", func() slice.Request {
			r := request(clip(90, pal, 12800, 125))
			r.Spec = fn.Slicing{Mode: fn.Overlap, Lap: fn.Lap{Before: 8, After: 3}}
			r.Workers = 12
			return r
		}},
		{"overlap-of-gops", func() slice.Request {
			r := request(clip(90, pal, 12800, 125))
			r.Assembly.Lap = &fn.Lap{Before: 2, After: 1, Unit: fn.GOPs}
			r.Mode, r.Workers = slice.Force, 4
			return r
		}},
		{"rate-30-to-25", func() slice.Request {
			r := request(clip(90, media.Rational{Num: 30, Den: 1}, 15360, 60))
			r.Assembly.FrameRate = pal
			return r
		}},
		{"movie-100-workers", func() slice.Request {
			r := request(clip(7200, pal, 12800, 250))
			r.Workers = 100
			return r
		}},
	}
	for _, c := range plans {
		p := slice.Document(c.r())
		if !p.Sliced {
			t.Errorf("%s: %s", c.name, p.Reason)
			continue
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%s: %s\nsound %v, frames %d, joints %d, time scale %d\n", p.Code, p.Reason, p.HasSound, p.Promise.Frames, len(p.Promise.Joints), p.Promise.Scale)
		fmt.Fprintf(&b, "order      entry      start        end frames head tail\n")
		for _, s := range p.Segments {
			fmt.Fprintf(&b, "%5d %10d %10d %10d %6d %4d %4d\n", s.Order, s.Entry, s.Start, s.End, s.Frames, s.DropHead, s.DropTail)
		}
		path := filepath.Join("testdata", c.name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

// A call whose slices depend on each other has every one analysed first.
func TestReduciblePlan(t *testing.T) {
	r := request(clip(90, pal, 12800, 125))
	r.Mode, r.Workers, r.Assembly.Reduce = slice.Force, 4, true
	p := slice.Document(r)
	if !p.Reduced || len(p.Analyses) != len(p.Segments) || p.Reduction == nil || p.Reduction.Pass != fn.Reduce {
		t.Fatalf("%+v", p)
	}
	for i, a := range p.Analyses {
		s := p.Segments[i]
		if a.Pass != fn.Analyse || a.Start != s.Start || a.End != s.End || a.Share <= 0 || a.Share >= s.Share {
			t.Errorf("analysis %d of %+v is %+v", i, s, a)
		}
	}
}

func TestPlanIsAnArrayWhenNotSliced(t *testing.T) {
	r := request(clip(10, pal, 12800, 50))
	b, err := json.Marshal(slice.Document(r))
	if err != nil || !strings.Contains(string(b), `"segments":[]`) || !strings.Contains(string(b), `"sound":null`) {
		t.Fatal(string(b), err)
	}
}

// drawn is a random video: any time base, constant or variable rate, random
// GOPs, with or without the list of frames.
func drawn(t *rapid.T) (*media.Info, []int64) {
	tb := rapid.SampledFrom([]media.Rational{{Num: 1, Den: 1000}, {Num: 1, Den: 12800}, {Num: 1, Den: 24000}, {Num: 1, Den: 90000}, {Num: 1, Den: 600},
		{Num: 1001, Den: 30000}, {Num: 1, Den: 1_000_000_000}, {Num: 1, Den: 25}}).Draw(t, "time base")
	constant := rapid.Bool().Draw(t, "constant")
	n := rapid.IntRange(2, 4000).Draw(t, "frames")
	per := max(tb.Den/(tb.Num*30), 1)
	pts := make([]int64, n)
	at := rapid.Int64Range(0, 5*per).Draw(t, "first")
	for i := range pts {
		pts[i] = at
		if constant {
			at += per
		} else {
			at += 1 + rapid.Int64Range(0, 2*per).Draw(t, "step")
		}
	}
	v := media.VideoStream{TimeBase: tb, Frames: int64(n), VFR: new(!constant), GOP: &media.GOP{}, Width: 320, Height: 180,
		Timing: &media.Timing{FirstPTS: pts[0], LastPTS: pts[n-1], LastDur: per}}
	if constant {
		v.FrameRate = media.Rational{Num: tb.Den, Den: tb.Num * per}.Reduce()
	}
	for f := 0; f < n; f += rapid.IntRange(1, 600).Draw(t, "gop") {
		v.GOP.Keys = append(v.GOP.Keys, media.Key{Frame: int64(f), PTS: pts[f]})
	}
	if rapid.Bool().Draw(t, "list") {
		for _, p := range pts {
			v.FrameList = append(v.FrameList, media.Frame{PTS: p})
		}
	}
	return &media.Info{Format: "matroska", Video: []media.VideoStream{v}}, pts
}

// onGrid reports whether a frame of a rate that begins with the first one falls on
// a time, unless the source has that rate itself.
func onGrid(v *media.VideoStream, rate media.Rational, pts int64) bool {
	if v.FrameRate.Reduce() == rate.Reduce() {
		return true
	}
	num := (pts - v.Timing.FirstPTS) * v.TimeBase.Num * rate.Num
	return num%(v.TimeBase.Den*rate.Den) == 0
}

func TestPartsTileTheFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source, pts := drawn(t)
		v := source.MainVideo()
		r := slice.Request{Source: source, Workers: rapid.IntRange(0, 500).Draw(t, "workers"),
			Mode:      rapid.SampledFrom([]slice.Mode{slice.Auto, slice.Force}).Draw(t, "mode"),
			Threshold: time.Duration(rapid.IntRange(1, 90).Draw(t, "threshold")) * time.Second,
			Price:     fn.Price{CPUSeconds: rapid.Float64Range(0, 1e5).Draw(t, "price"), Cores: rapid.IntRange(0, 32).Draw(t, "cores")}}
		r.Spec.Mode = rapid.SampledFrom([]fn.Mode{fn.Independent, fn.Overlap, fn.Reducible}).Draw(t, "slicing")
		r.Spec.Lap = fn.Lap{Before: rapid.IntRange(0, 200).Draw(t, "before"), After: rapid.IntRange(0, 200).Draw(t, "after"),
			Unit: rapid.SampledFrom([]fn.Unit{"", fn.Frames, fn.GOPs}).Draw(t, "unit")}
		if rapid.Bool().Draw(t, "resampled") {
			r.Assembly.FrameRate = rapid.SampledFrom([]media.Rational{pal, ntsc, {Num: 50, Den: 1}, {Num: 15, Den: 1}}).Draw(t, "rate")
		}
		d := slice.Decide(r)
		if diff := cmp.Diff(d, slice.Decide(r)); diff != "" {
			t.Fatalf("two decisions: %s", diff)
		}
		if !d.Sliced {
			if len(d.Parts) != 0 {
				t.Fatal("parts without slicing")
			}
			return
		}
		if len(d.Parts) < 2 || len(d.Parts) > slice.MaxParts {
			t.Fatalf("%d parts", len(d.Parts))
		}
		entries := map[int64]int64{}
		for _, k := range v.GOP.Keys {
			entries[k.PTS] = k.Frame
		}
		next, end := int64(0), v.Timing.FirstPTS
		for i, p := range d.Parts {
			key, ok := entries[p.Entry]
			switch {
			case p.Order != i || p.Of != len(d.Parts) || p.Stream != fn.Pictures || p.TimeBase != v.TimeBase || p.Scale < 1000 || p.Scale > 1e6:
				t.Fatalf("part %d: %+v", i, p)
			case p.First != next || p.Start != end || p.Start != pts[next] || p.End <= p.Start || p.Frames < 1:
				t.Fatalf("part %d starts at %d, not at %d (frame %d is at %d)", i, p.Start, end, next, pts[next])
			case !ok || p.Entry > p.Start || key > next-p.DropHead:
				t.Fatalf("part %d: entry %d for frame %d-%d", i, key, next, p.DropHead)
			case p.DropHead < 0 || p.DropTail < 0 || next+p.Frames+p.DropTail > v.Frames || next-p.DropHead < 0:
				t.Fatalf("part %d overlaps beyond the video: %+v", i, p)
			case p.From > p.Start || p.To < p.End || p.Entry > p.From || (p.DropHead == 0) != (p.From == p.Start) || (p.DropTail == 0) != (p.To == p.End):
				t.Fatalf("part %d is processed from %d to %d: %+v", i, p.From, p.To, p)
			case r.Assembly.FrameRate.Known() && !onGrid(v, r.Assembly.FrameRate, p.From):
				t.Fatalf("part %d is processed from %d, off the grid of %s", i, p.From, r.Assembly.FrameRate)
			case r.Spec.Mode != fn.Overlap && p.DropHead+p.DropTail != 0:
				t.Fatalf("part %d: %+v", i, p)
			case !r.Assembly.FrameRate.Known() && slice.Exact(v.TimeBase, p.Scale) != (v.TimeBase.Den != 1_000_000_000):
				t.Fatalf("scale %d for %s", p.Scale, v.TimeBase)
			}
			next, end = next+p.Frames, p.End
		}
		if next != v.Frames || end != v.Timing.LastPTS+v.Timing.LastDur {
			t.Fatalf("parts cover %d of %d frames up to %d", next, v.Frames, end)
		}
		if r.Mode == slice.Auto && d.Prediction.SlicedSeconds >= d.Prediction.WholeSeconds {
			t.Fatalf("sliced without gain: %+v", d.Prediction)
		}
		at := slice.Offsets(d.Parts)
		for i := 1; i < len(at); i++ {
			exact := v.TimeBase.Seconds(d.Parts[i-1].End - d.Parts[0].Start)
			if at[i] <= at[i-1] || math.Abs(float64(at[i])/float64(d.Parts[0].Scale)-exact) > 0.5/float64(d.Parts[0].Scale)+1e-9 {
				t.Fatalf("offset %d: %d for %f s", i, at[i], exact)
			}
		}
		promise := slice.PromiseOf(source, d.Parts, r.Assembly)
		if !promise.Rate.Known() && promise.Frames != v.Frames {
			t.Fatalf("%d frames promised of %d", promise.Frames, v.Frames)
		}
	})
}

// Cues name times only; the numbers follow from the list of frames, or from a
// constant rate whose times were rounded to milliseconds.
func TestKeyframesWithoutNumbers(t *testing.T) {
	const frames = 3000
	rate := media.Rational{Num: 60000, Den: 1001}
	v := media.VideoStream{TimeBase: media.Rational{Num: 1, Den: 1000}, FrameRate: rate, VFR: new(false), Frames: frames, GOP: &media.GOP{}, Timing: &media.Timing{FirstPTS: 23, LastDur: 17}}
	var want []int64
	for f := range int64(frames) {
		pts := 23 + int64(math.Round(float64(f)*1001/60))
		v.Timing.LastPTS = pts
		v.FrameList = append(v.FrameList, media.Frame{PTS: pts})
		if f%70 == 0 {
			v.GOP.Keys = append(v.GOP.Keys, media.Key{Frame: -1, PTS: pts})
			want = append(want, f)
		}
	}
	check := func(v media.VideoStream, sliced bool) {
		t.Helper()
		r := request(&media.Info{Format: "matroska", Duration: 50, Video: []media.VideoStream{v}})
		r.Threshold = 10 * time.Second
		d := slice.Decide(r)
		if d.Sliced != sliced {
			t.Fatalf("%s", d.Reason)
		}
		at := int64(0)
		for _, p := range d.Parts {
			if at%70 != 0 || p.Start != v.FrameList[at].PTS && len(v.FrameList) > 0 {
				t.Fatalf("frame %d: %+v", at, p)
			}
			at += p.Frames
		}
	}
	check(v, true)
	v.VFR = new(true)
	check(v, true)
	list := v.FrameList
	v.FrameList = nil
	check(v, false)
	v.VFR = new(false)
	v.Frames = frames - 1
	check(v, false)
	v.Frames = frames
	r := request(&media.Info{Format: "matroska", Duration: 50, Video: []media.VideoStream{v}})
	r.Threshold = 10 * time.Second
	at := int64(0)
	for _, p := range slice.Decide(r).Parts {
		if p.Start != list[at].PTS {
			t.Fatalf("frame %d is at %d, not %d", at, list[at].PTS, p.Start)
		}
		at += p.Frames
	}
	if at != frames || len(want) == 0 {
		t.Fatal(at)
	}
}

func TestHostileProfilesDoNotPanic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		any64 := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-3, 3), rapid.Int64Range(0, 1<<20))
		fraction := func(name string) media.Rational {
			return media.Rational{Num: any64.Draw(t, name), Den: any64.Draw(t, name)}
		}
		v := media.VideoStream{TimeBase: fraction("tb"), FrameRate: fraction("rate"), VFR: new(rapid.Bool().Draw(t, "vfr")), Frames: any64.Draw(t, "frames"),
			GOP: &media.GOP{}, Timing: &media.Timing{FirstPTS: any64.Draw(t, "first"), LastPTS: any64.Draw(t, "last"), LastDur: any64.Draw(t, "dur")}}
		v.GOP.Keys = append(v.GOP.Keys, media.Key{PTS: v.Timing.FirstPTS})
		for range rapid.IntRange(0, 5).Draw(t, "keys") {
			v.GOP.Keys = append(v.GOP.Keys, media.Key{Frame: any64.Draw(t, "key"), PTS: any64.Draw(t, "pts")})
		}
		r := slice.Request{Source: &media.Info{Format: "mp4", Video: []media.VideoStream{v}}, Mode: slice.Force, Workers: 4, Spec: fn.Slicing{Mode: fn.Independent}}
		r.Assembly.FrameRate = fraction("out")
		r.Source.Format = rapid.SampledFrom([]string{"mp4", "mp4", "mpegts"}).Draw(t, "format")
		if rapid.IntRange(0, 9).Draw(t, "untimed") == 0 {
			r.Source.Video[0].Timing = nil
		}
		r.Price.CPUSeconds = rapid.SampledFrom([]float64{0, 1, -1}).Draw(t, "price")
		p := slice.Document(r)
		if _, err := json.Marshal(p); err != nil { // numbers that are none
			t.Fatal(err)
		}
		if p.Sliced {
			slice.Certify(*p.Promise, slice.Measured{Result: &media.Info{}})
		}
	})
}

// TestPartBytes: a part's bytes reach from its entry to the second keyframe
// behind its end, whatever the order of keyframes in the file, and those of the
// last parts to the end of it.
func TestPartBytes(t *testing.T) {
	r := request(clip(120, pal, 12800, 50)) // 60 keys
	keys := r.Source.Video[0].GOP.Keys
	for i := range keys {
		keys[i].Bytes = 1000 + int64(i)*100
	}
	keys[7].Bytes, keys[8].Bytes = keys[8].Bytes, keys[7].Bytes
	d := slice.Decide(r)
	if len(d.Parts) < 5 {
		t.Fatalf("%d parts", len(d.Parts))
	}
	at := func(pts int64) int {
		for i := range keys {
			if keys[i].PTS >= pts {
				return i
			}
		}
		return len(keys)
	}
	known := 0
	for _, p := range d.Parts {
		first, last := at(p.Entry), at(p.End)+1
		if last >= len(keys) {
			if p.Bytes != (fn.Bytes{}) {
				t.Errorf("part %d ends with the file, and has bytes %+v", p.Order, p.Bytes)
			}
			continue
		}
		known++
		for i := first; i <= last; i++ {
			if keys[i].Bytes < p.Bytes.First || keys[i].Bytes > p.Bytes.Behind {
				t.Errorf("part %d: key %d at byte %d is not in %+v", p.Order, i, keys[i].Bytes, p.Bytes)
			}
		}
		if p.Bytes.Behind > 1000+int64(last+1)*100 {
			t.Errorf("part %d: %+v is more than it needs", p.Order, p.Bytes)
		}
	}
	if known < len(d.Parts)-2 {
		t.Errorf("the bytes of %d of %d parts are known", known, len(d.Parts))
	}
	keys[3].Bytes = 0
	for _, p := range slice.Decide(r).Parts {
		if p.Bytes != (fn.Bytes{}) {
			t.Errorf("part %d has bytes though a keyframe's are not known: %+v", p.Order, p.Bytes)
		}
	}
}
