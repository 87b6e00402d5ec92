package slice

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// early.go: a source that still arrives and has no index is cut by its bytes: where
// frames lie is found out by who processes them. When it is whole, and all frames
// are known, that was a plan like any other, or it is not used.

// Early is what is decided of the front of a source: the facts of slice.plan with
// early = true.
type Early struct {
	Early    bool      `json:"early"`               // slices begin before the end
	NotEarly string    `json:"not_early,omitempty"` // why not, as a sentence
	Splits   []fn.Part `json:"splits"`
	// Assembly is what the slices were made for, by what the front told.
	Assembly fn.Assembly `json:"assembly"`
}

// Found is what the slice of a split has: the facts of its call. Times are ticks of
// TimeBase on the clock of a copy of the source, which is Shift later.
type Found struct {
	TimeBase media.Rational `json:"time_base"`
	From     int64          `json:"from"` // time of its first frame, a keyframe
	To       int64          `json:"to"`   // of the first one behind it; of the last slice where its last one ends
	Frames   int64          `json:"frames"`
	Scale    int64          `json:"time_scale"` // ticks a second of its own track
	Shift    float64        `json:"shift"`
}

// Ahead is what came of the splits, in order: the facts of their fan-out.
type Ahead struct {
	Each []*Found `json:"each"`
}

// How far behind its end a split is read: up to the second keyframe there, which few
// seconds or bytes hold. What lies farther is found missing, and waited for.
const (
	aheadSeconds = 4.0
	aheadBytes   = 6 << 20
	leastSplit   = 1 << 20
)

// EarlyFor decides whether slices of a source of which the front is known begin before
// its end. Its duration is that which its size makes likely.
func EarlyFor(r Request) Early {
	no := func(format string, args ...any) Early {
		return Early{NotEarly: fmt.Sprintf(format, args...), Splits: []fn.Part{}, Assembly: r.Assembly}
	}
	front := r.Source
	v := front.MainVideo()
	switch a := r.Assembly; {
	case v == nil:
		return no("no pictures were found in front")
	case r.Spec.Mode != fn.Independent || r.overlap() != fn.Lap{} || a.Neighbours:
		return no("its slices look at frames of others, and are planned when all are known")
	case a.Reduce:
		return no("its slices depend on each other, and are planned when all frames are known")
	case a.FrameRate.Known():
		return no("where the frames of another rate fall is known when all frames are")
	case a.RatePolicy != nil && a.RatePolicy.Code == fn.LowRate:
		return no("the rate of the whole caps that of the result")
	}
	size := front.Size
	if r.Source = supposed(front); r.Source == nil {
		return no("its length can't be told before the end")
	}
	d := Decide(r)
	n := min(int64(len(d.Parts)), size/leastSplit)
	switch {
	case !d.Sliced:
		return no("%s", d.Reason)
	case n < 2:
		return no("it is too small to begin before its end")
	}
	e := Early{Early: true, Assembly: r.Assembly}
	each := (size + n - 1) / n
	behind := int64(min(aheadSeconds*float64(size)/max(front.Duration, 1), aheadBytes))
	for i := range n {
		b := fn.Bytes{First: i * each, Behind: (i + 1) * each}
		p := fn.Part{Stream: fn.Pictures, Order: int(i), Of: int(n), Share: 1 / float64(n), Bytes: fn.Bytes{First: b.First, Behind: b.Behind + behind}}
		if p.Bytes.Behind >= size {
			p.Bytes.Behind = 0
		}
		if i == n-1 {
			b.Behind = 0
		}
		p.Split = &b
		e.Splits = append(e.Splits, p)
	}
	return e
}

