package restore

import (
	"math"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// denoise.go: video.denoise takes noise out of pictures.

var denoiseSpec = declare("video.denoise", "Take noise out of a video",
	"Smooths noise by one of five methods. hqdn3d compares every pixel with its neighbours and with its own smoothed past; atadenoise averages each pixel over the "+
		"frames of a window in which it hardly changes; nlmeans and bm3d average similar patches of a picture; owdenoise shrinks wavelets. The last three look at one picture at a time and are slow. "+
		"nlmeans works on 8 bits a sample. Slices of atadenoise and of the methods without memory are exactly those of the whole. hqdn3d remembers without end: its slices "+
		"warm up on 20 frames times strength, at least 10 and at most 100, after which samples differ from the whole's by two levels of 255 at most.",
	fn.Overlap)

type denoiseParams struct {
	encode.Params
	Method   string  `json:"method" default:"hqdn3d" enum:"hqdn3d,atadenoise,nlmeans,bm3d,owdenoise" help:"how: quick with memory, quick over a window, or picture by picture with much computing"`
	Strength float64 `json:"strength" default:"1" min:"0.1" max:"10" help:"1 is for the noise of ordinary cameras, more smooths more"`
	Window   int     `json:"window" default:"9" min:"5" max:"129" unit:"frames" help:"frames atadenoise averages over, an odd number"`
}

// denoise is the code of video.denoise.
var denoise = recipe[denoiseParams]{
	Encode: func(p *denoiseParams) *encode.Params { return &p.Params },
	Check: func(p *denoiseParams) error {
		if p.Window%2 == 0 {
			return errs.InField("params.window", "must be odd")
		}
		return nil
	},
	Lap: func(p *denoiseParams) fn.Lap {
		switch p.Method {
		case "hqdn3d":
			return fn.Lap{Before: int(min(max(math.Ceil(20*p.Strength), 10), 100))}
		case "atadenoise":
			return fn.Lap{Before: p.Window / 2, After: p.Window / 2}
		}
		return fn.Lap{}
	},
	Speed: func(p *denoiseParams) float64 {
		return map[string]float64{"hqdn3d": 150e6, "atadenoise": 150e6 * 9 / float64(max(p.Window, 1)), "nlmeans": 1.6e6, "bm3d": 1.5e6, "owdenoise": 0.66e6}[p.Method]
	},
	Class: func(p *denoiseParams) string { return p.Method },
	Order: func(p *denoiseParams, o *render.Order) { o.Work = through(p.filter()) },
}

// Denoise returns video.denoise.
func Denoise(ff *ffmpeg.Tool) fn.Function { return define(ff, denoiseSpec, denoise) }

func (p *denoiseParams) filter() graph.Filter {
	s := p.Strength
	times := func(f float64) string { return graph.Float(math.Round(f*s*1e4) / 1e4) }
	switch p.Method {
	case "atadenoise":
		limits := func(f float64) string { return graph.Float(min(math.Round(f*s*1e4)/1e4, 0.3)) } // the filter's most
		a, b := limits(0.04), graph.Float(min(math.Round(0.08*s*1e4)/1e4, 5))
		return graph.New("atadenoise", "0a", a, "0b", b, "1a", a, "1b", b, "2a", a, "2b", b, "s", graph.Int(p.Window))
	case "nlmeans":
		return graph.New("nlmeans", "s", graph.Float(min(max(4*s, 1), 30)))
	case "bm3d":
		return graph.New("bm3d", "sigma", times(10))
	case "owdenoise":
		return graph.New("owdenoise", "ls", times(3), "cs", times(3))
	}
	return graph.New("hqdn3d", "luma_spatial", times(4), "chroma_spatial", times(3), "luma_tmp", times(6), "chroma_tmp", times(4.5))
}
