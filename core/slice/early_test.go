package slice_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
)

// front is what the beginning of a clip tells.
func front(seconds float64, size int64) *media.Info {
	i := clip(seconds, pal, 12800, 50)
	v := &i.Video[0]
	i.Format, i.Size, v.Frames, v.GOP, v.Timing = "mpegts", size, 0, nil, &media.Timing{}
	return i
}

func TestEarly(t *testing.T) {
	const size = 600 << 20
	for _, c := range []struct {
		name   string
		change func(*slice.Request)
		why    string // empty = early
	}{
		{"plain", func(*slice.Request) {}, ""},
		{"forced", func(r *slice.Request) { r.Mode, r.Workers = slice.Force, 1 }, ""},
		{"off", func(r *slice.Request) { r.Mode = slice.Off }, "switched slicing off"},
		{"alone", func(r *slice.Request) { r.Workers = 1 }, "two are needed"},
		{"overlap", func(r *slice.Request) { r.Spec.Mode = fn.Overlap }, "frames of others"},
		{"overlap of the call", func(r *slice.Request) { r.Assembly.Lap = &fn.Lap{Before: 1} }, "frames of others"},
		{"deinterlaced", func(r *slice.Request) { r.Assembly.Neighbours = true }, "frames of others"},
		{"reduced", func(r *slice.Request) { r.Assembly.Reduce = true }, "depend on each other"},
		{"another rate", func(r *slice.Request) { r.Assembly.FrameRate = ntsc }, "another rate"},
		{"policy", func(r *slice.Request) { r.Assembly.RatePolicy = &fn.RatePolicy{Code: fn.LowRate} }, "rate of the whole"},
		{"mezzanine", func(r *slice.Request) { r.Assembly.RatePolicy = &fn.RatePolicy{Code: fn.Mezzanine} }, ""},
		{"trimmed", func(r *slice.Request) { r.Assembly.Whole = "it trims the video" }, "it trims"},
		{"short", func(r *slice.Request) { r.Source = front(40, size) }, "slicing starts at"},
		{"small", func(r *slice.Request) { r.Source = front(600, 1<<20) }, "too small"},
		{"sound only", func(r *slice.Request) { r.Source.Video = nil }, "no pictures"},
		{"length unknown", func(r *slice.Request) { r.Source.Duration = 0 }, "length"},
	} {
		r := request(front(600, size))
		c.change(&r)
		e := slice.EarlyFor(r)
		if e.Early != (c.why == "") || !strings.Contains(e.NotEarly, c.why) || e.Splits == nil || e.Early == (len(e.Splits) < 2) {
			t.Errorf("%s: %+v", c.name, e)
		}
		// They cover the file, and are read a little farther.
		at := int64(0)
		for i, p := range e.Splits {
			if p.Split.First != at || p.Bytes.First != at || p.Order != i || p.Of != len(e.Splits) {
				t.Errorf("%s: split %d: %+v", c.name, i, p)
			}
			if at = p.Split.Behind; p.Bytes.Behind != 0 && p.Bytes.Behind <= at {
				t.Errorf("%s: split %d ends at %d and is read to %d", c.name, i, at, p.Bytes.Behind)
			}
			if last := i == len(e.Splits)-1; last != (p.Split.Behind == 0) || last && p.Bytes.Behind != 0 {
				t.Errorf("%s: split %d: %+v", c.name, i, p)
			}
		}
	}
}

