//go:build cgo

package raster

/*
#include "vips.h"
*/
import "C"

import (
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/engine/layout"
	"github.com/mediafn/mediafn/tools/engine/wire"
)

// filter applies what changes pixels and not sizes.
func (s *scope) filter(pic img, t *wire.Transform) img {
	if s.err == nil && t.Blur > 0 {
		in := pic
		pic = s.do(in, func(out *img) C.int { return C.mf_blur(in, out, C.double(t.Blur)) })
	}
	if s.err == nil && t.Sharpen > 0 {
		in, space, format := pic, C.int(pic.Type), C.int(pic.BandFmt)
		pic = s.do(in, func(out *img) C.int { return C.mf_sharpen(in, out, C.double(t.Sharpen)) })
		pic = s.cast(s.space(pic, space), format)
	}
	if s.err == nil && t.Pixelate > 1 {
		pic = s.pixelate(pic, t.Pixelate)
	}
	k := 1.0
	if pic != nil && deep(pic) {
		k = 257
	}
	if s.err == nil && (t.Brightness != 0 || t.Contrast != nil) {
		c := 1.0
		if t.Contrast != nil {
			c = *t.Contrast
		}
		pic = s.linear(pic, c, k*(127.5*(1-c)+t.Brightness))
	}
	if s.err == nil && t.Saturation != nil && *t.Saturation != 1 && pic.Bands >= 3 {
		pic = s.saturate(pic, *t.Saturation)
	}
	return pic
}

// pixelate averages blocks. The edge is repeated to fill the last ones.
func (s *scope) pixelate(pic img, size int) img {
	w, h := width(pic), height(pic)
	size = min(size, max(w, h))
	up := func(n int) int { return (n + size - 1) / size * size }
	format := C.int(pic.BandFmt)
	pic = s.embed(pic, 0, 0, up(w), up(h), true)
	for _, step := range []func(img, *img) C.int{
		func(in img, out *img) C.int { return C.mf_shrink(in, out, C.int(size)) },
		func(in img, out *img) C.int { return C.mf_zoom(in, out, C.int(size)) },
	} {
		in := pic
		pic = s.do(in, func(out *img) C.int { return step(in, out) })
	}
	if s.err != nil {
		return pic
	}
	return s.cast(s.extract(pic, 0, 0, w, h), format)
}

// saturate scales chroma in CIE LCh.
func (s *scope) saturate(pic img, by float64) img {
	space, format := C.int(pic.Type), C.int(pic.BandFmt)
	lch := s.space(pic, C.VIPS_INTERPRETATION_LCH)
	if s.err != nil {
		return pic
	}
	n := int(lch.Bands)
	a, b := []C.double{1, C.double(by), 1, 1, 1}, make([]C.double, 5)
	if n > len(a) {
		s.fail(errs.New(errs.Internal, op, "%d bands", n))
		return pic
	}
	out := s.do(lch, func(out *img) C.int { return C.mf_linear(lch, out, &a[0], &b[0], C.int(n)) })
	return s.cast(s.space(out, space), format)
}

// smartcrop takes the part attention goes to. pic must be in memory.
func (s *scope) smartcrop(pic img, w, h int) img {
	if w >= width(pic) && h >= height(pic) {
		return pic
	}
	var x, y C.int
	return s.do(pic, func(out *img) C.int {
		return C.mf_smartcrop(pic, out, C.int(min(w, width(pic))), C.int(min(h, height(pic))), &x, &y)
	})
}

// trim finds what is left of a picture without its border. A picture that is
// all border stays whole.
func (s *scope) trim(pic img, t *wire.Trim) layout.Rect {
	if s.err != nil {
		return layout.Rect{}
	}
	all := layout.Rect{W: width(pic), H: height(pic)}
	pic = s.memory(s.cast(s.space(pic, C.VIPS_INTERPRETATION_sRGB), C.VIPS_FORMAT_UCHAR))
	if s.err == nil && hasAlpha(pic) {
		// Magenta is the least likely colour of a border that is not transparent.
		bg, in := []C.double{255, 0, 255}, pic
		pic = s.do(in, func(out *img) C.int { return C.mf_flatten(in, out, &bg[0], 3) })
	}
	if s.err != nil {
		return all
	}
	bg, n := make([]C.double, 4), C.int(3)
	if c := t.Color; c != nil {
		bg[0], bg[1], bg[2] = C.double(c.R), C.double(c.G), C.double(c.B)
	} else if C.mf_getpoint(pic, 0, 0, &bg[0], 4, &n) != 0 {
		s.fail(s.problem())
		return all
	}
	var x, y, w, h C.int
	if C.mf_find_trim(pic, C.double(t.Threshold), &bg[0], n, &x, &y, &w, &h) != 0 {
		s.fail(s.problem())
		return all
	}
	if w == 0 || h == 0 {
		return all
	}
	r := layout.Rect{X: int(x), Y: int(y), W: int(w), H: int(h)}
	if t.EqualHor {
		d := min(r.X, all.W-r.X-r.W)
		r.X, r.W = d, all.W-2*d
	}
	if t.EqualVer {
		d := min(r.Y, all.H-r.Y-r.H)
		r.Y, r.H = d, all.H-2*d
	}
	return r
}
