package assemble

import (
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/pack"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// package.go: assemble.package makes merged renditions ready for streaming.

var packageSpec = fn.Spec{
	Name:    "assemble.package",
	Version: "1",
	Summary: "Package merged renditions as HLS or DASH",
	Doc: "Writes every rendition's pictures and the first one's sound as CMAF tracks whose segments begin at the same instants, by copy, " +
		"and the manifests the plan asks for, which speak of the same files.",
	Inputs: []fn.Slot{
		{Name: "renditions", Kinds: []media.Kind{media.Video}, Min: 1, Help: "the merged files, in the plan's order"},
		{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "subtitles are taken from it"},
		{Name: "plan", Kinds: []media.Kind{media.Text}, Min: 1, Max: 1, Help: "the facts of slice.plan"},
	},
	Outputs: []fn.Slot{{Name: "package", Kinds: []media.Kind{media.Package}, Min: 1, Help: "manifests and tracks"}},
	Purity:  fn.Exact,
	Timeout: fn.Timeout{Base: 2 * time.Minute, Factor: 20},
	Hidden:  true,
}

type packageParams struct{}

// Package returns assemble.package. Without ffmpeg it loads but refuses.
func Package(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, packageSpec), fn.Body[packageParams]{
		Price: func(_ *packageParams, inputs []*media.Info) fn.Price { return priceCopy(inputs) },
		Run: func(ctx fn.Context, call *fn.Call, _ *packageParams) (*fn.Result, error) {
			return runPackage(ctx, ff, call)
		},
	})
}

func runPackage(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call) (*fn.Result, error) {
	began := time.Now()
	var plan slice.Plan
	if err := call.Document("plan", &plan); err != nil {
		return nil, err
	}
	files, a := call.All("renditions"), plan.Assembly
	if a.Package == nil || len(files) != len(a.Renditions) {
		return nil, errs.New(errs.Internal, "assemble", "%d renditions for a plan of %d", len(files), len(a.Renditions))
	}
	o := pack.Order{How: *a.Package, Seconds: a.KeySeconds, Dir: call.Dir}
	for i, in := range files {
		r := pack.Rendition{Name: a.Renditions[i].Name, Data: in.Data, Size: in.Size}
		info, err := source.Facts(ctx, ff, nil, in, source.Want{})
		if err != nil {
			return nil, errs.Wrap(r.Name, err)
		}
		if v := info.MainVideo(); v != nil {
			r.Color = v.Color
		}
		o.Renditions = append(o.Renditions, r)
	}
	if a.Package.Subtitles {
		in := call.In("source")
		info, err := source.Facts(ctx, ff, nil, in, source.Want{})
		if err != nil {
			return nil, errs.Wrap("source", err)
		}
		o.Source, o.Info, o.FFmpeg = in, info, ff
	}
	outs, facts, err := pack.Write(ctx, o)
	if err != nil {
		return nil, err
	}
	return &fn.Result{Outputs: outs, Facts: facts, Usage: fn.Usage{WallSeconds: time.Since(began).Seconds()}}, nil
}
