package restore

import (
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// delogo.go: video.delogo paints over logos and watermarks.

var delogoSpec = declare("video.delogo", "Paint over logos and watermarks",
	"Fills rectangles with what their edges look like, each pixel weighted from the four sides of its rectangle, frame by frame, and so blurred: it hides small marks over plain ground and cannot "+
		"know what was behind large ones; where the camera stands still and the mark comes or goes, video.remove does. Works on 8 bits a sample. Slices are exactly those of the whole.",
	fn.Independent)

type mark struct {
	Region
	Start float64  `json:"start" default:"0" min:"0" max:"1000000" unit:"s" help:"second of the source where the mark appears"`
	End   *float64 `json:"end" min:"0" max:"1000000" unit:"s" help:"second where it is gone again; not given = never"`
}

type delogoParams struct {
	encode.Params
	Learned
	Marks []mark `json:"marks" min:"1" max:"32" required:"true" help:"the rectangles to fill" example:"[{\"x\":0.8,\"y\":0.05,\"width\":0.15,\"height\":0.1}]"`
}

var delogo = recipe[delogoParams]{
	Encode: func(p *delogoParams) *encode.Params { return &p.Params },
	Check: func(p *delogoParams) error {
		for i, m := range p.Marks {
			field := "params.marks[" + graph.Int(i) + "]"
			if m.Width == 0 || m.Height == 0 {
				return errs.InField(field+".width", "a rectangle needs width and height")
			}
			if err := (span{m.Start, m.End}).check(field); err != nil {
				return err
			}
		}
		return p.Learned.check()
	},
	Speed: func(*delogoParams) float64 { return 200e6 },
	Order: func(p *delogoParams, o *render.Order) {
		v := o.Info.MainVideo()
		w, h := upright(v)
		var filters []graph.Filter
		for _, m := range p.Marks {
			when := span{m.Start, m.End}
			if b, ok := m.in(w, h); ok && when.touches(o) {
				filters = append(filters, when.enable(b.filled(w, h), o))
			}
		}
		if len(filters) > 0 {
			o.Work = through(filters...)
		}
	},
}

// filled is the filter that fills a box from its edges, which it takes one pixel
// outside of the box.
func (b box) filled(w, h int) graph.Filter {
	x0, y0 := max(b.X-1, 0), max(b.Y-1, 0)
	x1, y1 := min(b.X+b.W+1, w), min(b.Y+b.H+1, h)
	return graph.New("delogo", "x", graph.Int(x0), "y", graph.Int(y0), "w", graph.Int(x1-x0), "h", graph.Int(y1-y0))
}

// Delogo returns video.delogo.
func Delogo(ff *ffmpeg.Tool) fn.Function { return define(ff, delogoSpec, delogo) }
