package isobmff

import (
	"math"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/container/timeline"
)

// maxTick bounds times so that sums of them cannot overflow.
const maxTick = math.MaxInt64 / 4

// raw lists the track's samples in decode order, PTS before any edit.
func (t *track) raw(maxSamples, fileSize int64) ([]timeline.Sample, error) {
	if t.count+t.fragSamples > maxSamples || t.count > fileSize {
		return nil, errs.New(errs.TooLarge, op, "track %d claims %d samples", t.id, t.count+t.fragSamples)
	}
	out := make([]timeline.Sample, 0, t.count+t.fragSamples)
	stts, dts := t.stts, int64(0)
	var left, delta int64
	for i := int64(0); i < t.count; i++ {
		for left == 0 && len(stts) >= 8 {
			left, delta, stts = int64(be.Uint32(stts)), int64(int32(be.Uint32(stts[4:]))), stts[8:]
			if delta < 0 { // seen in the wild for a last sample; stands for "as before"
				delta = 1
			}
		}
		if left == 0 {
			t.warn("track %d: times for %d of %d samples only", t.id, i, t.count)
			break
		}
		left--
		out = append(out, timeline.Sample{PTS: dts, Dur: delta, Size: int32(min(t.size(i), math.MaxInt32)), Key: !t.sync})
		dts += delta
	}
	t.compose(out)
	for s := t.stss; len(s) > 0; s = s[4:] {
		if n := int64(be.Uint32(s)) - 1; n >= 0 && n < int64(len(out)) {
			out[n].Key = true
		}
	}
	if err := t.place(out); err != nil {
		return nil, err
	}
	for _, r := range t.frags {
		out = r.expand(out)
	}
	return out, nil
}

// compose adds the composition offsets.
func (t *track) compose(out []timeline.Sample) {
	i := 0
	for c := t.ctts; len(c) > 0 && i < len(out); c = c[8:] {
		off := int64(int32(be.Uint32(c[4:]))) // version 0 files hold negative offsets too
		for n := be.Uint32(c); n > 0 && i < len(out); n-- {
			out[i].PTS += off
			i++
		}
	}
}

// place gives samples their offsets by the chunk tables.
func (t *track) place(out []timeline.Sample) error {
	width := 4
	if t.wide {
		width = 8
	}
	chunks := len(t.chunks) / width
	i := 0
	for c := t.stsc; len(c) > 0 && i < len(out); c = c[12:] {
		first, per, last := int64(be.Uint32(c)), be.Uint32(c[4:]), int64(chunks)+1
		if len(c) > 12 {
			last = min(last, int64(be.Uint32(c[12:])))
		}
		if first < 1 {
			return corrupt("stsc begins at chunk %d", first)
		}
		for k := first; k < last && i < len(out); k++ {
			var off int64
			if t.wide {
				off = int64(be.Uint64(t.chunks[(k-1)*8:]))
			} else {
				off = int64(be.Uint32(t.chunks[(k-1)*4:]))
			}
			if off < 0 {
				return corrupt("chunk %d lies at %d", k, off)
			}
			for n := per; n > 0 && i < len(out); n-- {
				out[i].Offset = off
				off += int64(out[i].Size)
				i++
			}
		}
	}
	if i < len(out) {
		return corrupt("track %d: chunks hold %d of %d samples", t.id, i, len(out))
	}
	return nil
}

// span is one stretch of media shown by the edit list, in the track's ticks.
type span struct {
	from, to int64 // media time
	at       int64 // presentation time of from
}

// spans turns the edit list into stretches. odd reports that it does more than
// delay or skip to a start.
func (t *track) spans() (s []span, odd bool) {
	at := int64(0)
	ticks := func(d int64) int64 {
		return int64(math.Round(min(float64(d)*float64(t.timescale)/float64(max(t.movieScale, 1)), maxTick)))
	}
	for i, e := range t.edits {
		if e.dur < 0 || e.time < -1 || e.time > maxTick {
			return []span{{0, math.MaxInt64, 0}}, true
		}
		if e.time == -1 {
			at += ticks(e.dur)
			odd = odd || len(s) > 0
			continue
		}
		to := int64(math.MaxInt64)
		if e.dur > 0 {
			to = e.time + ticks(e.dur)
		} else if i > 0 && len(s) > 0 {
			continue
		}
		odd = odd || len(s) > 0 || e.rate != 1<<16
		s = append(s, span{e.time, to, at})
		if to < math.MaxInt64 {
			at += to - e.time
		}
		at = min(at, maxTick)
	}
	if len(s) == 0 {
		s = []span{{0, math.MaxInt64, at}}
		if len(t.edits) == 0 { // no list: nothing is cut, not even before zero
			s[0] = span{math.MinInt64, math.MaxInt64, 0}
		}
	}
	return s, odd
}

