package slice

import (
	"fmt"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// Decide says whether to slice, why, and how. It is deterministic.
func Decide(r Request) Decision {
	if no := r.forbidden(); no != nil {
		if r.Source != nil && r.Source.MainVideo() != nil {
			no.Prediction = r.whole()
		}
		return *no
	}
	c, parts, no := r.cut()
	if no != nil {
		no.Prediction = r.whole()
		return *no
	}
	p := r.predict(c, parts)
	against := fmt.Sprintf("%.1f s predicted against %.1f s whole, on %d cores", p.SlicedSeconds, p.WholeSeconds, p.Workers)
	d := Decision{Sliced: true, Code: Sliced, Parts: parts, Prediction: p, Reason: fmt.Sprintf("cut into %d slices: %s", p.Slices, against)}
	length, limit := span(r.Source.MainVideo()), r.threshold().Seconds()
	switch {
	case r.Mode == Force:
		d.Code = Forced
		d.Reason = fmt.Sprintf("cut into %d slices because the caller asked for it: %s", p.Slices, against)
		return d
	case length < limit:
		d = not(TooShort, "the video is %.1f s long, slicing starts at %.0f s", length, limit)
	case r.Workers < 2:
		d = not(FewWorkers, "%d slice(s) could run at once, two are needed to gain anything", max(r.Workers, 0))
	case p.SlicedSeconds > p.WholeSeconds*(1-minGain):
		d = not(NoGain, "in %d slices %s", p.Slices, against)
	}
	d.Prediction = p
	return d
}

// cut finds the parts, or says why there are none.
func (r *Request) cut() (*cutter, []fn.Part, *Decision) {
	none := func(code Code, format string, args ...any) (*cutter, []fn.Part, *Decision) {
		d := not(code, format, args...)
		return nil, nil, &d
	}
	v := r.Source.MainVideo()
	length := span(v)
	w := r.wanted(length)
	if w.Count < 2 {
		return none(TooShort, "the video is %.1f s long, two slices need %.0f s", length, 2*w.Min)
	}
	c := newCutter(v, r.Assembly.FrameRate)
	cuts := c.cuts(w)
	if len(cuts) < 2 {
		if len(c.usable) < 2 && len(c.keys) > 1 {
			return none(FrameRate, "no keyframe lies on an instant of the result's frame rate %s", r.Assembly.FrameRate)
		}
		return none(OneGOP, "%d keyframe(s) in %.1f s leave no place to cut", len(c.keys), length)
	}
	return c, c.parts(cuts, r.overlap()), nil
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
			return no(NotSeekable, "the %s file has no index to read ranges by", f)
		}
	case "avi":
		return no(AVI, "an AVI file keeps no frame times")
	default:
		return no(NotSeekable, "ranges of %s lose frames", f)
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

const refused = "not sliced: "

func not(code Code, format string, args ...any) Decision {
	return Decision{Code: code, Reason: refused + fmt.Sprintf(format, args...)}
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
