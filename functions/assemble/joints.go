package assemble

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// joints.go: assemble.joints compares pictures around joints with the source.

var jointsSpec = fn.Spec{
	Name:    "assemble.joints",
	Version: "1",
	Summary: "Measure whether the joints of a merged file show",
	Doc: "Decodes windows of one second around joints, and beside them, from the merged file and from the source, finds out by small pictures that both show " +
		"the same moments, and compares them by SSIM and PSNR of luma. At most 16 joints are looked at, those of the longest slices. " +
		"The source is scaled to the result's size. Where the function changes the frame rate or cuts the picture nothing is compared, and the facts say so.",
	Inputs: []fn.Slot{
		{Name: "result", Kinds: []media.Kind{media.Video}, Min: 1, Help: "the merged file, or those of all renditions"},
		{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "what was sliced"},
		{Name: "plan", Kinds: []media.Kind{media.Text}, Min: 1, Max: 1, Help: "the facts of slice.plan"},
	},
	Purity:  fn.Exact,
	Timeout: fn.Timeout{Base: 5 * time.Minute, Factor: 20},
	Hidden:  true,
}

// Joints returns assemble.joints. Without ffmpeg it loads but refuses.
func Joints(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, jointsSpec), fn.Body[struct{}]{
		Price: func(_ *struct{}, inputs []*media.Info) fn.Price { return jointsPrice(inputs) },
		Run: func(ctx fn.Context, call *fn.Call, _ *struct{}) (*fn.Result, error) {
			return runJoints(ctx, ff, call)
		},
	})
}

// jointsPrice: at most 16 ranges of five seconds, decoded twice and compared, at
// about 60 million pixels a second.
func jointsPrice(inputs []*media.Info) fn.Price {
	p := fn.Price{CPUSeconds: 30, Memory: 1 << 30, Cores: 1}
	for _, in := range inputs {
		if in != nil && in.MainVideo() != nil {
			v := in.MainVideo()
			p.CPUSeconds = 2 + min(in.Duration, 16*5)*max(v.AvgRate.Float(), 10)*float64(v.Width)*float64(v.Height)/60e6
			break
		}
	}
	return p
}

// runJoints looks at the first rendition: all are made of the same slices.
func runJoints(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call) (*fn.Result, error) {
	began := time.Now()
	var plan slice.Plan
	if err := call.Document("plan", &plan); err != nil {
		return nil, err
	}
	if plan.Promise == nil {
		return nil, errs.New(errs.Internal, "assemble", "the plan promises nothing: it does not slice")
	}
	p := plan.Promises()[0]
	q, usage, err := jointQuality(ctx, ff, call, &p)
	if err != nil {
		return nil, err
	}
	q.Rendition = p.Rendition
	raw, err := json.Marshal(q)
	if err != nil {
		return nil, errs.New(errs.Internal, "assemble", "encode joints: %w", err)
	}
	usage.WallSeconds = time.Since(began).Seconds()
	call.Report(fn.Progress{Done: 1})
	return &fn.Result{Facts: raw, Usage: usage}, nil
}

func jointQuality(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, p *slice.Promise) (q slice.JointQuality, usage fn.Usage, err error) {
	joints := len(p.Joints)
	if p.Rate.Known() {
		return slice.Incomparable(joints, "the frame rate was changed: no picture of the result is one of the source"), usage, nil
	}
	res, src := call.In("result"), call.In("source")
	a, err := source.Facts(ctx, ff, nil, res, source.Want{Frames: true})
	if err != nil {
		return q, usage, errs.Wrap("result", err)
	}
	b, err := source.Facts(ctx, ff, nil, src, source.Want{Frames: true})
	if err != nil {
		return q, usage, errs.Wrap("source", err)
	}
	v, w := a.MainVideo(), b.MainVideo()
	if v == nil || w == nil || len(v.FrameList) != len(w.FrameList) {
		return slice.Incomparable(joints, "source and result differ in pictures"), usage, nil
	}
	if x, y := v.DisplaySize(); !sameShape(x, y, w) {
		return slice.Incomparable(joints, "the picture was cut or distorted"), usage, nil
	}
	spots := slice.JointSpots(p)
	pictures := make([][]slice.Likeness, len(spots))
	for i, spot := range spots {
		from, to := between(w, spot)
		if pictures[i], err = pictured(ctx, ff, call, v, w, from, to, &usage); err != nil {
			return q, usage, err
		}
		if pictures[i] == nil {
			return slice.Incomparable(joints, "around %.2f s source and result do not show the same pictures in the same places", spot.At), usage, nil
		}
		call.Report(fn.Progress{Done: float64(i+1) / float64(len(spots))})
	}
	return slice.JudgeJoints(joints, spots, pictures), usage, nil
}

// sameShape reports whether a displayed size is the source's, scaled.
func sameShape(w, h int, src *media.VideoStream) bool {
	x, y := src.DisplaySize()
	if w <= 0 || h <= 0 || x <= 0 || y <= 0 {
		return false
	}
	return math.Abs(float64(w)*float64(y)-float64(h)*float64(x)) <= 0.02*float64(w)*float64(y)+2*float64(max(x, y))
}

