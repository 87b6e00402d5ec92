package layout

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/tools/engine/wire"
)

func gravity(t *rapid.T) wire.Gravity {
	return wire.Gravity{
		Type: rapid.SampledFrom([]string{"", "ce", "no", "so", "ea", "we", "noea", "nowe", "soea", "sowe", "fp", "sm"}).Draw(t, "gravity"),
		X:    rapid.Float64Range(0, 1).Draw(t, "gx"), Y: rapid.Float64Range(-500, 500).Draw(t, "gy"),
	}
}

func transform(t *rapid.T) wire.Transform {
	side := rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 3000))
	tr := wire.Transform{
		Mode:  rapid.SampledFrom([]string{"", "fit", "fill", "fill-down", "force", "auto"}).Draw(t, "mode"),
		Width: side.Draw(t, "w"), Height: side.Draw(t, "h"), MinWidth: side.Draw(t, "mw"), MinHeight: side.Draw(t, "mh"),
		ZoomX: rapid.Float64Range(0.1, 4).Draw(t, "zx"), ZoomY: rapid.Float64Range(0.1, 4).Draw(t, "zy"),
		DPR: rapid.Float64Range(0.5, 3).Draw(t, "dpr"), Enlarge: rapid.Bool().Draw(t, "enlarge"), Gravity: gravity(t),
	}
	if rapid.Bool().Draw(t, "crop") {
		tr.Crop = &wire.Crop{Width: rapid.Float64Range(0, 3000).Draw(t, "cw"), Height: rapid.Float64Range(0, 1).Draw(t, "ch")}
		if rapid.Bool().Draw(t, "corner") {
			x := rapid.IntRange(0, 5000).Draw(t, "x")
			tr.Crop.X = &x
		}
	}
	if rapid.Bool().Draw(t, "extend") {
		g := gravity(t)
		tr.Extend = &g
	}
	if rapid.Bool().Draw(t, "aspect") {
		g := gravity(t)
		tr.ExtendAspect = &g
	}
	if rapid.Bool().Draw(t, "pad") {
		tr.Padding = &wire.Padding{Top: 3, Left: 50, Right: 1}
	}
	return tr
}

// inside fails unless r lies in w × h and is not empty.
func inside(t *rapid.T, what string, r Rect, w, h int) {
	if r.X < 0 || r.Y < 0 || r.W < 1 || r.H < 1 || r.X+r.W > w || r.Y+r.H > h {
		t.Fatalf("%s %+v leaves %d×%d", what, r, w, h)
	}
}

func TestEveryStepStaysInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 4000).Draw(t, "sw"), rapid.IntRange(1, 4000).Draw(t, "sh")
		tr := transform(t)
		l := Of(w, h, false, &tr)
		inside(t, "crop", l.Crop, w, h)
		inside(t, "cut", l.Cut, l.W, l.H)
		inside(t, "picture", Rect{l.Canvas.X, l.Canvas.Y, l.Cut.W, l.Cut.H}, l.Canvas.W, l.Canvas.H)
		inside(t, "canvas", Rect{l.Pad.X, l.Pad.Y, l.Canvas.W, l.Canvas.H}, l.Pad.W, l.Pad.H)
		if !tr.Enlarge && tr.MinWidth == 0 && tr.MinHeight == 0 && (l.W > l.Crop.W+1 || l.H > l.Crop.H+1) {
			t.Fatalf("enlarged %+v to %d×%d", l.Crop, l.W, l.H)
		}
	})
}

func TestFitKeepsAspectAndBox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(50, 4000).Draw(t, "sw"), rapid.IntRange(50, 4000).Draw(t, "sh")
		tw, th := rapid.IntRange(1, 2000).Draw(t, "w"), rapid.IntRange(1, 2000).Draw(t, "h")
		tr := wire.Transform{Width: tw, Height: th, Enlarge: rapid.Bool().Draw(t, "enlarge")}
		l := Of(w, h, false, &tr)
		if gw, gh := l.Result(); gw > tw || gh > th {
			t.Fatalf("%d×%d does not fit %d×%d", gw, gh, tw, th)
		}
		if wantH := float64(l.W) * float64(h) / float64(w); l.W > 1 && l.H > 1 {
			slack := 0.5 + 0.5*float64(h)/float64(w) + 1e-9
			if d := wantH - float64(l.H); d > slack || d < -slack {
				t.Fatalf("%d×%d became %d×%d", w, h, l.W, l.H)
			}
		}
		tr.Mode, tr.Enlarge = "fill", true
		if l = Of(w, h, false, &tr); l.Pad.W != tw || l.Pad.H != th {
			t.Fatalf("fill gave %+v", l)
		}
	})
}

// TestOrient compares the group arithmetic with turning a real grid.
func TestOrient(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 6).Draw(t, "w"), rapid.IntRange(1, 6).Draw(t, "h")
		o := Exif(rapid.IntRange(0, 9).Draw(t, "exif"))
		turn := 90 * rapid.IntRange(0, 3).Draw(t, "turn")
		fh, fv := rapid.Bool().Draw(t, "h flip"), rapid.Bool().Draw(t, "v flip")
		all := o.Then(turn, fh, fv)
		g := newGrid(w, h).orient(o)
		for range turn / 90 {
			g = g.turn()
		}
		if fh {
			g = g.mirror()
		}
		if fv {
			g = g.turn().turn().mirror()
		}
		if got := newGrid(w, h).orient(all); !got.same(g) {
			t.Fatalf("%+v gives %v, want %v", all, got, g)
		}
		dw, dh := all.Size(w, h)
		if dw != g.w || dh != g.h {
			t.Fatalf("size %d×%d, want %d×%d", dw, dh, g.w, g.h)
		}
		x, y := rapid.IntRange(0, dw-1).Draw(t, "x"), rapid.IntRange(0, dh-1).Draw(t, "y")
		r := Rect{x, y, rapid.IntRange(1, dw-x).Draw(t, "rw"), rapid.IntRange(1, dh-y).Draw(t, "rh")}
		if got := newGrid(w, h).part(all.Stored(r, w, h)).orient(all); !got.same(g.part(r)) {
			t.Fatalf("%+v of %+v", r, all)
		}
	})
}

type grid struct {
	w, h int
	v    []int
}

func newGrid(w, h int) grid {
	g := grid{w, h, make([]int, w*h)}
	for i := range g.v {
		g.v[i] = i
	}
	return g
}

func (g grid) mapped(w, h int, from func(x, y int) (int, int)) grid {
	out := grid{w, h, make([]int, w*h)}
	for y := range h {
		for x := range w {
			sx, sy := from(x, y)
			out.v[y*w+x] = g.v[sy*g.w+sx]
		}
	}
	return out
}

func (g grid) mirror() grid {
	return g.mapped(g.w, g.h, func(x, y int) (int, int) { return g.w - 1 - x, y })
}

func (g grid) turn() grid { // clockwise
	return g.mapped(g.h, g.w, func(x, y int) (int, int) { return y, g.h - 1 - x })
}

func (g grid) part(r Rect) grid {
	return g.mapped(r.W, r.H, func(x, y int) (int, int) { return x + r.X, y + r.Y })
}

func (g grid) orient(o Orient) grid {
	if o.Mirror {
		g = g.mirror()
	}
	for range o.Quarter {
		g = g.turn()
	}
	return g
}

func (g grid) same(o grid) bool {
	if g.w != o.w || g.h != o.h {
		return false
	}
	for i := range g.v {
		if g.v[i] != o.v[i] {
			return false
		}
	}
	return true
}
