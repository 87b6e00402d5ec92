package restore

import (
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// desubtitle.go: video.desubtitle takes burnt-in subtitles out of their band.

var desubtitleSpec = declare("video.desubtitle", "Take burnt-in subtitles out of a picture",
	"Works on one band of the picture, frame by frame. strokes finds thin bright strokes with their dark outline (top-hat against what is wider than stroke) and replaces only these by the median of their surroundings; "+
		"the rest of the band stays, and a band without text too. box fills the whole band from its edges, blur blurs it. What is bright and thin beside text is replaced too. "+
		"Works on 8 bits a sample. Slices are exactly those of the whole.",
	fn.Independent)

type desubtitleParams struct {
	encode.Params
	Learned
	Method string   `json:"method" default:"strokes" enum:"strokes,box,blur" help:"replace the strokes of letters, fill the band, or blur it"`
	Band   Region   `json:"band" help:"where subtitles are; without width and height the lowest fifth of the picture"`
	Stroke int      `json:"stroke" default:"0" min:"0" max:"40" unit:"px" help:"how thick the strokes of letters are at most, without outline; 0 = 1/90 of the height, at least 3"`
	Start  float64  `json:"start" default:"0" min:"0" max:"1000000" unit:"s" help:"second of the source to begin at"`
	End    *float64 `json:"end" min:"0" max:"1000000" unit:"s" help:"second to end at; not given = never"`
}

var desubtitle = recipe[desubtitleParams]{
	Encode: func(p *desubtitleParams) *encode.Params { return &p.Params },
	Check: func(p *desubtitleParams) error {
		if p.Band == (Region{}) {
			p.Band = Region{Y: 0.8, Width: 1, Height: 0.2}
		}
		if p.Band.Width == 0 || p.Band.Height == 0 {
			return errs.InField("params.band", "needs width and height")
		}
		if err := (span{p.Start, p.End}).check("params"); err != nil {
			return err
		}
		return p.Learned.check()
	},
	Speed: func(p *desubtitleParams) float64 {
		return map[string]float64{"strokes": 25e6, "box": 150e6, "blur": 150e6}[p.Method]
	},
	Class: func(p *desubtitleParams) string { return p.Method },
	Order: func(p *desubtitleParams, o *render.Order) {
		w, h := upright(o.Info.MainVideo())
		b, ok := p.Band.in(w, h)
		when := span{p.Start, p.End}
		if !ok || !when.touches(o) {
			return
		}
		if p.Method == "box" {
			o.Work = through(when.enable(b.filled(w, h), o))
			return
		}
		b = b.grown(0, w, h)
		stroke := p.Stroke
		if stroke == 0 {
			stroke = max((h+45)/90, 3)
		}
		o.Work = func(in, out string) graph.Graph { return p.over(in, out, b, stroke, when, o) }
	},
}

// over lays a mended band over the picture.
func (p *desubtitleParams) over(in, out string, b box, stroke int, when span, o *render.Order) graph.Graph {
	crop := graph.New("crop", "w", graph.Int(b.W), "h", graph.Int(b.H), "x", graph.Int(b.X), "y", graph.Int(b.Y), "exact", "1")
	lay := when.enable(graph.New("overlay", "x", graph.Int(b.X), "y", graph.Int(b.Y), "format", "auto"), o)
	g := graph.Graph{{In: []string{in}, Filters: []graph.Filter{graph.New("split")}, Out: []string{"picture", "under"}}}
	if p.Method == "blur" {
		return append(g, graph.Chain{In: []string{"under"}, Filters: []graph.Filter{crop, graph.New("gblur", "sigma", graph.Float(max(float64(b.H)/6, 2)), "steps", "2")}, Out: []string{"band"}},
			graph.Chain{In: []string{"picture", "band"}, Filters: []graph.Filter{lay}, Out: []string{out}})
	}
	repeat := func(name string, n int) (all []graph.Filter) {
		for range n {
			all = append(all, graph.New(name))
		}
		return all
	}
	// What an opening wider than a stroke takes away is a stroke; its outline lies
	// around it.
	open := stroke/2 + 1
	mask := append([]graph.Filter{graph.New("blend", "all_mode", "difference"), graph.New("lut", "y", "255*gt(val,40)")}, repeat("dilation", open+1)...)
	return append(g,
		graph.Chain{In: []string{"under"}, Filters: []graph.Filter{crop, graph.New("split")}, Out: []string{"seen", "ground"}},
		graph.Chain{In: []string{"seen"}, Filters: []graph.Filter{graph.New("format", "pix_fmts", "gray"), graph.New("split")}, Out: []string{"gray", "opened"}},
		graph.Chain{In: []string{"opened"}, Filters: append(repeat("erosion", open), repeat("dilation", open)...), Out: []string{"without"}},
		graph.Chain{In: []string{"gray", "without"}, Filters: mask, Out: []string{"letters"}},
		graph.Chain{In: []string{"ground"}, Filters: []graph.Filter{graph.New("median", "radius", graph.Int(min(4*stroke, 127)), "percentile", "0.5")}, Out: []string{"filled"}},
		graph.Chain{In: []string{"filled", "letters"}, Filters: []graph.Filter{graph.New("alphamerge")}, Out: []string{"band"}},
		graph.Chain{In: []string{"picture", "band"}, Filters: []graph.Filter{lay}, Out: []string{out}})
}

// Desubtitle returns video.desubtitle.
func Desubtitle(ff *ffmpeg.Tool) fn.Function { return define(ff, desubtitleSpec, desubtitle) }