// used is the plan p of the whole source, or in its place that of the slices that are
// there already, if they are what a plan could be: from keyframe to keyframe, all
// frames, for the same result.
func (e *Early) used(p Plan, ahead *Ahead, done *Remuxed, r Request) Plan {
	shift := 0.0
	if done != nil && !done.Failed {
		shift = done.Shift
	}
	c, parts, why := e.chain(ahead, shift, r)
	if why != "" {
		p.NotAhead = why
		p.Reason += "; slices were made while it arrived, and are not used: " + why
		return p
	}
	d := Decision{Sliced: true, Code: Arriving, Parts: parts, Prediction: r.predict(c, parts),
		Reason: fmt.Sprintf("cut into %d slices while it arrived", len(parts))}
	own := document(r, d)
	own.Ahead, own.Shift = true, shift
	return own
}

// chain lays the slices that were found over the frames of the source.
func (e *Early) chain(ahead *Ahead, shift float64, r Request) (c *cutter, parts []fn.Part, why string) {
	no := func(format string, args ...any) (*cutter, []fn.Part, string) {
		return nil, nil, fmt.Sprintf(format, args...)
	}
	if ahead == nil || len(ahead.Each) != len(e.Splits) {
		return no("not all of them could be made")
	}
	if was, is := text(e.Assembly), text(r.Assembly); was != is {
		return no("the whole asks for another result than its front did")
	}
	if d := r.forbidden(); d != nil {
		return no("%s", d.Reason)
	}
	v := r.Source.MainVideo()
	c = newCutter(v, r.Assembly.FrameRate)
	number := make(map[int64]int64, len(c.keys)) // of the frame, by its time
	for _, k := range c.keys {
		number[k.PTS] = k.Frame
	}
	at, cuts := cut{0, v.Timing.FirstPTS}, []cut(nil)
	for i, f := range ahead.Each {
		switch {
		case f == nil || f.TimeBase.Num <= 0 || f.TimeBase.Den <= 0:
			return no("slice %d does not say what it holds", i)
		case f.Frames == 0:
			continue
		case f.Scale != Scale(v.TimeBase) || f.Shift != shift:
			return no("slice %d counts times otherwise", i)
		}
		from, exact := ticks(f.From, f.TimeBase, v.TimeBase)
		if frame, key := number[from]; !exact || !key || from != at.pts || frame != at.frame {
			return no("slice %d begins at %.3f s, not at the keyframe at %.3f s", i, f.TimeBase.Seconds(f.From), v.TimeBase.Seconds(at.pts))
		}
		cuts = append(cuts, at)
		to, exact := ticks(f.To, f.TimeBase, v.TimeBase)
		next := cut{number[to], to}
		if _, key := number[to]; !exact || !key {
			next = c.end() // the next one, if there is one, begins elsewhere
		}
		if f.Frames != next.frame-at.frame {
			return no("slice %d has %d frames of %d", i, f.Frames, next.frame-at.frame)
		}
		at = next
	}
	if len(cuts) < 2 || at != c.end() {
		return no("%d of them end with frame %d of %d", len(cuts), at.frame, v.Frames)
	}
	return c, c.parts(cuts, fn.Lap{}), ""
}

// ticks converts a time from one clock to another; false if it is no whole number
// there.
func ticks(t int64, from, to media.Rational) (int64, bool) {
	a, fits1 := product(from.Num, to.Den)
	b, fits2 := product(from.Den, to.Num)
	if !fits1 || !fits2 || t < 0 {
		return 0, false
	}
	r := media.Rational{Num: a, Den: b}.Reduce()
	if t%r.Den != 0 || t/r.Den > math.MaxInt64/r.Num {
		return 0, false
	}
	return t / r.Den * r.Num, true
}

// text is what slices are made for. In which words a policy is explained counts for
// nothing; tags of colours that one container tells and another does not are held
// to the source's by the certificate.
func text(a fn.Assembly) string {
	a.Color = nil
	if a.RatePolicy != nil {
		a.RatePolicy = &fn.RatePolicy{Code: a.RatePolicy.Code}
	}
	raw, _ := json.Marshal(a) // plain data: cannot fail
	return string(raw)
}
