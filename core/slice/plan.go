package slice

import (
	"math"
	"math/bits"
	"slices"
	"sort"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// Lengths of slices, in seconds, beside what their price suggests (bounds).
// Shorter than goodMin a slice costs quality: each starts its encoder's rate
// control anew.
const (
	absoluteMin = 4.0
	goodMin     = 10.0
	forcedMin   = 1.0    // where the caller insists on slicing a short clip
	longest     = 120.0  // what is lost when a slice fails
	perWorker   = 3      // slices a worker: the last ones to run are short
	searched    = 10_000 // frames on both sides of an ideal place
	// MaxParts bounds a plan.
	MaxParts = 600
)

// wish is how a video should be cut: into about Count parts, none shorter than
// Min seconds.
type wish struct {
	Count  int
	Min    float64
	Length float64 // seconds of the whole
}

// wanted is how a video of that length should be cut. Every worker gets the
// same number of slices — three, or as many as leave them goodMin long — so that
// none waits for the last. Many workers and a short video: as many slices as are
// worth starting. A long one, or dear work: no slice above what may be lost.
func (r *Request) wanted(length float64) wish {
	workers := max(r.Workers, 1)
	least, longest := r.bounds(length)
	w := wish{Min: least, Length: length}
	if r.Mode == Force && length < 2*absoluteMin {
		w.Min = forcedMin
	}
	most := int(min(length/w.Min, MaxParts))
	each := min(max(int(length/max(goodMin, w.Min)/float64(workers)), 1), perWorker)
	if over := int(math.Ceil(length / longest / float64(workers))); over > each {
		each = over
	}
	w.Count = min(max(min(each*workers, MaxParts), 2), most)
	if even := 0.6 * length / float64(max(w.Count, 1)); w.Min > absoluteMin && even < w.Min {
		w.Min = max(even, absoluteMin) // it has said how many; keyframes do not lie evenly
	}
	return w
}

// cutter knows where a track can be cut.
type cutter struct {
	v      *media.VideoStream
	keys   []media.Key
	usable []media.Key    // those a part may start at
	rate   media.Rational // of the result, if it is not the source's
	step   int64          // ticks from frame to frame if constant, else 0
}

func newCutter(v *media.VideoStream, rate media.Rational) *cutter {
	c := &cutter{v: v, keys: entries(v)}
	constant := constantRate(v)
	if rate.Known() && rate.Num > 0 && rate.Den > 0 && !(constant && rate.Reduce() == v.FrameRate.Reduce()) {
		c.rate = rate.Reduce()
	}
	if constant {
		period, fits1 := product(v.TimeBase.Den, v.FrameRate.Den)
		unit, fits2 := product(v.TimeBase.Num, v.FrameRate.Num)
		if fits1 && fits2 && period%unit == 0 {
			c.step = period / unit
		}
	}
	for _, k := range c.keys {
		if c.aligned(k.PTS) {
			c.usable = append(c.usable, k)
		}
	}
	return c
}

// aligned reports whether a frame of the result falls exactly on pts, so that
// a slice started there has its frames where the whole has them.
func (c *cutter) aligned(pts int64) bool {
	if !c.rate.Known() {
		return true
	}
	tb := c.v.TimeBase.Reduce()
	unit, fits1 := product(tb.Num, c.rate.Num)
	period, fits2 := product(tb.Den, c.rate.Den)
	ticks := pts - c.v.Timing.FirstPTS
	if !fits1 || !fits2 || ticks < 0 {
		return false
	}
	hi, lo := bits.Mul64(uint64(ticks), uint64(unit))
	return bits.Rem64(hi, lo, uint64(period)) == 0
}

// product multiplies two numbers of a file; false if one is not positive or
// the product has no room.
func product(a, b int64) (int64, bool) {
	if a <= 0 || b <= 0 || a > math.MaxInt64/b {
		return 0, false
	}
	return a * b, true
}

// keyAt returns the last keyframe at or before a frame.
func (c *cutter) keyAt(frame int64) media.Key { return c.keys[c.keyIndex(frame)] }

func (c *cutter) keyIndex(frame int64) int {
	return max(sort.Search(len(c.keys), func(i int) bool { return c.keys[i].Frame > frame })-1, 0)
}

// timeOf returns the exact time of a frame, if it is known: from the list of
// frames, from the keyframes, or between two keyframes at constant distance.
func (c *cutter) timeOf(frame int64) (pts int64, ok bool) {
	if list := c.v.FrameList; int64(len(list)) == c.v.Frames {
		return list[frame].PTS, true
	}
	i := c.keyIndex(frame)
	k := c.keys[i]
	if k.Frame == frame {
		return k.PTS, true
	}
	behind := media.Key{Frame: c.v.Frames - 1, PTS: c.v.Timing.LastPTS}
	if i+1 < len(c.keys) {
		behind = c.keys[i+1]
	}
	if c.step == 0 || behind.PTS-k.PTS != (behind.Frame-k.Frame)*c.step {
		return 0, false
	}
	return k.PTS + (frame-k.Frame)*c.step, true
}

// cut is the first frame of a part.
type cut struct{ frame, pts int64 }

// cuts chooses where parts begin, the first frame included, balanced by
// frames: near each ideal place it takes the nearest keyframe, or the exact
// frame where a GOP is so long that no keyframe is near.
func (c *cutter) cuts(w wish) []cut {
	total := c.v.Frames
	ideal := float64(total) / float64(w.Count)
	shortest := int64(math.Ceil(w.Min / w.Length * float64(total)))
	chosen := []cut{{0, c.v.Timing.FirstPTS}}
	for i := 1; i < w.Count; i++ {
		place := int64(math.Round(float64(i) * ideal))
		at, ok := c.near(place, ideal)
		prev := chosen[len(chosen)-1]
		if ok && at.frame-prev.frame >= shortest && total-at.frame >= shortest && at.pts > prev.pts {
			chosen = append(chosen, at)
		}
	}
	return chosen
}

// near finds the best cut about a place, for parts of an ideal length.
func (c *cutter) near(place int64, ideal float64) (cut, bool) {
	reach := int64(ideal / 2)
	i := sort.Search(len(c.usable), func(i int) bool { return c.usable[i].Frame >= place })
	best, found := cut{}, false
	for _, j := range []int{i - 1, i} {
		if j < 0 || j >= len(c.usable) {
			continue
		}
		k := c.usable[j]
		if !found || abs(k.Frame-place) < abs(best.frame-place) {
			best, found = cut{k.Frame, k.PTS}, true
		}
	}
	if found && abs(best.frame-place) <= reach {
		return best, true
	}
	// Inside a GOP: decoding starts at its keyframe, which is priced. What a file
	// claims of its frames is no measure of how long to search.
	for d := int64(0); d <= min(reach, searched); d++ {
		for _, f := range []int64{place - d, place + d} {
			if f <= 0 || f >= c.v.Frames {
				continue
			}
			if pts, ok := c.timeOf(f); ok && c.aligned(pts) {
				return cut{f, pts}, true
			}
		}
	}
	return best, found
}

// overlap is that of a call's slices.
func (r *Request) overlap() fn.Lap {
	switch {
	case r.Assembly.Lap != nil:
		return *r.Assembly.Lap
	case r.Spec.Mode == fn.Overlap:
		return r.Spec.Lap
	}
	return fn.Lap{}
}

// around is where the processing of a part that keeps the frames from first up
// to next begins and ends. Where the time of a frame is not known it goes on to
// the next keyframe.
func (c *cutter) around(first, next cut, lap fn.Lap) (from, to cut) {
	from, to = first, next
	if lap.Before > 0 && first.frame > 0 {
		from = c.until(first.frame, -int64(lap.Before), lap.Unit)
	}
	if lap.After > 0 && next.frame < c.v.Frames {
		to = c.until(next.frame, int64(lap.After), lap.Unit)
	}
	return from, to
}

// until is the frame n frames or GOPs from another; never nearer, inside the
// video. Backwards it lies on an instant of the result's frame rate, so that who
// counts the result's frames from there on counts those of the whole.
func (c *cutter) until(frame, n int64, unit fn.Unit) cut {
	key := int64(c.keyIndex(frame - 1)) // of the frame before
	if unit == fn.GOPs {
		key += n + 1
	} else {
		want := min(max(frame+n, 0), c.v.Frames)
		if want == c.v.Frames {
			return c.end()
		}
		for ; n < 0 && want > 0; want-- {
			if pts, ok := c.timeOf(want); !ok || c.aligned(pts) {
				break
			}
		}
		if pts, ok := c.timeOf(want); ok {
			return cut{want, pts}
		}
		if key = int64(c.keyIndex(want)); n > 0 {
			key++
		}
	}
	for ; n < 0 && key > 0 && !c.aligned(c.keys[key].PTS); key-- {
	}
	if key >= int64(len(c.keys)) {
		return c.end()
	}
	k := c.keys[max(key, 0)]
	return cut{k.Frame, k.PTS}
}

// end is just behind the last frame.
func (c *cutter) end() cut {
	return cut{c.v.Frames, c.v.Timing.LastPTS + max(c.v.Timing.LastDur, 1)}
}

// parts turns cuts into parts with their overlaps.
func (c *cutter) parts(cuts []cut, lap fn.Lap) []fn.Part {
	v := c.v
	scale := Scale(v.TimeBase)
	if c.rate.Known() { // frames and cuts lie on its grid then
		scale = Scale(media.Rational{Num: 1, Den: c.rate.Num})
	}
	parts := make([]fn.Part, len(cuts))
	for i, at := range cuts {
		next := c.end()
		if i+1 < len(cuts) {
			next = cuts[i+1]
		}
		p := fn.Part{
			Stream: fn.Pictures, Order: i, Of: len(cuts), TimeBase: v.TimeBase, Scale: scale,
			Start: at.pts, End: next.pts, First: at.frame, Frames: next.frame - at.frame,
		}
		from, to := c.around(at, next, lap)
		p.From, p.To = from.pts, to.pts
		p.DropHead, p.DropTail = at.frame-from.frame, to.frame-next.frame
		p.Entry = c.keyAt(from.frame).PTS
		p.Share = float64(p.DropHead+p.Frames+p.DropTail) / float64(v.Frames)
		p.Bytes = c.bytes(from.frame, to.frame)
		parts[i] = p
	}
	return parts
}

// bytes are those of the file that hold frames from … to-1 as far as keyframes
// tell: from the earliest key at or behind the entry, to the latest before the
// second key behind the end, since decoders read ahead. Zero where that is the
// end of the file, or nothing tells.
func (c *cutter) bytes(from, to int64) (b fn.Bytes) {
	first := c.keyIndex(from)
	last := sort.Search(len(c.keys), func(i int) bool { return c.keys[i].Frame >= to }) + 1
	if last >= len(c.keys) {
		return fn.Bytes{}
	}
	b.First = math.MaxInt64
	for i, k := range c.keys {
		if k.Bytes <= 0 {
			return fn.Bytes{}
		}
		if i >= first {
			b.First = min(b.First, k.Bytes)
		}
		if i <= last {
			b.Behind = max(b.Behind, k.Bytes)
		}
	}
	return b
}

// Scale is the ticks per second slices of a source are written with: so fine
// that every tick of the source is a whole number of them, where a track's
// 32-bit duration allows. 1/N with 1,000 < N ≤ 1,000,000 is N itself;
// otherwise 90,000 or the smallest multiple of the base's denominator from
// there up to a million; otherwise 90,000, to which times are rounded.
func Scale(timeBase media.Rational) int64 {
	const usual, limit = 90_000, 1_000_000
	tb := timeBase.Reduce()
	switch {
	case tb.Num == 1 && tb.Den > 1000 && tb.Den <= limit:
		return tb.Den
	case tb.Den <= 0 || tb.Den > limit:
		return usual
	}
	if usual%tb.Den == 0 {
		return usual
	}
	if n := (usual + tb.Den - 1) / tb.Den * tb.Den; n <= limit {
		return n
	}
	return usual
}

// Exact reports whether times of the base are whole numbers of 1/scale s.
func Exact(timeBase media.Rational, scale int64) bool {
	tb := timeBase.Reduce()
	return tb.Known() && tb.Den > 0 && scale%tb.Den == 0
}

// Offsets are where the parts begin on the result's time line, from the first
// frame on, in 1/Scale s; the last element is where the last one ends. Each is
// rounded by itself, so that errors do not add up.
func Offsets(parts []fn.Part) []int64 {
	if len(parts) == 0 {
		return nil
	}
	parts = slices.Clone(parts)
	slices.SortFunc(parts, func(a, b fn.Part) int { return a.Order - b.Order })
	at := make([]int64, 0, len(parts)+1)
	for _, p := range parts {
		at = append(at, rescale(p.Start-parts[0].Start, p.TimeBase, p.Scale))
	}
	last := parts[len(parts)-1]
	return append(at, rescale(last.End-parts[0].Start, last.TimeBase, last.Scale))
}

// rescale converts ticks ≥ 0 to 1/scale s, to the nearest, without overflow.
func rescale(ticks int64, tb media.Rational, scale int64) int64 {
	tb = tb.Reduce()
	if ticks < 0 || tb.Num <= 0 || tb.Den <= 0 || scale <= 0 || scale > math.MaxInt64/tb.Num {
		return 0
	}
	hi, lo := bits.Mul64(uint64(ticks), uint64(tb.Num*scale))
	lo, carry := bits.Add64(lo, uint64(tb.Den/2), 0)
	hi += carry
	if hi >= uint64(tb.Den) {
		return 0
	}
	q, _ := bits.Div64(hi, lo, uint64(tb.Den))
	return int64(q)
}

func abs(x int64) int64 {
	if x < 0 {
		return -x
	}
	return x
}
