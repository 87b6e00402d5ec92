package assemble

import (
	"bytes"
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

// Two slices of equal length in each other's place give perfect timestamps.
// Only the pictures tell, so tiny ones from slice starts of the result are
// compared with those of the source. A function may change how pictures look;
// hence it is not asked how alike they are, but which place each resembles.
const (
	thumb    = 16       // pixels a side
	compared = 12       // slices looked at, spread evenly; each costs two seeks
	held     = 16 << 20 // pixels of one picture of all decoders that are open at once: each holds a dozen
	distinct = 0.15
)

// compareOrder looks at up to [compared] slices.
func (tr trial) compareOrder(ctx fn.Context, v *media.VideoStream) (*slice.Order, error) {
	plan := tr.plan
	n := min(len(plan.Segments), compared)
	if n < 2 {
		return nil, nil
	}
	source, result := make([]spot, n), make([]spot, n)
	order := make([]int, n)
	for i := range n {
		s := plan.Segments[i*(len(plan.Segments)-1)/(n-1)]
		order[i], source[i] = s.Order, spot{at: s.TimeBase.Seconds(s.Start), lead: s.TimeBase.Seconds(s.Start - s.Entry)}
		result[i] = spot{at: source[i].at, lead: lead(v, source[i].at)}
	}
	var want, got [][]float64
	if err := beside(ctx, func(ctx fn.Context) (err error) {
		in, seen := tr.call.In("source"), (*media.VideoStream)(nil)
		if in.Info != nil {
			seen = in.Info.MainVideo()
		}
		want, err = thumbs(ctx, tr.eye, in, seen, source)
		return errs.Wrap("source", err)
	}, func(ctx fn.Context) (err error) {
		got, err = thumbs(ctx, tr.eye, tr.result, v, result)
		return errs.Wrap("result", err)
	}); err != nil {
		return nil, err
	}
	o := &slice.Order{Compared: n}
	for _, i := range misplaced(got, want) {
		o.Misplaced = append(o.Misplaced, order[i])
	}
	return o, nil
}

// misplaced lists the pictures of got that resemble another one of want far
// more than their own. Where all look alike, nothing can be told.
func misplaced(got, want [][]float64) (bad []int) {
	for i := range got {
		own := distance(got[i], want[i])
		for j := range want {
			if own > distinct && distance(got[i], want[j]) < own/2 {
				bad = append(bad, i)
				break
			}
		}
	}
	return bad
}

// distance is the mean difference of two normalised pictures, in standard
// deviations.
func distance(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += math.Abs(a[i] - b[i])
	}
	return sum / float64(len(a))
}

// normalise takes brightness and contrast out of a picture.
func normalise(pixels []byte) []float64 {
	out := make([]float64, len(pixels))
	mean, spread := 0.0, 0.0
	for _, p := range pixels {
		mean += float64(p) / float64(len(pixels))
	}
	for i, p := range pixels {
		out[i] = float64(p) - mean
		spread += out[i] * out[i] / float64(len(pixels))
	}
	spread = max(math.Sqrt(spread), 1)
	for i := range out {
		out[i] /= spread
	}
	return out
}

// spot is a picture to look at, in seconds on the file's own time line, and how
// far behind an entry point it lies: 0 = it is one, and decodes by itself.
type spot struct{ at, lead float64 }

// lead is how far t lies behind a keyframe of the track.
func lead(v *media.VideoStream, t float64) float64 {
	near := math.Inf(1)
	if v.GOP != nil {
		for _, k := range v.GOP.Keys {
			if behind := t - v.TimeBase.Seconds(k.PTS); behind > -0.001 {
				near = min(near, max(behind, 0))
			}
		}
	}
	switch {
	case near < 0.001: // the result's clock may be coarser
		return 0
	case math.IsInf(near, 1):
		return t
	}
	return near
}

// thumbs decodes one tiny picture of v at each spot, as many at once as memory
// allows: every process that is started costs as much as a picture.
func thumbs(ctx fn.Context, eye *meter, in *fn.Input, v *media.VideoStream, at []spot) ([][]float64, error) {
	batch := 2
	if v != nil && v.Width > 0 && v.Height > 0 {
		batch = max(held/(v.Width*v.Height), batch)
	}
	var all [][]float64
	for len(at) > 0 {
		n := min(batch, len(at))
		var out bytes.Buffer
		job := ffmpeg.Job{Stdout: &out}
		source.Grant(&job, in)
		args, err := thumbArgs(in, at[:n])
		if err != nil {
			return nil, err
		}
		job.Args = args
		if err := eye.run(ctx, job); err != nil {
			return nil, err
		}
		if out.Len() < n*thumb*thumb {
			return nil, errs.New(errs.Invalid, "assemble", "%d bytes of pictures where %d were expected", out.Len(), n*thumb*thumb)
		}
		for i := range n {
			all = append(all, normalise(out.Bytes()[i*thumb*thumb:][:thumb*thumb]))
		}
		at = at[n:]
	}
	return all, nil
}

// thumbArgs opens the file once for each spot and stacks the pictures found.
// It looks 2 ms early, so that rounding cannot skip the frame itself. ffmpeg goes
// on decoding an input whose picture it has, so each ends soon behind it: a second,
// since pictures may be shown before the entry. Decoding no others would take
// longer: a decoder gives a picture away when it has seen those that follow.
func thumbArgs(in *fn.Input, at []spot) ([]string, error) {
	args := []string{"-copyts"}
	var graph strings.Builder
	for i, s := range at {
		a, err := seekTo(in, s.at, "-t", fmt.Sprintf("%.3f", s.lead+1))
		if err != nil {
			return nil, err
		}
		args = append(args, a...)
		fmt.Fprintf(&graph, "[%d:v:0]trim=start=%.6f,trim=end_frame=1,setpts=0,scale=%d:%d:flags=area,format=gray,setsar=1[t%d];", i, s.at-0.002, thumb, thumb, i)
	}
	for i := range at {
		fmt.Fprintf(&graph, "[t%d]", i)
	}
	if len(at) > 1 {
		fmt.Fprintf(&graph, "vstack=inputs=%d[all]", len(at))
	} else {
		graph.WriteString("null[all]")
	}
	return append(args, "-filter_complex", graph.String(), "-map", "[all]", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"), nil
}
