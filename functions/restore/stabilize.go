package restore

import (
	"math"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// stabilize.go: video.stabilize holds a shaking camera still.

var stabilizeSpec = declare("video.stabilize", "Hold the picture of a shaking camera still",
	"Finds how the picture moves from frame to frame (vid.stab), smooths the way of the camera with a bell of 2 × smoothing + 1 frames, and moves and turns every frame onto the smooth way. "+
		"The picture is enlarged by zoom, and corrections stay so small that no border shows. Works on 8 bits a sample. "+
		"Every slice looks for motion itself, over an overlap of smoothing + 2 frames on both sides, and comes out as the whole does.",
	fn.Overlap)

type stabilizeParams struct {
	encode.Params
	Smoothing int     `json:"smoothing" default:"15" min:"1" max:"100" unit:"frames" help:"how far the camera's way is smoothed, before and behind"`
	Shakiness int     `json:"shakiness" default:"5" min:"1" max:"10" help:"how quick the camera shakes; more looks further and takes longer"`
	Zoom      float64 `json:"zoom" default:"6" min:"0" max:"50" unit:"%" help:"how much the picture is enlarged; a correction is at most as large as the border this hides"`
}

var stabilize = recipe[stabilizeParams]{
	Encode: func(p *stabilizeParams) *encode.Params { return &p.Params },
	Lap:    func(p *stabilizeParams) fn.Lap { return fn.Lap{Before: p.Smoothing + 2, After: p.Smoothing + 2} },
	Speed:  func(*stabilizeParams) float64 { return 12e6 },
	Order: func(p *stabilizeParams, o *render.Order) {
		w, h := upright(o.Info.MainVideo())
		// Half of the hidden border is for shifts, half for turning.
		border := float64(min(w, h)) / 2 * p.Zoom / 100
		o.Work = through(graph.New("vidstabtransform", "input", motionFile, "smoothing", graph.Int(p.Smoothing), "optalgo", "gauss", "crop", "black",
			"optzoom", "0", "zoom", graph.Float(p.Zoom), "maxshift", graph.Int(int(border/2)), "maxangle", graph.Float(border/float64(max(w, h))), "interpol", "bicubic"))
	},
}

// motionFile is where the first pass leaves how the picture moves, in the call's
// folder.
const motionFile = "motion.trf"

// Stabilize returns video.stabilize. It needs an ffmpeg with vid.stab.
func Stabilize(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, stabilizeSpec), fn.Body[stabilizeParams]{
		Check:    stabilize.checked,
		Price:    stabilize.price,
		Assembly: stabilize.assembly,
		Run: func(ctx fn.Context, call *fn.Call, p *stabilizeParams) (*fn.Result, error) {
			return runStabilize(ctx, ff, call, p)
		},
	})
}

func runStabilize(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, p *stabilizeParams) (*fn.Result, error) {
	in, info, err := stabilize.source(ctx, ff, call)
	if err != nil {
		return nil, err
	}
	o, err := stabilize.order(p, info, call.Part, call.Threads)
	if err != nil {
		return nil, err
	}
	if ok, err := ff.HasFilter(ctx, "vidstabdetect"); err != nil || !ok {
		return nil, errs.New(errs.Unsupported, "stabilize", "this ffmpeg has no vid.stab: %v", err)
	}
	detect := graph.New("vidstabdetect", "result", motionFile, "shakiness", graph.Int(p.Shakiness), "accuracy", graph.Int(int(math.Max(9, float64(p.Shakiness)))), "mincontrast", "0.2")
	look := o
	o.Depends = detect.String()
	o.Prepare = func(ctx fn.Context) (fn.Usage, error) {
		call.Report(fn.Progress{Note: "looking for motion"})
		return look.Look(ctx, ff, call, in, func(label string) graph.Graph {
			return graph.Graph{{In: []string{label}, Filters: []graph.Filter{detect}, Out: []string{"seen"}}}
		}, "-map", "[seen]", "-vsync", "passthrough", "-f", "null", "-")
	}
	if call.Part != nil && call.Part.Stream == fn.Sound {
		o.Prepare = nil
	}
	return o.Run(ctx, ff, call, in)
}
