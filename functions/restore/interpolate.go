package restore

import (
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// interpolate.go: video.interpolate makes frames between frames.

var interpolateSpec = declare("video.interpolate", "Raise the frame rate with pictures in between",
	"Gives the video the constant frame rate fps, twice the source's if it is not given. motion estimates how blocks move between two frames and makes the frames in between along the way "+
		"(bilateral estimation, uneven multi-hexagon search, overlapping blocks; a change of scene is not bridged); it takes about a second for a million pixels. blend mixes the two frames. "+
		"Works on 8 bits a sample. Slices overlap by six frames and are exactly those of the whole: the search looks at no earlier frames than it needs.",
	fn.Overlap)

type interpolateParams struct {
	encode.Params
	Method string `json:"method" default:"motion" enum:"motion,blend" help:"along the motion, or a mixture of the frames before and behind"`
}

var interpolate = recipe[interpolateParams]{
	Encode: func(p *interpolateParams) *encode.Params { return &p.Params },
	Lap:    func(*interpolateParams) fn.Lap { return fn.Lap{Before: 6, After: 6} },
	Rate: func(p *interpolateParams, v *media.VideoStream) media.Rational {
		if r := p.Params.Rate(); r.Known() {
			return r
		}
		return times(v, 2)
	},
	Speed: func(p *interpolateParams) float64 {
		return map[string]float64{"motion": 1.1e6, "blend": 60e6}[p.Method]
	},
	Class: func(p *interpolateParams) string { return p.Method },
	Order: func(p *interpolateParams, o *render.Order) {
		f := graph.New("minterpolate", "fps", o.Rate.String(), "mi_mode", "blend", "scd", "fdiff")
		if p.Method == "motion" {
			// Not the default search, which begins where the frame before ended: its
			// memory has no end, and slices could not be the whole's.
			f = graph.New("minterpolate", "fps", o.Rate.String(), "mi_mode", "mci", "me", "umh", "scd", "fdiff")
		}
		// The filter holds frames back for good at the end; copies push them out.
		o.Work = through(graph.New("setpts", "expr", "PTS-STARTPTS"), graph.New("tpad", "stop_mode", "clone", "stop", "4"), f)
	},
}

// Interpolate returns video.interpolate.
func Interpolate(ff *ffmpeg.Tool) fn.Function { return define(ff, interpolateSpec, interpolate) }
