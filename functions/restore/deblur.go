package restore

import (
	"math"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// deblur.go: video.deblur sharpens.

var deblurSpec = declare("video.deblur", "Sharpen a blurred video",
	"Sharpens brightness frame by frame: unsharp adds the difference to a blurred copy, wide enough for slight defocus; cas (contrast adaptive sharpening) sharpens flat parts more than edges. "+
		"Neither brings back what a strong blur or a moving camera has taken. Slices are exactly those of the whole.",
	fn.Independent)

type deblurParams struct {
	encode.Params
	Learned
	Method   string  `json:"method" default:"unsharp" enum:"unsharp,cas" help:"how to sharpen"`
	Strength float64 `json:"strength" default:"0.5" min:"0" max:"1" help:"0 changes nothing, 1 sharpens strongly"`
}

var deblur = recipe[deblurParams]{
	Encode: func(p *deblurParams) *encode.Params { return &p.Params },
	Check:  func(p *deblurParams) error { return p.Learned.check() },
	Speed:  func(*deblurParams) float64 { return 60e6 },
	Class:  func(p *deblurParams) string { return p.Method },
	Order: func(p *deblurParams, o *render.Order) {
		if p.Method == "cas" {
			o.Work = through(graph.New("cas", "strength", graph.Float(p.Strength), "planes", "1"))
			return
		}
		o.Work = through(graph.New("unsharp", "lx", "5", "ly", "5", "la", graph.Float(math.Round(p.Strength*3e3)/1e3)))
	},
}

// Deblur returns video.deblur.
func Deblur(ff *ffmpeg.Tool) fn.Function { return define(ff, deblurSpec, deblur) }
