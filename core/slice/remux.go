package slice

import (
	"slices"
	"strings"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// remux.go: what cannot be entered exactly in place can often be once it was
// copied into an mp4 (assemble.remux). That is done where slicing pays with it,
// and only then.

// Look is what a first look at a source decides: the facts of slice.plan with
// look = true.
type Look struct {
	Remux bool `json:"remux"` // slicing pays, if the source is copied into an mp4 first
	// Again says that slicing pays, but the profile does not tell all it needs:
	// that of the copy, or one that counts the frames, must be made.
	Again  bool   `json:"again"`
	Code   Code   `json:"code"`   // the ground of a refusal, or why the source cannot be sliced as it is
	Reason string `json:"reason"` // that ground as a sentence
}

// Remuxed is the outcome of a remux: the facts of assemble.remux. The copy is
// the only other thing it gives.
type Remuxed struct {
	Failed bool    `json:"failed"`           // there is no copy
	Reason string  `json:"reason,omitempty"` // why not
	Shift  float64 `json:"shift"`            // seconds the copy's times are later than the source's, in all tracks
}

// What copying into an mp4 costs: a start, and waiting for the store on both
// sides.
const (
	remuxBase = 0.8   // seconds
	remuxRate = 150e6 // bytes a second
)

func remuxCost(size int64) float64 { return remuxBase + float64(max(size, 0))/remuxRate }

// mendable are the grounds a copy with an index may remove.
var mendable = []Code{NotSeekable, AVI, EditList, Negative, NoKeyframes}

// LookAt says whether to remux, or to look closer, before the plan is made.
func LookAt(r Request) Look { return lookAt(r, false) }

// lookAt is LookAt. begun says that slices were made already, which are there to be
// used whatever it would cost to make them.
func lookAt(r Request, begun bool) Look {
	d := Decide(r)
	l := Look{Code: d.Code, Reason: d.Reason}
	uncounted := d.Code == NoVideo && indexed(r.Source)
	if !uncounted && !slices.Contains(mendable, d.Code) {
		return l
	}
	size := r.Source.Size
	if r.Source = supposed(r.Source); r.Source == nil {
		return l
	}
	then := Decide(r)
	p := then.Prediction
	if cost := remuxCost(size); then.Sliced && !uncounted && r.Mode != Force && p.SlicedSeconds+cost > p.WholeSeconds*(1-minGain) {
		then = not(NoGain, "%s; copied into an mp4 first, %d slices would take %.1f s, the whole %.1f s", strings.TrimPrefix(d.Reason, refused), len(then.Parts), p.SlicedSeconds+cost, p.WholeSeconds)
	}
	switch {
	case then.Sliced, begun && slices.Contains([]Code{OneGOP, TooShort, FewWorkers, NoGain}, then.Code):
		l.Again, l.Remux = true, !uncounted
	case then.Code != d.Code:
		l.Code, l.Reason = then.Code, then.Reason
	}
	return l
}

// indexed reports whether all that lacks of a profile are counts: the
// container's index named the entry points.
func indexed(source *media.Info) bool {
	v := source.MainVideo()
	return v != nil && v.Timing == nil && v.GOP != nil && len(v.GOP.Keys) > 0 && v.GOP.Keys[0].Frame < 0
}

// supposed is what a copy of the source, or a closer look at it, would show as
// far as one can tell before: enough to judge whether slicing would pay. Plans
// are made of what was seen. Nil if nothing would help.
func supposed(source *media.Info) *media.Info {
	main := source.MainVideo()
	if main == nil {
		return nil
	}
	v := *main
	if v.Timing == nil || v.GOP == nil || len(v.GOP.Keys) == 0 || v.GOP.Keys[0].Frame < 0 {
		if !supposeFrames(&v, source.Duration) {
			return nil
		}
	}
	t, g := *v.Timing, *v.GOP
	t.EditList, t.Negative = false, 0
	g.Keys = slices.Clone(g.Keys)
	if early := min(t.FirstPTS, 0); early < 0 {
		t.FirstPTS, t.LastPTS = t.FirstPTS-early, t.LastPTS-early
		for i := range g.Keys {
			g.Keys[i].PTS -= early
		}
	}
	v.Timing, v.GOP = &t, &g
	copied := *source
	copied.Format, copied.Seekable, copied.StartTime = "mp4", new(true), max(source.StartTime, 0)
	copied.Video = []media.VideoStream{v}
	return &copied
}

// supposeFrames lays frames of a constant rate, with entry points at the usual
// distance, over a track of which neither is known.
func supposeFrames(v *media.VideoStream, duration float64) bool {
	rate := v.FrameRate
	if !rate.Known() {
		rate = v.AvgRate
	}
	if !rate.Known() {
		rate = media.Rational{Num: 25, Den: 1}
	}
	if v.Frames <= 0 {
		v.Frames = int64(duration * rate.Float())
	}
	if rate.Num <= 0 || rate.Den <= 0 || v.Frames <= 0 || v.Frames > 1<<32 {
		return false
	}
	const usual = 250 // frames from entry point to entry point
	v.TimeBase, v.FrameRate, v.VFR = media.Rational{Num: rate.Den, Den: rate.Num}, rate, new(false)
	v.Timing, v.GOP = &media.Timing{LastPTS: v.Frames - 1, LastDur: 1}, &media.GOP{}
	for f := int64(0); f < v.Frames; f += usual {
		v.GOP.Keys = append(v.GOP.Keys, media.Key{Frame: f, PTS: f})
	}
	return true
}

// Closer is the plan made after a look: of the caller's file where that was
// enough, else of what was seen then, the copy's profile if there is one. done
// is nil where nothing was remuxed, seen where nobody looked again; what was
// asked for and is not there has failed, and then the video is not sliced.
func Closer(l Look, done *Remuxed, original, seen *media.Info, r Request) Plan {
	refuse := func(why string) Plan {
		return Plan{Code: l.Code, Reason: l.Reason + "; " + why, Segments: []fn.Part{}, Assembly: r.Assembly}
	}
	switch {
	case !l.Again:
		r.Source = original
		p := Document(r)
		if !p.Sliced {
			p.Code, p.Reason = l.Code, l.Reason
		}
		return p
	case l.Remux && (done == nil || done.Failed):
		if done == nil || done.Reason == "" {
			return refuse("copying it into an mp4 failed")
		}
		return refuse("copied into an mp4 it is not the same: " + done.Reason)
	case seen == nil:
		return refuse("its frames could not be counted")
	}
	r.Source = seen
	p := Document(r)
	if !l.Remux || !p.Sliced {
		return p
	}
	cost := remuxCost(original.Size)
	p.Prediction.SlicedSeconds += cost
	p.Prediction.SlicedCost += cost
	p.Shift, p.Code = done.Shift, Remuxing
	p.Reason = strings.TrimPrefix(l.Reason, refused) + ": copied into an mp4 first, then " + p.Reason
	return p
}
