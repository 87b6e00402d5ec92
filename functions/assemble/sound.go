package assemble

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// Timestamps cannot prove that sound stays with the pictures: priming may or
// may not be cut off, gaps may be filled. So stretches of the sound itself are
// laid over each other.
const (
	earRate   = 8000 // Hz
	earLength = 3.0  // seconds of a stretch
	earReach  = 1200 // samples looked to either side: 150 ms
	earTracks = 2    // tracks compared
)

// compareSound measures the lag of the result's sound near the start, in the
// middle and near the end.
func (tr trial) compareSound(ctx fn.Context, tracks []media.AudioStream) (all []slice.Shift, err error) {
	p := tr.promise
	first := p.TimeBase.Seconds(p.FirstPTS)
	for t := range min(len(tracks), len(p.Sound), earTracks) {
		length := p.Sound[t].Duration
		if length <= 0 || length < earLength && tracks[t].Codec == "opus" {
			// Opus begins with samples that are dropped, by times that Matroska rounds to
			// a millisecond: only further in do two containers agree to less than that.
			continue
		}
		begin := first + p.Sound[t].Offset
		at := []float64{begin} // short sound is compared as a whole
		if length >= earLength {
			at = nil
			for _, part := range []float64{0.03, 0.5, 0.97} {
				at = append(at, begin+part*(length-earLength))
			}
		}
		var want, got [][]float64
		if err := beside(ctx, func(ctx fn.Context) (err error) {
			want, err = hear(ctx, tr.eye, tr.call.In("source"), t, at, p.Sound[t].Steady)
			return errs.Wrap("source", err)
		}, func(ctx fn.Context) (err error) {
			got, err = hear(ctx, tr.eye, tr.result, t, at, p.Sound[t].Steady)
			return errs.Wrap("result", err)
		}); err != nil {
			return nil, err
		}
		for i := range at {
			lag, clear := shift(want[i], got[i])
			all = append(all, slice.Shift{Track: t, At: at[i], Lag: lag, Clear: clear})
		}
	}
	return all, nil
}

// alike is how much of the best likeness another lag must reach to count as
// well: what a peak between two samples may lose by being interpolated. faint is
// how much of it a sample must reach to be part of a peak: of three small ones
// any can look like half a wave, however high.
const (
	alike = 0.98
	faint = 0.5
)

// shift finds how many seconds b lies behind a, by cross-correlation, between
// samples too. A tone matches itself at every period: of the lags at which the
// two are as alike as anywhere, the smallest is taken.
func shift(a, b []float64) (lag float64, clear bool) {
	if len(a) <= 2*earReach || len(b) < len(a) {
		return 0, false
	}
	ears := a[earReach : len(a)-earReach]
	aa := 0.0
	for _, x := range ears {
		aa += x * x
	}
	loud := make([]float64, len(b)+1) // of all samples before; whole numbers, so differences are exact
	for i, y := range b {
		loud[i+1] = loud[i] + y*y
	}
	score := func(k int) float64 {
		from := earReach + k
		bb := loud[from+len(ears)] - loud[from]
		if aa < 1 || bb < 1 { // silence, one quantisation step loud at most
			return 0
		}
		ab := 0.0
		for i, y := range b[from : from+len(ears)] {
			ab += ears[i] * y
		}
		return ab / math.Sqrt(aa*bb)
	}
	scores := make(map[int]float64, 2*earReach+1)
	at := func(k int) float64 {
		if _, known := scores[k]; !known {
			scores[k] = score(k)
		}
		return scores[k]
	}
	// No likeness is above 1, so a lag that comes so near is as good as any. Most
	// sound is where it should be: it is looked for from there outwards.
	if p, ok := peakAt(at, 0); ok && p.height >= alike && at(0) >= faint {
		return p.at / earRate, true
	}
	most := 0.0
	for k := -earReach; k <= earReach; k++ {
		most = max(most, at(k))
	}
	var peaks []peak
	best := 0.0
	for k := 1 - earReach; k < earReach; k++ {
		if at(k) < faint*most {
			continue
		}
		if p, ok := peakAt(at, k); ok {
			peaks, best = append(peaks, p), max(best, p.height)
		}
	}
	nearest := math.Inf(1)
	for _, p := range peaks {
		if p.height >= alike*best && math.Abs(p.at) < math.Abs(nearest) {
			nearest = p.at
		}
	}
	if len(peaks) == 0 {
		nearest = 0
	}
	return nearest / earRate, best > 0.5
}

// peak is a lag, in samples, at which two stretches are more alike than around it.
type peak struct{ at, height float64 }

// peakAt is the peak of the wave through the scores at k and beside it, if the
// one at k is the highest of them.
func peakAt(score func(int) float64, k int) (peak, bool) {
	l, m, r := score(k-1), score(k), score(k+1)
	if m <= 0 || m < l || m < r {
		return peak{}, false
	}
	p := peak{float64(k), m}
	if c := (l + r) / (2 * m); c > -1 && c < 1 {
		w := math.Acos(c)
		d := math.Atan((r-l)/(2*m*math.Sin(w))) / w
		p.at, p.height = p.at+d, m/math.Cos(d*w)
	}
	return p, true
}

// hear decodes stretches of one sound track, mono, on the file's own time line,
// of a steady clock with jumps of more than a millisecond as they are.
func hear(ctx fn.Context, eye *meter, in *fn.Input, track int, at []float64, steady bool) ([][]float64, error) {
	jump := 0.1
	if steady {
		jump = 0.001
	}
	in, err := source.Heard(ctx, in)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	job := ffmpeg.Job{Stdout: &out}
	source.Grant(&job, in)
	args := []string{"-copyts"}
	var graph strings.Builder
	for i, t := range at {
		a, err := seekTo(in, t-0.5, "-skip_frame:v", "all") // else its first picture is decoded, for nothing
		if err != nil {
			return nil, err
		}
		args = append(args, a...)
		fmt.Fprintf(&graph, "[%d:a:%d]atrim=start=%.6f:end=%.6f,asetpts=PTS-%.6f/TB,aresample=%d:async=1:min_hard_comp=%g:first_pts=0,aformat=sample_fmts=s16:channel_layouts=mono,apad,atrim=end=%.1f[s%d];",
			i, track, t, t+earLength, t, earRate, jump, earLength, i)
	}
	for i := range at {
		fmt.Fprintf(&graph, "[s%d]", i)
	}
	fmt.Fprintf(&graph, "concat=n=%d:v=0:a=1[all]", len(at))
	job.Args = append(args, "-filter_complex", graph.String(), "-map", "[all]", "-f", "s16le", "-c:a", "pcm_s16le", "pipe:1")
	if err := eye.run(ctx, job); err != nil {
		return nil, err
	}
	all := make([][]float64, len(at))
	n := int(earLength * earRate)
	for i := range all {
		all[i] = make([]float64, n)
		for k := range all[i] {
			if o := 2 * (i*n + k); o+2 <= out.Len() {
				all[i][k] = float64(int16(binary.LittleEndian.Uint16(out.Bytes()[o:])))
			}
		}
	}
	return all, nil
}

// seekTo opens in at the entry point before t, a time on the file's own time
// line, with options of the input, and leaves it to a filter to cut exactly.
func seekTo(in *fn.Input, t float64, options ...string) ([]string, error) {
	open := source.Open(in)
	open.Seek = new(max(t, 0))
	open.Extra = append(append(open.Extra, "-threads", "1", "-seek_timestamp", "1", "-noaccurate_seek"), options...)
	return open.Args()
}
