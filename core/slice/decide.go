package slice

import (
	"fmt"
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// What the prediction assumes of machines, beside the function's price.
const (
	// startCost is what one slice costs beyond its frames, in CPU seconds:
	// starting a process, reading the container's tables, filling a lookahead.
	startCost = 0.4
	// decodeShare is the share of decoding in the price of a frame. It prices
	// frames that are decoded only to get to the first wanted one.
	decodeShare = 0.15
	// threadLoss is what each further thread of one encoder loses: c threads
	// are c/(1+threadLoss·(c−1)) times as fast as one. Slices run on one each.
	threadLoss = 0.04
	// joinBase and joinShare are the seconds from the last slice to the
	// result: a start, plus copying in proportion to the duration.
	joinBase, joinShare = 0.8, 0.002
	// minGain: slicing that saves less than this share of the time is not
	// worth what it adds.
	minGain = 0.10
)

// Decide says whether to slice, why, and how. It is deterministic.
func Decide(r Request) Decision {
	if no := r.forbidden(); no != nil {
		return *no
	}
	v := r.Source.MainVideo()
	length := span(v)
	force := r.Mode == Force
	if limit := r.threshold(); !force && length < limit.Seconds() {
		return not(TooShort, "the video is %.1f s long, slicing starts at %.0f s", length, limit.Seconds())
	}
	w := wanted(length, max(r.Workers, 1), force)
	if w.Count < 2 {
		return not(TooShort, "the video is %.1f s long, two slices need %.0f s", length, 2*w.Min)
	}
	if !force && r.Workers < 2 {
		return not(FewWorkers, "%d slice(s) could run at once, two are needed to gain anything", max(r.Workers, 0))
	}
	c := newCutter(v, r.Assembly.FrameRate)
	cuts := c.cuts(w)
	if len(cuts) < 2 {
		if len(c.usable) < 2 && len(c.keys) > 1 {
			return not(FrameRate, "no keyframe lies on an instant of the result's frame rate %s", r.Assembly.FrameRate)
		}
		return not(OneGOP, "%d keyframe(s) in %.1f s leave no place to cut", len(c.keys), length)
	}
	d := Decision{Sliced: true, Parts: c.parts(cuts, r.overlap())}
	d.Prediction = r.predict(c, d.Parts)
	p := d.Prediction
	if d.Code = Sliced; force {
		d.Code = Forced
		d.Reason = fmt.Sprintf("cut into %d slices because the caller asked for it; %.1f s predicted against %.1f s whole",
			len(d.Parts), p.SlicedSeconds, p.WholeSeconds)
		return d
	}
	if p.SlicedSeconds > p.WholeSeconds*(1-minGain) {
		no := not(NoGain, "%d slices on %d workers would take %.1f s, the whole %.1f s", len(d.Parts), r.Workers, p.SlicedSeconds, p.WholeSeconds)
		no.Prediction = p
		return no
	}
	d.Reason = fmt.Sprintf("cut into %d slices: %.1f s predicted against %.1f s whole", len(d.Parts), p.SlicedSeconds, p.WholeSeconds)
	return d
}

// forbidden finds what rules slicing out, whoever asks for it.
func (r *Request) forbidden() *Decision {
	no := func(code Code, format string, args ...any) *Decision {
		d := not(code, format, args...)
		return &d
	}
	switch {
	case r.Mode == Off:
		return no(OffByUser, "the caller switched slicing off")
	case r.Spec.Mode == fn.Weak:
		return no(NotOffered, "the function can only be cut between scenes")
	case r.Spec.Mode == fn.Whole || r.Spec.Mode == "":
		return no(NotOffered, "the function's work cannot be cut along time")
	case r.Assembly.Whole != "":
		return no(NotOffered, "%s", r.Assembly.Whole)
	case r.Source == nil || r.Source.MainVideo() == nil:
		return no(NoVideo, "there is no video track")
	}
	switch f := r.Source.Format; f {
	case "mp4", "mov", "m4v", "3gp", "matroska", "mkv", "webm":
		if s := r.Source.Seekable; s != nil && !*s {
			return no(NotSeekable, "the %s file has no index to read ranges by; it must be remuxed first", f)
		}
	case "avi":
		return no(AVI, "an AVI file keeps no frame times")
	default:
		return no(NotSeekable, "ranges of %s lose frames; it must be remuxed to mp4 first", f)
	}
	v := r.Source.MainVideo()
	t := v.Timing
	switch {
	case t == nil || !v.TimeBase.Known() || v.TimeBase.Num <= 0 || v.TimeBase.Den <= 0 || v.Frames <= 0:
		return no(NoVideo, "the frame times of the video are not known")
	case t.Discontinue:
		return no(Discontinued, "timestamps jump or start over")
	case t.EditList:
		return no(EditList, "an edit list rearranges the video")
	case t.Negative > 0:
		return no(Negative, "%d frame(s) lie before zero", t.Negative)
	case t.Repeated > 0:
		return no(Repeated, "%d frame(s) share a timestamp with another", t.Repeated)
	case v.GOP == nil || len(v.GOP.Keys) == 0:
		return no(NoKeyframes, "no keyframe is known")
	case entries(v) == nil:
		return no(NoKeyframes, "the first frame is no keyframe, or the index does not tell which frames the keyframes are")
	}
	return nil
}

func not(code Code, format string, args ...any) Decision {
	return Decision{Code: code, Reason: "not sliced: " + fmt.Sprintf(format, args...)}
}

func (r *Request) threshold() time.Duration {
	switch {
	case r.Threshold > 0:
		return r.Threshold
	case r.Spec.Threshold > 0:
		return r.Spec.Threshold
	}
	return DefaultThreshold
}

// span is the length of the track in seconds, from the first frame to the end
// of the last.
func span(v *media.VideoStream) float64 {
	return v.TimeBase.Seconds(v.Timing.LastPTS + v.Timing.LastDur - v.Timing.FirstPTS)
}

// predict compares the parts, longest first on the free workers, with one run
// that uses as many threads as the function can keep busy.
func (r *Request) predict(c *cutter, parts []fn.Part) Prediction {
	v := c.v
	cpu := r.Price.CPUSeconds
	if cpu <= 0 {
		cpu = span(v)
	}
	frame := cpu / float64(v.Frames)
	costs := make([]float64, len(parts))
	p := Prediction{WholeCost: cpu}
	first := int64(0)
	for i, part := range parts {
		skipped := first - part.DropHead - c.keyAt(first-part.DropHead).Frame
		costs[i] = startCost + frame*(float64(part.DropHead+part.Frames+part.DropTail)+decodeShare*float64(skipped))
		p.SlicedCost += costs[i]
		first += part.Frames
	}
	workers := max(r.Workers, 1)
	join := joinBase + joinShare*span(v)
	p.SlicedSeconds = makespan(costs, workers) + join
	p.SlicedCost += join
	threads := float64(min(max(r.Price.Cores, 1), workers))
	p.WholeSeconds = cpu / threads * (1 + threadLoss*(threads-1))
	return p
}

// makespan is the time until the last of the costs is done when the longest
// goes first and each next goes to the worker that is free soonest.
func makespan(costs []float64, workers int) float64 {
	costs = slices.Clone(costs)
	slices.SortFunc(costs, func(a, b float64) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	busy := make([]float64, min(workers, len(costs)))
	for _, cost := range costs {
		soonest := 0
		for i := range busy {
			if busy[i] < busy[soonest] {
				soonest = i
			}
		}
		busy[soonest] += cost
	}
	return slices.Max(busy)
}
