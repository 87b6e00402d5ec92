// Package timeline derives facts about a picture track from the times of its
// samples: constant or variable rate, the exact rate, gaps, keyframe structure.
// It is pure.
package timeline

import (
	"cmp"
	"math"
	"slices"

	"github.com/mediafn/mediafn/core/media"
)

// Sample is one coded picture as the container tells of it.
type Sample struct {
	PTS    int64 // ticks, edit list applied
	Dur    int64 // ticks, as stored; 0 where the container does not say
	Offset int64 // of its first byte in the file
	Size   int32 // bytes
	Key    bool
	Leads  bool // on a key: pictures decoded after it are shown before it (set by Order)
	Lent   bool // not a key itself: entered through one that is not shown (set by Order)
	Hidden bool // decoded but outside the edit list, not shown
}

// Order marks leading pictures, drops what is not shown and sorts by PTS.
// Samples come in decode order and are reordered in place. reordered reports
// whether decode and presentation order differ. A key that is not shown but
// needed by what is lends its place to the first picture shown.
func Order(s []Sample) (shown []Sample, reordered bool) {
	last := -1
	top := int64(math.MinInt64)
	for i := range s {
		if s[i].PTS < top {
			reordered = true
		}
		top = max(top, s[i].PTS)
		if s[i].Key {
			last = i
		} else if last >= 0 && s[i].PTS < s[last].PTS && !s[i].Hidden {
			s[last].Leads = true
		}
	}
	entry := -1
	shown = s
	if slices.ContainsFunc(s, func(x Sample) bool { return x.Hidden }) {
		first, found := int64(math.MaxInt64), false
		for _, x := range s {
			if !x.Hidden && x.PTS < first {
				first, found = x.PTS, true
			}
		}
		for i, x := range s {
			if x.Hidden && x.Key && x.PTS < first && found && (entry < 0 || x.PTS > s[entry].PTS) {
				entry = i
			}
		}
		var lead Sample
		if entry >= 0 {
			lead = s[entry]
		}
		shown = slices.DeleteFunc(s, func(x Sample) bool { return x.Hidden })
		if entry >= 0 {
			for i := range shown {
				if shown[i].PTS == first && !shown[i].Key {
					shown[i].Key, shown[i].Lent, shown[i].Offset, shown[i].Leads = true, true, lead.Offset, false
					break
				}
			}
		}
	}
	if reordered || !slices.IsSortedFunc(shown, byPTS) {
		slices.SortStableFunc(shown, byPTS)
	}
	return shown, reordered
}

func byPTS(a, b Sample) int { return cmp.Compare(a.PTS, b.PTS) }

// Rate judges the times of pictures in presentation order. hints are rates the
// stream or container claims, tried first; none is believed unless it fits.
// With a constant rate, every time lies on one grid, rounded to a tick.
func Rate(s []Sample, tb media.Rational, hints ...media.Rational) (rate media.Rational, constant bool) {
	n := int64(len(s))
	if n < 2 || !tb.Known() || tb.Num <= 0 {
		return media.Rational{}, n == 1
	}
	first, last := s[0].PTS, s[n-1].PTS
	delta, equal := s[1].PTS-first, true
	for i := int64(2); i < n && equal; i++ {
		equal = s[i].PTS-s[i-1].PTS == delta
	}
	if equal && delta <= 0 {
		return media.Rational{}, false
	}
	fine := tb.Num*10000 <= tb.Den || delta >= 2000
	if equal && fine {
		return media.Rational{Num: tb.Den, Den: tb.Num * delta}.Reduce(), true
	}
	// The mean period is known to within a tick over the whole length.
	mean := float64(last-first) / float64(n-1)
	if mean <= 0 {
		return media.Rational{}, false
	}
	best, bestSpread := media.Rational{}, 1+1e-6
	for i, c := range slices.Concat(hints, standard) {
		if !c.Known() || c.Num <= 0 || c.Den <= 0 {
			continue
		}
		period := float64(tb.Den) * float64(c.Den) / (float64(tb.Num) * float64(c.Num))
		if math.Abs(period-mean)*float64(n-1) > 2 {
			continue
		}
		if sp := spread(s, period); sp < bestSpread-1e-9 {
			best, bestSpread = c.Reduce(), sp
			if i < len(hints) {
				return best, true
			}
		}
	}
	if best.Known() {
		return best, true
	}
	if equal {
		return media.Rational{Num: tb.Den, Den: tb.Num * delta}.Reduce(), true
	}
	if spread(s, mean) <= 1+2/float64(n) {
		return approximate(float64(tb.Den)/(float64(tb.Num)*mean), 1/(mean*float64(n-1))), true
	}
	return media.Rational{}, false
}

