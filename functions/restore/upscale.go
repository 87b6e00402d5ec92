package restore

import (
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// upscale.go: video.upscale makes pictures larger and keeps them sharp.

var upscaleSpec = declare("video.upscale", "Enlarge a video and keep it sharp",
	"Enlarges every frame with a cubic, Lanczos or spline kernel and sharpens brightness a little (unsharp). It invents no detail, as a model would. "+
		"width and height, where given, count in place of scale. Slices are exactly those of the whole.",
	fn.Independent)

type upscaleParams struct {
	encode.Params
	Learned
	Scale   float64 `json:"scale" default:"2" min:"1" max:"8" help:"how many times wider and higher"`
	Method  string  `json:"method" default:"bicubic" enum:"bicubic,lanczos,spline" help:"the kernel"`
	Sharpen float64 `json:"sharpen" default:"0.3" min:"0" max:"1" help:"0 changes nothing, 1 sharpens strongly"`
}

var upscale = recipe[upscaleParams]{
	Encode: func(p *upscaleParams) *encode.Params { return &p.Params },
	Check:  func(p *upscaleParams) error { return p.Learned.check() },
	Speed:  func(p *upscaleParams) float64 { return 60e6 / (p.Scale * p.Scale) },
	Sized: func(p *upscaleParams, v *media.VideoStream) {
		if p.Upscale = true; p.Width == 0 && p.Height == 0 {
			w, h := upright(v)
			square := media.VideoStream{Width: w, Height: h, SAR: v.SAR}
			dw, dh := square.DisplaySize()
			p.Width, p.Height = min(int(float64(dw)*p.Scale+0.5), 16384), min(int(float64(dh)*p.Scale+0.5), 16384)
		}
	},
	Class: func(p *upscaleParams) string { return p.Method },
	Order: func(p *upscaleParams, o *render.Order) {
		chain, err := p.Picture().Plan(o.Info.MainVideo(), p.Video())
		if err != nil {
			return // the order says so
		}
		o.Work = through(graph.New("scale", "w", graph.Int(chain.Width), "h", graph.Int(chain.Height), "flags", p.Method+"+accurate_rnd+full_chroma_int"))
		if p.Sharpen > 0 {
			o.Finish = []graph.Filter{graph.New("unsharp", "lx", "5", "ly", "5", "la", graph.Float(p.Sharpen))}
		}
	},
}

// Upscale returns video.upscale.
func Upscale(ff *ffmpeg.Tool) fn.Function { return define(ff, upscaleSpec, upscale) }
