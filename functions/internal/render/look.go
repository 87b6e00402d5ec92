package render

import (
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// look.go: finding something out about pictures before they are rendered.

// Look decodes the pictures the order processes, as Work would see them, without
// rendering them. see writes what happens to them behind a label; outputs are the
// arguments that say where its labels go, relative to the call's folder.
func (o Order) Look(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, in *fn.Input, see func(in string) graph.Graph, outputs ...string) (fn.Usage, error) {
	args, p, err := o.looking(source.Open(in), see, outputs)
	if err != nil {
		return fn.Usage{}, err
	}
	job := ffmpeg.Job{Args: args, Dir: call.Dir, WritePaths: []string{call.Dir}, Duration: p.Length, Stall: 5 * time.Minute}
	source.Grant(&job, in)
	stats, err := ff.Run(ctx, job)
	return fn.Usage{CPUSeconds: (stats.User + stats.System).Seconds(), WallSeconds: stats.Wall.Seconds(), MaxMemory: stats.MaxRSS,
		InputDuration: p.Length}, err
}

func (o Order) looking(in ffmpeg.Input, see func(in string) graph.Graph, outputs []string) ([]string, *plan, error) {
	v := o.Info.MainVideo()
	if v == nil {
		return nil, nil, errs.New(errs.Invalid, "video", "the source has no pictures")
	}
	chain, err := o.Params.Picture().Plan(v, o.Params.Video())
	if err != nil {
		return nil, nil, err
	}
	l := line{at: "0:" + itoa(v.Index)}
	l.add(chain.Before...)
	p := &plan{Copyts: true, Length: o.Info.Duration}
	if o.Part != nil {
		// trim ends the run there, which select does not.
		l.add(graph.New("trim", "end_pts", int64s(to(o.Part))), between(from(o.Part), to(o.Part)))
		o.pictures(p, v, len(chain.Before) > 0)
		p.Length = v.TimeBase.Seconds(to(o.Part) - from(o.Part))
	}
	l.through("taken", "", func(in, _ string) graph.Graph { return see(in) })
	if err := l.done.Validate(); err != nil {
		return nil, nil, err
	}
	o.Extra = nil
	p.Args = slices.Concat([]string{"-filter_complex", l.done.String(), "-filter_complex_threads", itoa(max(o.Threads, 1))}, outputs)
	args, err := o.inputs(p, in)
	return append(args, p.Args...), p, err
}
