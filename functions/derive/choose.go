package derive

import (
	"math"
	"slices"
	"sort"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// timeline is a picture track's frames in presentation order and how their
// ticks become seconds.
type timeline struct {
	Frames []media.Frame
	Base   media.Rational
	Origin float64 // what is second 0 for the caller, on the track's own time line
	End    float64 // seconds after Origin just behind the last frame
}

// newTimeline returns the time line of track v in info, whose frames must be
// known. Second 0 is where players start: the file's first timestamp where
// that is later than zero (transport streams start anywhere), else zero.
func newTimeline(info *media.Info, v *media.VideoStream) timeline {
	l := timeline{Frames: slices.Clone(v.FrameList), Base: v.TimeBase, Origin: max(info.StartTime, 0)}
	slices.SortStableFunc(l.Frames, func(a, b media.Frame) int {
		switch {
		case a.PTS < b.PTS:
			return -1
		case a.PTS > b.PTS:
			return 1
		}
		return 0
	})
	// Frames that share a timestamp cannot be told apart by it; the last one
	// is what a viewer sees.
	l.Frames = slices.CompactFunc(l.Frames, func(a, b media.Frame) bool { return a.PTS == b.PTS })
	if n := len(l.Frames); n > 0 {
		last := l.Frames[n-1]
		dur := last.Dur
		if dur <= 0 && n > 1 {
			dur = last.PTS - l.Frames[n-2].PTS
		}
		l.End = l.seconds(last.PTS + dur)
	}
	return l
}

// seconds converts ticks to seconds after Origin.
func (l timeline) seconds(pts int64) float64 { return l.Base.Seconds(pts) - l.Origin }

// shown is the index of the frame a viewer sees at second t: the last one
// whose timestamp is not behind t, or the first one of all.
func (l timeline) shown(t float64) int {
	slack := min(l.Base.Float()/2, 0.0005) // forgives the caller's rounding
	ticks := (t + l.Origin + slack) * float64(l.Base.Den) / float64(l.Base.Num)
	i := sort.Search(len(l.Frames), func(i int) bool { return float64(l.Frames[i].PTS) > ticks })
	return max(i-1, 0)
}

// entry is the index of the frame where decoding has to start to see frame i.
func (l timeline) entry(i int) int {
	for i > 0 && !l.Frames[i].Key {
		i--
	}
	return i
}

// shot is one frame to extract.
type shot struct {
	Index int       // in the time line
	Times []float64 // the asked times it answers, for mode times
}

// choose answers p's wishes with frames, rising and each once. Times behind
// the end are returned as missed. More than p.MaxFrames frames is TooLarge.
func choose(p *framesParams, l timeline) (shots []shot, missed []float64, err error) {
	asked := map[int][]float64{}
	add := func(i int, t *float64) {
		if p.Accuracy == "fast" {
			i = l.entry(i)
		}
		times := asked[i]
		if t != nil {
			times = append(times, *t)
		}
		asked[i] = times
	}
	if p.Mode == "times" {
		for _, t := range p.Times {
			if t >= l.End+1e-6 && t > l.seconds(l.Frames[len(l.Frames)-1].PTS) {
				missed = append(missed, t)
				continue
			}
			add(l.shown(t), &t)
		}
		if len(asked) == 0 {
			return nil, nil, errs.InField("params.times", "every time lies behind the end at %.3f s", l.End)
		}
	} else {
		for _, r := range p.spans(l.End) {
			if err := p.walk(l, r, func(i int) { add(i, nil) }); err != nil {
				return nil, nil, err
			}
		}
		if len(asked) == 0 {
			return nil, nil, errs.InField(p.rangeField(), "no frame lies in the range; the video ends at %.3f s", l.End)
		}
	}
	if len(asked) > p.MaxFrames {
		return nil, nil, tooMany(p, len(asked))
	}
	for i, times := range asked {
		shots = append(shots, shot{i, times})
	}
	sort.Slice(shots, func(a, b int) bool { return shots[a].Index < shots[b].Index })
	return shots, missed, nil
}

// walk calls add for every frame of range r that the mode asks for.
func (p *framesParams) walk(l timeline, r media.Span, add func(i int)) error {
	if r.Start >= r.End {
		return nil
	}
	if p.Mode == "keyframes" {
		n := 0
		for i, f := range l.Frames {
			if t := l.seconds(f.PTS); f.Key && t >= r.Start-1e-6 && t < r.End-1e-6 {
				add(i)
				n++
			}
		}
		if n > p.MaxFrames {
			return tooMany(p, n)
		}
		return nil
	}
	first, step := r.Start, 0.0
	switch p.Mode {
	case "interval":
		step = p.Interval
	case "fps":
		step = 1 / p.FPS
	case "count": // the middle of equal parts: the very first frame is black too often
		step = (r.End - r.Start) / float64(p.Count)
		first += step / 2
	}
	n := int(math.Ceil((r.End-first)/step - 1e-9))
	if p.Mode == "count" {
		n = p.Count
	}
	if n > p.MaxFrames && n > len(l.Frames) {
		n = min(n, 1<<24) // wishes far denser than frames still end soon
	}
	for k, before := 0, -1; k < n; k++ {
		i := l.shown(first + float64(k)*step)
		if i != before {
			add(i)
		}
		before = i
	}
	return nil
}

func tooMany(p *framesParams, n int) error {
	return &errs.Error{Kind: errs.TooLarge, Field: "params.max_frames",
		Msg: sprintf("the request gives %d frames, max_frames is %d", n, p.MaxFrames)}
}

// spans are the ranges to look at, cut to the video's length.
func (p *framesParams) spans(end float64) []media.Span {
	cut := func(start float64, stop *float64) media.Span {
		s := media.Span{Start: start, End: end}
		if stop != nil {
			s.End = min(*stop, end)
		}
		return s
	}
	if len(p.Ranges) == 0 {
		return []media.Span{cut(p.Start, p.End)}
	}
	var all []media.Span
	for _, r := range p.Ranges {
		all = append(all, cut(r.Start, r.End))
	}
	return all
}

func (p *framesParams) rangeField() string {
	if len(p.Ranges) > 0 {
		return "params.ranges"
	}
	return "params.start"
}
