package restore

import (
	"math"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// region.go: where in the picture, and when.

// Region is a rectangle of the upright picture.
type Region struct {
	X      float64 `json:"x" default:"0" min:"0" max:"16384" help:"left edge in the upright source: below 1 a share of the width, else pixels"`
	Y      float64 `json:"y" default:"0" min:"0" max:"16384" help:"upper edge: below 1 a share of the height, else pixels"`
	Width  float64 `json:"width" default:"0" min:"0" max:"16384" help:"width: up to 1 a share of the picture's, else pixels"`
	Height float64 `json:"height" default:"0" min:"0" max:"16384" help:"height: up to 1 a share of the picture's, else pixels"`
}

// box is a region in whole pixels.
type box struct{ X, Y, W, H int }

// in is where the region lies in a picture; false if nothing of it does.
func (r Region) in(w, h int) (box, bool) {
	at := func(v float64, whole int) int {
		if v < 1 {
			v *= float64(whole)
		}
		return int(math.Round(v))
	}
	size := func(v float64, whole int) int {
		if v <= 1 {
			v *= float64(whole)
		}
		return int(math.Round(v))
	}
	b := box{X: at(r.X, w), Y: at(r.Y, h)}
	b.W, b.H = min(size(r.Width, w), w-b.X), min(size(r.Height, h), h-b.Y)
	return b, b.W > 0 && b.H > 0
}

// grown is the box with n pixels more on each side, inside the picture, its edges
// on multiples of 4, which every chroma layout has.
func (b box) grown(n, w, h int) box {
	x0, y0 := max(b.X-n, 0)&^3, max(b.Y-n, 0)&^3
	x1, y1 := min((b.X+b.W+n+3)&^3, w), min((b.Y+b.H+n+3)&^3, h)
	return box{x0, y0, x1 - x0, y1 - y0}
}

// span is a window of time, in seconds of the source.
type span struct {
	Start float64
	End   *float64
}

func (s span) check(field string) error {
	if s.End != nil && *s.End <= s.Start {
		return errs.InField(field+".end", "must be behind start")
	}
	return nil
}

// enable adds to a filter that it works inside the window only. Half a microsecond
// forgives what seconds lose as floating point.
func (s span) enable(f graph.Filter, o *render.Order) graph.Filter {
	if s.Start == 0 && s.End == nil {
		return f
	}
	e := "gte(t," + graph.Float(s.Start-o.Clock()-5e-7) + ")"
	if s.End != nil {
		e += "*lt(t," + graph.Float(*s.End-o.Clock()-5e-7) + ")"
	}
	return f.With("enable", e)
}

// touches reports whether a part shows anything of the window.
func (s span) touches(o *render.Order) bool {
	if o.Part == nil {
		return true
	}
	tb := o.Part.TimeBase
	return tb.Seconds(o.Part.End)+o.Clock() > s.Start-1e-6 && (s.End == nil || tb.Seconds(o.Part.Start)+o.Clock() < *s.End+1e-6)
}

// place is a region of a source, or the error that nothing of it is in the picture.
func (r Region) place(v *media.VideoStream, field string) (box, error) {
	w, h := upright(v)
	b, ok := r.in(w, h)
	if !ok {
		return b, errs.InField(field, "lies outside of the picture of %d×%d", w, h)
	}
	return b, nil
}
