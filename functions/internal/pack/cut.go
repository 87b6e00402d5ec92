package pack

import (
	"math"
	"sort"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/tools/container/isobmff"
)

// cut.go: where segments begin.

// cut divides all tracks at the same instants: pictures at which every rendition
// can be entered, the first of each interval.
func (p *packing) cut() error {
	common := map[int64]int{}
	for _, t := range p.video {
		if t.Timescale != p.video[0].Timescale {
			return errs.New(errs.Internal, op, "renditions %s and %s count time differently", p.video[0].name, t.name)
		}
		t.origin = firstPTS(t.Samples)
		for _, s := range entryPoints(t.Samples) {
			common[s-t.origin]++
		}
	}
	var starts []int64
	for at, n := range common {
		if n == len(p.video) {
			starts = append(starts, at)
		}
	}
	sort.Slice(starts, func(i, k int) bool { return starts[i] < starts[k] })
	v := p.video[0]
	kept, last := starts[:0], int64(-1)
	for _, at := range starts {
		if n := slice.Interval(v.seconds(at), p.Seconds); n > last {
			kept, last = append(kept, at), n
		}
	}
	if len(kept) == 0 || kept[0] != 0 {
		return errs.New(errs.Internal, op, "the renditions do not all begin with a picture they can be entered at")
	}
	end := int64(math.MaxInt64)
	for _, t := range p.video {
		t.divide(kept)
		whole := t.segments[len(t.segments)-1]
		end = min(end, whole.start+whole.dur)
	}
	p.total, p.rate = v.seconds(end), v.constantRate()
	times := make([]float64, len(kept))
	for i, at := range kept {
		times[i] = v.seconds(at)
	}
	for _, t := range p.audio {
		t.follow(times, v.seconds(v.origin))
	}
	return nil
}

// constantRate is the rate of pictures that all last equally long.
func (t *track) constantRate() media.Rational {
	for _, s := range t.Samples {
		if s.Dur != t.Samples[0].Dur || s.Dur <= 0 {
			return media.Rational{}
		}
	}
	return media.Rational{Num: int64(t.Timescale), Den: t.Samples[0].Dur}.Reduce()
}

func firstPTS(samples []isobmff.Sample) int64 {
	first := int64(math.MaxInt64)
	for _, s := range samples {
		first = min(first, s.PTS)
	}
	return first
}

// entryPoints are the times of key pictures behind which nothing refers to, or
// is shown, before them.
func entryPoints(samples []isobmff.Sample) []int64 {
	least := make([]int64, len(samples)) // of this and all later ones
	after := int64(math.MaxInt64)
	for i := len(samples) - 1; i >= 0; i-- {
		after = min(after, samples[i].PTS)
		least[i] = after
	}
	var all []int64
	before := int64(math.MinInt64)
	for i, s := range samples {
		if s.Key && s.PTS > before && least[i] == s.PTS {
			all = append(all, s.PTS)
		}
		before = max(before, s.PTS)
	}
	return all
}

// divide cuts a picture track at instants it can be entered at.
func (t *track) divide(starts []int64) {
	length := int64(0)
	for _, s := range t.Samples {
		length += s.Dur
	}
	next := 0
	for i, s := range t.Samples {
		if next < len(starts) && s.Key && s.PTS-t.origin == starts[next] {
			if next > 0 {
				t.segments[next-1].to = i
			}
			end := length
			if next+1 < len(starts) {
				end = starts[next+1]
			}
			t.segments = append(t.segments, segment{from: i, to: len(t.Samples), start: starts[next], dur: end - starts[next]})
			next++
		}
	}
}

// follow cuts a sound track at the coded frames nearest to the given instants,
// in seconds behind origin, which is in seconds of the file's time line.
func (t *track) follow(times []float64, origin float64) {
	t.origin = int64(math.Round(origin * float64(t.Timescale)))
	t.skip = max(t.origin-t.Samples[0].PTS, 0)
	last := t.Samples[len(t.Samples)-1]
	end := last.PTS + last.Dur - t.origin
	var firsts []int
	at := 0
	for _, time := range times {
		for at < len(t.Samples) && len(firsts) > 0 && t.seconds(t.Samples[at].PTS-t.origin)+t.seconds(t.Samples[at].Dur)/2 < time {
			at++
		}
		if at < len(t.Samples) && (len(firsts) == 0 || at > firsts[len(firsts)-1]) {
			firsts = append(firsts, at)
		}
	}
	for i, from := range firsts {
		s := segment{from: from, to: len(t.Samples), start: max(t.Samples[from].PTS-t.origin, 0)}
		until := end
		if i+1 < len(firsts) {
			s.to = firsts[i+1]
			until = t.Samples[s.to].PTS - t.origin
		}
		s.dur = until - s.start
		t.segments = append(t.segments, s)
	}
}

// rates are bit/s: of the dearest stretch between half and one and a half times
// the longest segment (RFC 8216 §4.1), and of all.
func (t *track) rates() (peak, average int64) {
	longest, bits, length := 0.0, 0.0, 0.0
	for _, s := range t.segments {
		longest = max(longest, t.seconds(s.dur))
		bits += float64(s.size) * 8
		length += t.seconds(s.dur)
	}
	most := bits / length
	average = int64(math.Ceil(most))
	for i := range t.segments {
		b, l := 0.0, 0.0
		for _, s := range t.segments[i:] {
			b, l = b+float64(s.size)*8, l+t.seconds(s.dur)
			if l > 1.5*longest {
				break
			}
			if l >= longest/2 {
				most = max(most, b/l)
			}
		}
	}
	return int64(math.Ceil(most)), average
}
