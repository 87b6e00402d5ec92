// Package layout decides sizes: what part of a source is taken, how far it is
// scaled, what is cut off or added. It is pure arithmetic on pixels as
// displayed. The rules are those of the imgproxy dialect, so that a URL moved
// from there yields the same picture.
package layout

import (
	"math"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/engine/wire"
)

// Rect is a part of a picture in pixels, origin top left.
type Rect struct{ X, Y, W, H int }

// Layout is the decision for one picture.
type Layout struct {
	Crop      Rect // part of the source; the whole of it if nothing is cropped
	CropSmart bool // only Crop.W and Crop.H count; where is for the pixels to tell
	W, H      int  // size to scale that part to
	Cut       Rect // part of the scaled picture that is kept
	CutSmart  bool // as CropSmart
	Canvas    Rect // Cut's place (X, Y) on a canvas of W × H; no larger than Cut if nothing is added
	Pad       Rect // the canvas's place on the result of W × H
	DPR       float64
}

// Result is the final size.
func (l *Layout) Result() (w, h int) { return l.Pad.W, l.Pad.H }

// Of lays out a source of w × h pixels as displayed. A vector source may be
// enlarged freely.
func Of(w, h int, vector bool, t *wire.Transform) Layout {
	l := Layout{Crop: Rect{0, 0, w, h}}
	if c := t.Crop; c != nil {
		l.crop(w, h, c, t.Gravity)
	}
	sx, sy, dpr := scale(float64(l.Crop.W), float64(l.Crop.H), vector, t)
	l.DPR = dpr
	l.W, l.H = atLeast1(float64(l.Crop.W)*sx), atLeast1(float64(l.Crop.H)*sy)

	zx, zy := orOne(t.ZoomX), orOne(t.ZoomY)
	tw, th := round(float64(t.Width)*dpr*zx), round(float64(t.Height)*dpr*zy)
	cw, ch := tw, th
	if t.Mode == "fill-down" && !t.Enlarge && tw > 0 && th > 0 {
		// Keep the aspect ratio asked for where the size cannot be had.
		dw, dh := float64(tw)/float64(l.W), float64(th)/float64(l.H)
		switch {
		case dw > dh && dw > 1:
			cw, ch = l.W, atLeast1(float64(l.W)*float64(th)/float64(tw))
		case dh > dw && dh > 1:
			cw, ch = atLeast1(float64(l.H)*float64(tw)/float64(th)), l.H
		}
	}
	l.Cut = Rect{0, 0, l.W, l.H}
	if cw > 0 {
		l.Cut.W = min(cw, l.W)
	}
	if ch > 0 {
		l.Cut.H = min(ch, l.H)
	}
	if t.Gravity.Type == "sm" {
		l.CutSmart = l.Cut.W < l.W || l.Cut.H < l.H
	} else {
		l.Cut.X, l.Cut.Y = place(l.W, l.H, l.Cut.W, l.Cut.H, t.Gravity, dpr)
	}
	l.canvas(tw, th, t)
	l.Pad = Rect{0, 0, l.Canvas.W, l.Canvas.H}
	if p := t.Padding; p != nil {
		px := func(n int) int { return round(float64(n) * dpr) }
		l.Pad = Rect{px(p.Left), px(p.Top), l.Canvas.W + px(p.Left) + px(p.Right), l.Canvas.H + px(p.Top) + px(p.Bottom)}
	}
	return l
}

// Check answers TooLarge where the result or a step on the way to it exceeds
// the limits.
func (l *Layout) Check(pages int, lim wire.Limits) error {
	for _, s := range []struct{ w, h int }{{l.W, l.H}, {l.Canvas.W, l.Canvas.H}, {l.Pad.W, l.Pad.H}} {
		px := int64(s.w) * int64(s.h)
		if s.w > lim.MaxSide || s.h > lim.MaxSide || px > lim.MaxOutPixels {
			return errs.New(errs.TooLarge, "engine", "result of %d×%d pixels; the limit is %d a side and %d in all",
				s.w, s.h, lim.MaxSide, lim.MaxOutPixels)
		}
		if px*int64(pages) > lim.MaxTotalPixels {
			return errs.New(errs.TooLarge, "engine", "result of %d pages of %d×%d pixels; the limit is %d in all",
				pages, s.w, s.h, lim.MaxTotalPixels)
		}
	}
	return nil
}