// spread is how far, in ticks, times stray around a grid of the given period:
// up to 1 is rounding.
func spread(s []Sample, period float64) float64 {
	lo, hi := math.Inf(1), math.Inf(-1)
	for i := range s {
		e := float64(s[i].PTS-s[0].PTS) - float64(i)*period
		lo, hi = min(lo, e), max(hi, e)
	}
	return hi - lo
}

// standard is the rates people shoot and show at, most common first.
var standard = func() (r []media.Rational) {
	for _, n := range []int64{25, 30, 24, 50, 60, 48, 120, 15, 10, 100, 240, 12, 20, 5, 1, 2, 8, 144, 90} {
		if n%24 == 0 || n%30 == 0 {
			r = append(r, media.Rational{Num: n * 1000, Den: 1001})
		}
		r = append(r, media.Rational{Num: n, Den: 1})
	}
	return r
}()

// approximate is the simplest fraction within a relative error of v.
func approximate(v, rel float64) media.Rational {
	for den := int64(1); den <= 1001; den++ {
		num := math.Round(v * float64(den))
		if num > 0 && math.Abs(num/float64(den)-v) <= v*rel {
			return media.Rational{Num: int64(num), Den: den}.Reduce()
		}
	}
	return media.Rational{Num: int64(math.Round(v * 1000)), Den: 1000}.Reduce()
}

// Timing sums up what is odd about the times of pictures in presentation order.
func Timing(s []Sample, tb, rate media.Rational) *media.Timing {
	if len(s) == 0 {
		return nil
	}
	last := s[len(s)-1]
	t := &media.Timing{FirstPTS: s[0].PTS, LastPTS: last.PTS, LastDur: last.Dur}
	period := 0.0
	if rate.Known() && rate.Num > 0 {
		period = float64(tb.Den) * float64(rate.Den) / (float64(tb.Num) * float64(rate.Num))
	} else {
		period = float64(median(s))
	}
	if t.LastDur <= 0 {
		t.LastDur = int64(math.Round(period))
	}
	for i, x := range s {
		if x.PTS < 0 {
			t.Negative++
		}
		if i == 0 {
			continue
		}
		switch d := x.PTS - s[i-1].PTS; {
		case d == 0:
			t.Repeated++
		case period > 0 && float64(d) > 3*period+1:
			t.Gaps++
		}
	}
	return t
}

// median is the middle distance between neighbours, from at most 10,000 of them.
func median(s []Sample) int64 {
	step := len(s)/10_000 + 1
	var d []int64
	for i := 1; i < len(s); i += step {
		if v := s[i].PTS - s[i-1].PTS; v > 0 {
			d = append(d, v)
		}
	}
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2]
}

// GOP measures the keyframe structure of pictures in presentation order.
func GOP(s []Sample, keys bool) *media.GOP {
	g := &media.GOP{MinLen: math.MaxInt}
	start := -1
	end := func(i int) {
		if start >= 0 {
			g.MinLen, g.MaxLen = min(g.MinLen, i-start), max(g.MaxLen, i-start)
		}
	}
	for i := range s {
		if !s[i].Key {
			continue
		}
		end(i)
		start = i
		g.Count++
		if keys {
			g.Keys = append(g.Keys, media.Key{Frame: int64(i), PTS: s[i].PTS, Bytes: s[i].Offset})
		}
	}
	if end(len(s)); g.Count == 0 {
		g.MinLen = 0
	}
	g.AllIntr = g.Count == len(s)
	return g
}

// Frames lists pictures in presentation order, each lasting until the next.
func Frames(s []Sample, lastDur int64, allIntra bool) []media.Frame {
	f := make([]media.Frame, len(s))
	for i, x := range s {
		d := lastDur
		if i+1 < len(s) {
			d = s[i+1].PTS - x.PTS
		}
		f[i] = media.Frame{PTS: x.PTS, Dur: d, Key: x.Key && !x.Lent, Size: int(x.Size)}
		if f[i].Key || allIntra {
			f[i].Type = "I"
		}
	}
	return f
}