// TestAheadIsHeldToThePlan: slices that were made early are a plan only if they are
// what one could be.
func TestAheadIsHeldToThePlan(t *testing.T) {
	tb := media.Rational{Num: 1, Den: 12800}
	found := func(from, to int64) *slice.Found { // in keyframes
		return &slice.Found{TimeBase: tb, From: from * 50 * 512, To: to * 50 * 512, Frames: (to - from) * 50, Scale: 12800}
	}
	whole := func() *slice.Ahead {
		return &slice.Ahead{Each: []*slice.Found{found(0, 100), found(100, 190), {TimeBase: tb}, found(190, 300)}}
	}
	for _, c := range []struct {
		name   string
		change func(a *slice.Ahead, r *slice.Request, done *slice.Remuxed)
		why    string // empty = used
	}{
		{"all", func(*slice.Ahead, *slice.Request, *slice.Remuxed) {}, ""},
		{"another clock", func(a *slice.Ahead, _ *slice.Request, _ *slice.Remuxed) {
			f := a.Each[1]
			f.TimeBase, f.From, f.To = media.Rational{Num: 1, Den: 25600}, f.From*2, f.To*2
		}, ""},
		{"a frame less", func(a *slice.Ahead, _ *slice.Request, _ *slice.Remuxed) { a.Each[1].Frames-- }, "4499 frames of 4500"},
		{"a gap", func(a *slice.Ahead, _ *slice.Request, _ *slice.Remuxed) { a.Each[1] = found(101, 190) }, "not at the keyframe"},
		{"the start is missing", func(a *slice.Ahead, _ *slice.Request, _ *slice.Remuxed) { a.Each[0] = found(1, 100) }, "slice 0 begins"},
		{"the end is missing", func(a *slice.Ahead, _ *slice.Request, _ *slice.Remuxed) { a.Each[3] = found(190, 299) }, "of 15000"},
		{"no keyframe", func(a *slice.Ahead, _ *slice.Request, _ *slice.Remuxed) {
			a.Each[1].From += 512
		}, "slice 1 begins"},
		{"between ticks", func(a *slice.Ahead, _ *slice.Request, _ *slice.Remuxed) {
			f := a.Each[1]
			f.TimeBase, f.From, f.To = media.Rational{Num: 1, Den: 25600}, f.From*2+1, f.To*2
		}, "slice 1 begins"},
		{"nothing said", func(a *slice.Ahead, _ *slice.Request, _ *slice.Remuxed) { a.Each[1] = nil }, "does not say"},
		{"one missing", func(a *slice.Ahead, _ *slice.Request, _ *slice.Remuxed) { a.Each = a.Each[:3] }, "not all"},
		{"another scale", func(a *slice.Ahead, _ *slice.Request, _ *slice.Remuxed) { a.Each[0].Scale = 90000 }, "counts times otherwise"},
		{"another shift", func(_ *slice.Ahead, _ *slice.Request, done *slice.Remuxed) { done.Shift = 1 }, "counts times otherwise"},
		{"another result", func(_ *slice.Ahead, r *slice.Request, _ *slice.Remuxed) { r.Assembly.Width = 1 }, "another result"},
		{"another policy", func(_ *slice.Ahead, r *slice.Request, _ *slice.Remuxed) { r.Assembly.RatePolicy.Code = fn.LowRate }, "another result"},
		{"the policy in other words", func(_ *slice.Ahead, r *slice.Request, _ *slice.Remuxed) { r.Assembly.RatePolicy.Reason = "other" }, ""},
		{"a jump", func(_ *slice.Ahead, r *slice.Request, _ *slice.Remuxed) { r.Source.Video[0].Timing.Discontinue = true }, "jump"},
		{"absurd", func(a *slice.Ahead, _ *slice.Request, _ *slice.Remuxed) {
			a.Each[0].TimeBase = media.Rational{Num: 1 << 62, Den: 1}
		}, "slice 0"},
	} {
		r := request(clip(600, pal, 12800, 50))
		r.Source.Size = 600 << 20
		r.Assembly.RatePolicy = &fn.RatePolicy{Code: fn.Mezzanine, Reason: "words"}
		early := request(front(600, 600<<20))
		early.Assembly.RatePolicy = &fn.RatePolicy{Code: fn.Mezzanine, Reason: "words"}
		e := slice.EarlyFor(early)
		e.Splits = e.Splits[:4]
		ahead, done := whole(), &slice.Remuxed{}
		c.change(ahead, &r, done)
		docs := map[string]json.RawMessage{}
		for slot, doc := range map[string]any{"profile": r.Source, "look": slice.Look{Remux: true, Again: true}, "remuxed": done, "seen": r.Source, "early": e, "ahead": ahead} {
			docs[slot], _ = json.Marshal(doc)
		}
		raw, err := slice.Answer(docs, json.RawMessage(`{}`), func(*media.Info) (slice.Request, error) { return r, nil })
		if err != nil {
			t.Fatal(err)
		}
		var p slice.Plan
		if err := json.Unmarshal(raw, &p); err != nil {
			t.Fatal(err)
		}
		if p.Ahead != (c.why == "") || !strings.Contains(p.NotAhead, c.why) || !strings.Contains(p.Reason, c.why) {
			t.Errorf("%s: %v %q: %s", c.name, p.Ahead, p.NotAhead, p.Reason)
		}
		if !p.Ahead {
			continue
		}
		if p.Code != slice.Arriving || len(p.Segments) != 3 || p.Promise.Frames != 15000 || p.Segments[1].First != 5000 || p.Segments[2].Frames != 5500 || !p.HasSound {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}

// TestLookKeepsOn: what was begun is used, though a look at the whole would not begin it.
func TestLookKeepsOn(t *testing.T) {
	r := request(clip(40, pal, 12800, 50))
	r.Source.Format = "mpegts"
	for early, again := range map[bool]bool{false: false, true: true} {
		docs := map[string]json.RawMessage{}
		docs["profile"], _ = json.Marshal(r.Source)
		docs["early"], _ = json.Marshal(slice.Early{Early: early})
		raw, err := slice.Answer(docs, json.RawMessage(`{"look":true}`), func(*media.Info) (slice.Request, error) {
			mode := r
			mode.Mode = slice.Auto
			return mode, nil
		})
		var l slice.Look
		if err != nil || json.Unmarshal(raw, &l) != nil || l.Again != again {
			t.Errorf("early %v: %s %v", early, raw, err)
		}
	}
}