// edited applies the edit list to samples in decode order. odd reports that it
// did more than move them. cut samples stay, marked hidden.
func (t *track) edited(raw []timeline.Sample, maxSamples int64) (out []timeline.Sample, odd bool, err error) {
	spans, odd := t.spans()
	if int64(len(spans))*int64(len(raw)) > maxSamples {
		return nil, true, errs.New(errs.TooLarge, op, "track %d: an edit list of %d parts over %d samples", t.id, len(spans), len(raw))
	}
	if len(spans) == 1 {
		out = raw
	}
	for _, sp := range spans {
		move := sp.at
		if sp.from != math.MinInt64 {
			move -= sp.from
		}
		for i := range raw {
			x := raw[i]
			x.Hidden = x.PTS < sp.from || x.PTS >= sp.to
			odd = odd || x.Hidden
			x.Hidden = x.Hidden || x.Size == 0 // nothing to decode: the picture before stays
			x.PTS += move
			if len(spans) == 1 {
				out[i] = x
			} else if !x.Hidden {
				out = append(out, x)
			}
		}
	}
	if len(t.edits) > 0 && t.fragSamples == 0 {
		snap(out, spans[0].at)
	}
	return out, odd, nil
}

// lasting sets how long the last picture is shown, of a track that the edit list
// only moves: until the media ends, which is as long as all samples together
// (ISO/IEC 14496-12 §8.6.1.2), or the edit does. Its own delta is that of decode
// times, to a picture shown before it where pictures are reordered.
func (t *track) lasting(shown []timeline.Sample) {
	_, ticks, _, samples := t.extent()
	if samples != int64(len(shown)) || t.fragSamples > 0 || samples == 0 {
		return
	}
	last := &shown[len(shown)-1]
	if d := shown[0].PTS + ticks - last.PTS; d > 0 {
		last.Dur = d
	}
	if s, _ := t.spans(); len(s) == 1 && s[0].to < math.MaxInt64 {
		if end := s[0].at + s[0].to - s[0].from; end > last.PTS && last.PTS+last.Dur-t.editSlack() > end {
			last.Dur = end - last.PTS
		}
	}
}

// editSlack is by how many ticks an edit's end may miss that of the media and
// mean it: a movie tick may be coarser than the track's.
func (t *track) editSlack() int64 { return 2 * int64(t.timescale) / int64(max(t.movieScale, 1)) }

// snap moves times so that the first picture shown is shown at once, where an
// edit begins in the middle of a picture: players show that one from there,
// and FFmpeg's demuxer counts from it (mov_fix_index, min_corrected_pts).
func snap(s []timeline.Sample, start int64) {
	first := int64(math.MaxInt64)
	for i := range s {
		if !s[i].Hidden {
			first = min(first, s[i].PTS)
		}
	}
	if late := first - start; first != math.MaxInt64 && late > 0 {
		for i := range s {
			s[i].PTS -= late
		}
	}
}

// extent is the media a track holds, from its tables alone: ticks from the
// first decode time, and the bytes and samples coded.
func (t *track) extent() (first, ticks, bytes, samples int64) {
	for s := t.stts; len(s) > 0; s = s[8:] {
		n, d := int64(be.Uint32(s)), int64(int32(be.Uint32(s[4:])))
		samples += n
		if ticks += n * max(d, 0); ticks > maxTick {
			ticks = maxTick
		}
	}
	if t.fixedSize > 0 {
		bytes = t.fixedSize * t.count
	} else {
		for i := range t.count {
			bytes += t.size(i)
		}
	}
	if samples == 0 {
		first = t.fragFirst
	}
	return first, ticks + t.fragTicks, bytes + t.fragBytes, samples + t.fragSamples
}