// between are the frames of a spot, the second exclusive.
func between(v *media.VideoStream, spot slice.JointSpot) (from, to int) {
	for from < len(v.FrameList) && v.TimeBase.Seconds(v.FrameList[from].PTS) < spot.From {
		from++
	}
	for to = from; to < len(v.FrameList) && v.TimeBase.Seconds(v.FrameList[to].PTS) < spot.To; {
		to++
	}
	return from, to
}

// Small pictures, by which it is found out that both files show the same.
const smallW, smallH = 48, 27

// pictured decodes the frames from up to another of both files, by their own
// times, and compares them. Nil: they do not show the same pictures.
func pictured(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, v, w *media.VideoStream, from, to int, usage *fn.Usage) ([]slice.Likeness, error) {
	res, src := call.In("result"), call.In("source")
	if to <= from {
		return nil, nil
	}
	var small bytes.Buffer
	job := ffmpeg.Job{Stdout: &small, Dir: call.Dir, WritePaths: []string{call.Dir}, Stall: 5 * time.Minute}
	source.Grant(&job, res)
	source.Grant(&job, src)
	job.Args = []string{"-copyts"}
	var graph strings.Builder
	width, height := v.DisplaySize()
	width, height = max(width&^1, 2), max(height&^1, 2)
	for i, one := range []struct {
		in *fn.Input
		v  *media.VideoStream
	}{{res, v}, {src, w}} {
		begin := one.v.TimeBase.Seconds(one.v.FrameList[from].PTS)
		args, err := seekTo(one.in, begin)
		if err != nil {
			return nil, err
		}
		job.Args = append(job.Args, args...)
		// Exactly the frames meant, by ticks; then both are counted alike.
		last := one.v.FrameList[to-1].PTS
		fmt.Fprintf(&graph, "[%d:%d]select='between(pts,%d,%d)',settb=1/25,setpts=N,scale=%d:%d:flags=bicubic+accurate_rnd,format=yuv420p,setsar=1[f%d];",
			i, one.v.Index, one.v.FrameList[from].PTS, last, width, height, i)
	}
	// The result's pictures go through all of it, so that nothing piles up.
	fmt.Fprintf(&graph, "[f1]split=3[a][b][c];[f0][a]ssim=stats_file=ssim.log[x];[x][b]psnr=stats_file=psnr.log,scale=%d:%d:flags=area,format=gray[t0];"+
		"[c]scale=%d:%d:flags=area,format=gray[t1];[t0][t1]hstack[t]", smallW, smallH, smallW, smallH)
	job.Args = append(job.Args, "-filter_complex", graph.String(), "-map", "[t]", "-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1")
	stats, err := ff.Run(ctx, job)
	usage.CPUSeconds += (stats.User + stats.System).Seconds()
	usage.MaxMemory = max(usage.MaxMemory, stats.MaxRSS)
	if err != nil {
		return nil, err
	}
	a, b := halves(small.Bytes())
	if len(a) != to-from || !slice.Aligned(a, b) {
		return nil, nil
	}
	ssim, err := scores(call.Dir, "ssim.log", "Y:")
	if err != nil {
		return nil, err
	}
	psnr, err := scores(call.Dir, "psnr.log", "psnr_y:")
	if err != nil {
		return nil, err
	}
	if len(ssim) != to-from || len(psnr) != to-from {
		return nil, nil
	}
	all := make([]slice.Likeness, to-from)
	for i := range all {
		all[i] = slice.Likeness{At: w.TimeBase.Seconds(w.FrameList[from+i].PTS), SSIM: ssim[i], PSNR: min(psnr[i], 100)}
	}
	return all, nil
}

// halves takes small pictures of both files apart, which lie side by side.
func halves(b []byte) (left, right [][]byte) {
	const size = 2 * smallW * smallH
	for ; len(b) >= size; b = b[size:] {
		l, r := make([]byte, 0, size/2), make([]byte, 0, size/2)
		for y := range smallH {
			row := b[y*2*smallW:]
			l, r = append(l, row[:smallW]...), append(r, row[smallW:2*smallW]...)
		}
		left, right = append(left, l), append(right, r)
	}
	return left, right
}

// scores reads one number a line, behind name, of what a filter wrote.
func scores(dir, file, name string) (all []float64, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errs.New(errs.Internal, "assemble", "%w", err)
	}
	defer root.Close()
	raw, err := root.ReadFile(file)
	if err != nil {
		return nil, errs.New(errs.Internal, "assemble", "%w", err)
	}
	for line := range strings.Lines(string(raw)) {
		for word := range strings.FieldsSeq(line) {
			if text, ok := strings.CutPrefix(word, name); ok {
				x, err := strconv.ParseFloat(text, 64)
				if err != nil {
					return nil, errs.New(errs.Internal, "assemble", "%s says %q", file, word)
				}
				all = append(all, x)
			}
		}
	}
	return all, nil
}
