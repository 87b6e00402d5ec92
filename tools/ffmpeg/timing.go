package ffmpeg

import (
	"cmp"
	"math"
	"slices"

	"github.com/mediafn/mediafn/core/media"
)

// shown returns the packets that are presented, in presentation order. ok is
// false if one has no presentation time; nothing about times can be said then.
func shown(all []packet) (list []packet, ok bool) {
	for _, p := range all {
		if p.discard {
			continue
		}
		if !p.hasPTS {
			return nil, false
		}
		list = append(list, p)
	}
	slices.SortStableFunc(list, func(a, b packet) int { return cmp.Compare(a.pts, b.pts) })
	return list, len(list) > 0
}

// closes reports whether ffmpeg closes gaps in the clock of a format, unless it is
// told to leave times alone (AVFMT_TS_DISCONT).
func closes(format string) bool { return format == "mpegts" || format == "mpeg" || format == "ogg" }

// leaps reports whether decode times go on by more than ffmpeg takes for a pause
// (-dts_delta_threshold).
func leaps(v *media.VideoStream, all []packet) bool {
	const pause = 10 // seconds
	for n := 1; n < len(all); n++ {
		if a, b := all[n-1], all[n]; a.hasDTS && b.hasDTS && v.TimeBase.Known() && v.TimeBase.Seconds(b.dts-a.dts) > pause {
			return true
		}
	}
	return false
}

// measure derives a video stream's counts, rate, timing and GOPs.
func measure(v *media.VideoStream, all []packet, guess media.Rational) {
	v.Frames = 0
	for _, p := range all {
		if !p.discard {
			v.Frames++
		}
	}
	list, ok := shown(all)
	if !ok {
		return
	}
	first, last := list[0], list[len(list)-1]
	t := &media.Timing{FirstPTS: first.pts, LastPTS: last.pts, LastDur: last.dur}
	v.Timing = t
	if v.TimeBase.Known() {
		v.StartTime = v.TimeBase.Seconds(first.pts)
	}
	reordered := false
	for n := 1; n < len(all); n++ {
		a, b := all[n-1], all[n]
		if a.hasDTS && b.hasDTS && b.dts < a.dts {
			t.Discontinue = true
		}
		if a.hasPTS && b.hasPTS && b.pts < a.pts {
			reordered = true
		}
	}
	v.BFrames = &reordered

	for n, p := range list {
		if p.pts < 0 {
			t.Negative++
		}
		if n > 0 && p.pts == list[n-1].pts {
			t.Repeated++
		}
	}
	rate(v, list, guess)
	if step := nominalTicks(v, list); step > 0 {
		for n := 1; n < len(list); n++ {
			if float64(list[n].pts-list[n-1].pts) > 3*step {
				t.Gaps++
			}
		}
	}
	v.GOP = gop(all, list)
}

// rate decides whether the frame times are those of a constant rate: every
// one within a tick of its place, which is what rounding to the time base
// allows. What the stream says of itself (guess) is tried first if it is a usual
// rate, then the usual rates, then whatever fits.
func rate(v *media.VideoStream, list []packet, guess media.Rational) {
	if len(list) < 2 || !v.TimeBase.Known() {
		return
	}
	span := list[len(list)-1].pts - list[0].pts
	if span <= 0 {
		return
	}
	constant := func(r media.Rational) bool {
		step := 1 / (r.Float() * v.TimeBase.Float())
		for n, p := range list {
			if math.Abs(float64(p.pts-list[0].pts)-float64(n)*step) > 1 {
				return false
			}
		}
		return true
	}
	average := media.Rational{Num: int64(len(list)-1) * v.TimeBase.Den, Den: span * v.TimeBase.Num}.Reduce()
	// Rates are whole numbers, or those times 1000/1001.
	whole := media.Rational{Num: int64(math.Round(average.Float())), Den: 1}
	ntsc := media.Rational{Num: int64(math.Round(average.Float()*1.001)) * 1000, Den: 1001}
	candidates := []media.Rational{whole, ntsc}
	off := func(r media.Rational) float64 { return math.Abs(r.Float() - average.Float()) }
	if off(ntsc) < off(whole) {
		candidates = []media.Rational{ntsc, whole}
	}
	if guess.Den == 1 || guess.Den == 1001 {
		candidates = append([]media.Rational{guess}, candidates...)
	}
	candidates = append(candidates, guess, v.AvgRate, average)
	for _, r := range candidates {
		if r.Num > 0 && r.Den > 0 && constant(r) {
			v.FrameRate, v.VFR = r.Reduce(), new(false)
			return
		}
	}
	v.FrameRate, v.VFR = media.Rational{}, new(true)
}

// nominalTicks is the usual distance of two frames: the rate's, or the median.
func nominalTicks(v *media.VideoStream, list []packet) float64 {
	if v.FrameRate.Known() && v.TimeBase.Known() {
		return 1 / (v.FrameRate.Float() * v.TimeBase.Float())
	}
	steps := make([]int64, 0, len(list))
	for n := 1; n < len(list); n++ {
		steps = append(steps, list[n].pts-list[n-1].pts)
	}
	if len(steps) == 0 {
		return 0
	}
	slices.Sort(steps)
	return float64(steps[len(steps)/2])
}

// gop finds the entry points. A GOP is open if pictures that follow its
// keyframe in the file are shown before it.
func gop(all, list []packet) *media.GOP {
	g := &media.GOP{AllIntr: true}
	closed := true
	var key *packet
	for n := range all {
		p := &all[n]
		switch {
		case p.key:
			key = p
		default:
			g.AllIntr = false
			if key != nil && !p.discard && p.pts < key.pts {
				closed = false
			}
		}
	}
	for n, p := range list {
		if p.key {
			g.Keys = append(g.Keys, media.Key{Frame: int64(n), PTS: p.pts, Bytes: p.pos})
		}
	}
	if len(g.Keys) == 0 {
		return nil
	}
	g.Count, g.Closed = len(g.Keys), &closed
	for n, k := range g.Keys {
		end := int64(len(list))
		if n+1 < len(g.Keys) {
			end = g.Keys[n+1].Frame
		}
		size := int(end - k.Frame)
		if n == 0 || size < g.MinLen {
			g.MinLen = size
		}
		g.MaxLen = max(g.MaxLen, size)
	}
	return g
}

func frameList(all []packet, types map[int64]string) []media.Frame {
	list, ok := shown(all)
	if !ok {
		return nil
	}
	out := make([]media.Frame, len(list))
	for n, p := range list {
		out[n] = media.Frame{PTS: p.pts, Dur: p.dur, Type: types[p.pts], Key: p.key, Size: int(p.size)}
	}
	return out
}

// samples counts an audio stream's samples from its packets' durations, where
// the time base can express them exactly.
func samples(a *media.AudioStream, all []packet) int64 {
	if a.SampleRate <= 0 || a.TimeBase.Num != 1 || a.TimeBase.Den <= 0 || a.TimeBase.Den%int64(a.SampleRate) != 0 {
		return 0
	}
	var ticks int64
	for _, p := range all {
		if p.dur <= 0 {
			return 0
		}
		if !p.discard {
			ticks += p.dur
		}
	}
	return ticks / (a.TimeBase.Den / int64(a.SampleRate))
}