func (l *Layout) crop(w, h int, c *wire.Crop, g wire.Gravity) {
	length := func(all int, v float64) int {
		switch {
		case v == 0:
			return all
		case v >= 1:
			return min(all, int(v))
		}
		return min(all, atLeast1(float64(all)*v))
	}
	l.Crop.W, l.Crop.H = length(w, c.Width), length(h, c.Height)
	if c.X != nil || c.Y != nil {
		// A given corner is kept; what reaches beyond the edge is clipped.
		if c.X != nil {
			l.Crop.X = min(*c.X, w-1)
		}
		if c.Y != nil {
			l.Crop.Y = min(*c.Y, h-1)
		}
		l.Crop.W, l.Crop.H = min(l.Crop.W, w-l.Crop.X), min(l.Crop.H, h-l.Crop.Y)
		return
	}
	if c.Gravity != nil {
		g = *c.Gravity
	}
	if g.Type == "sm" {
		l.CropSmart = l.Crop.W < w || l.Crop.H < h
		return
	}
	l.Crop.X, l.Crop.Y = place(w, h, l.Crop.W, l.Crop.H, g, 1)
}

// canvas decides what Extend and ExtendAspect add.
func (l *Layout) canvas(tw, th int, t *wire.Transform) {
	l.Canvas = Rect{0, 0, l.Cut.W, l.Cut.H}
	grow := func(w, h int, g wire.Gravity) {
		w, h = max(w, l.Canvas.W), max(h, l.Canvas.H)
		x, y := place(w, h, l.Canvas.W, l.Canvas.H, g, l.DPR)
		l.Canvas = Rect{l.Canvas.X + x, l.Canvas.Y + y, w, h}
	}
	if t.Extend != nil {
		grow(tw, th, *t.Extend)
	}
	if t.ExtendAspect != nil && tw > 0 && th > 0 {
		w, h := l.Canvas.W, l.Canvas.H
		if float64(th)/float64(h) > float64(tw)/float64(w) {
			h = round(float64(w) * float64(th) / float64(tw))
		} else {
			w = round(float64(h) * float64(tw) / float64(th))
		}
		grow(w, h, *t.ExtendAspect)
	}
}

// scale gives the factors a w × h picture is scaled by and the pixel ratio that
// could be honoured without enlarging.
func scale(w, h float64, vector bool, t *wire.Transform) (sx, sy, dpr float64) {
	kw, kh := 1.0, 1.0 // shrink factors
	dw, dh := w, h
	if t.Width > 0 {
		dw = float64(t.Width)
		kw = w / dw
	}
	if t.Height > 0 {
		dh = float64(t.Height)
		kh = h / dh
	}
	mode := t.Mode
	if mode == "auto" {
		mode = "fit"
		if (w >= h) == (dw >= dh) {
			mode = "fill"
		}
	}
	if kw != 1 || kh != 1 {
		switch {
		case mode == "force":
		case t.Width == 0:
			kw = kh
		case t.Height == 0:
			kh = kw
		case mode == "fill" || mode == "fill-down":
			kw = min(kw, kh)
			kh = kw
		default:
			kw = max(kw, kh)
			kh = kw
		}
	}
	kw, kh = kw/orOne(t.ZoomX), kh/orOne(t.ZoomY)
	dpr = orOne(t.DPR)
	if !t.Enlarge && !vector {
		if k := min(kw, kh); k < 1 {
			kw, kh = kw/k, kh/k
			if t.Extend == nil {
				dpr /= k // a ratio below 1 has its room, as far as the next line lets it
			}
		}
		dpr = min(dpr, kw, kh)
	}
	if t.MinWidth > 0 {
		if k := w / float64(t.MinWidth); k < kw {
			kh, kw = kh*k/kw, k
		}
	}
	if t.MinHeight > 0 {
		if k := h / float64(t.MinHeight); k < kh {
			kw, kh = kw*k/kh, k
		}
	}
	return dpr / kw, dpr / kh, dpr
}

// place puts an iw × ih picture into one of w × h, which is at least as large,
// and returns its left and top. No offset pushes it over the edge.
func place(w, h, iw, ih int, g wire.Gravity, dpr float64) (x, y int) {
	if g.Type == "fp" {
		x, y = round(float64(w)*g.X)-iw/2, round(float64(h)*g.Y)-ih/2
	} else {
		off := func(v float64, all int) int {
			if math.Abs(v) >= 1 {
				return round(v * dpr)
			}
			return round(v * float64(all))
		}
		ox, oy := off(g.X, w), off(g.Y, h)
		x, y = (w-iw+1)/2+ox, (h-ih+1)/2+oy
		switch g.Type {
		case "no", "noea", "nowe":
			y = oy
		case "so", "soea", "sowe":
			y = h - ih - oy
		}
		switch g.Type {
		case "ea", "noea", "soea":
			x = w - iw - ox
		case "we", "nowe", "sowe":
			x = ox
		}
	}
	return min(max(x, 0), w-iw), min(max(y, 0), h-ih)
}

func round(v float64) int { return int(math.Floor(v + 0.5)) }

func atLeast1(v float64) int { return max(1, round(v)) }

func orOne(v float64) float64 {
	if v == 0 {
		return 1
	}
	return v
}
