//go:build cgo

package raster

/*
#include "vips.h"
*/
import "C"

import (
	"math"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/engine/layout"
	"github.com/mediafn/mediafn/tools/engine/wire"
)

// Transform makes one image of another. data must be C memory (a [Buffer]).
// Errors: Invalid for an image that cannot be read or a request that makes no
// sense for it, Unsupported for a format, TooLarge over a limit.
func Transform(format string, data []byte, t *wire.Transform, lim wire.Limits) (wire.Result, Encoded, error) {
	if err := t.Validate(); err != nil {
		return wire.Result{}, Encoded{}, err
	}
	s := &scope{}
	defer s.close()
	out, err := outputFormat(format, t)
	if err != nil {
		return wire.Result{}, Encoded{}, err
	}
	pages := t.Pages
	if !wire.Animates(out) {
		pages = 1
	}
	lim = lim.Fill()
	src := s.open(format, data, t.Page, pages, t.Lenient, lim)
	if s.err != nil {
		return wire.Result{}, Encoded{}, s.err
	}
	var pic img
	if src.pages > 1 {
		pic = s.animation(src, t, out, lim)
	} else {
		pic = s.still(src, t, out, lim)
	}
	s.kind = errs.Internal
	res, enc := s.encode(pic, out, src.pages, t)
	if s.err != nil {
		enc.Free()
		return wire.Result{}, Encoded{}, s.err
	}
	res.SourceWidth, res.SourceHeight = src.w, src.h
	return res, enc, nil
}

// outputFormat settles what is written.
func outputFormat(in string, t *wire.Transform) (string, error) {
	name := t.Output.Format
	if name == "" {
		if f, ok := wire.Output(in); ok {
			return f, nil
		}
		return "png", nil
	}
	f, ok := wire.Output(name)
	if !ok {
		return "", errs.New(errs.Unsupported, op, "cannot write %q", name)
	}
	return f, nil
}

// still runs every step on one picture.
func (s *scope) still(src *source, t *wire.Transform, out string, lim wire.Limits) img {
	o := orientation(src, t)
	whole := layout.Rect{W: src.w, H: src.h}
	if t.Trim != nil {
		whole = s.trim(s.pixels(src, 1, 1, true), t.Trim)
	}
	if s.err != nil {
		return nil
	}
	w, h := o.Size(whole.W, whole.H)
	l := layout.Of(w, h, src.format == "svg", t)
	if err := l.Check(1, lim); err != nil {
		s.fail(err)
		return nil
	}
	part := o.Stored(l.Crop, whole.W, whole.H) // in the stored, trimmed picture
	part.X, part.Y = part.X+whole.X, part.Y+whole.Y
	sw, sh := o.Size(l.W, l.H)
	fx, fy := float64(sw)/float64(part.W), float64(sh)/float64(part.H)
	if t.Linear {
		fx, fy = 1, 1 // decoders average in gamma light
	}
	pic := s.pixels(src, fx, fy, l.CropSmart || t.Trim != nil)
	if s.err != nil {
		return nil
	}
	gx, gy := float64(width(pic))/float64(src.w), float64(height(pic))/float64(src.h)
	if l.CropSmart {
		c := scaled(part, gx, gy, pic)
		r := scaled(whole, gx, gy, pic)
		pic = s.extract(pic, r.X, r.Y, r.W, r.H)
		pic = s.smartcrop(s.memory(pic), c.W, c.H)
	} else {
		c := scaled(part, gx, gy, pic)
		pic = s.extract(pic, c.X, c.Y, c.W, c.H)
	}
	pic = s.scale(pic, sw, sh, t)
	return s.finish(s.prepare(pic, t, out), o, &l, t, out)
}

// animation runs the steps on every frame. Frames are taken from the strip in
// order, so that the decoder runs through once.
func (s *scope) animation(src *source, t *wire.Transform, out string, lim wire.Limits) img {
	if t.Trim != nil {
		s.fail(errs.InField("trim", "has no meaning for an animation"))
		return nil
	}
	o := orientation(src, t)
	w, h := o.Size(src.w, src.h)
	l := layout.Of(w, h, false, t)
	if err := l.Check(src.pages, lim); err != nil {
		s.fail(err)
		return nil
	}
	part := o.Stored(l.Crop, src.w, src.h)
	sw, sh := o.Size(l.W, l.H)
	if l.CropSmart { // a part that moves from frame to frame would tremble
		part.X, part.Y = (src.w-part.W)/2, (src.h-part.H)/2
	}
	if l.CutSmart {
		l.CutSmart = false
		l.Cut.X, l.Cut.Y = (l.W-l.Cut.W)/2, (l.H-l.Cut.H)/2
	}
	frames := make([]img, 0, src.pages)
	for i := range src.pages {
		s.kind = errs.Invalid
		pic := s.extract(src.head, part.X, i*src.h+part.Y, part.W, part.H)
		pic = s.scale(pic, sw, sh, t)
		pic = s.finish(s.prepare(pic, t, out), o, &l, t, out)
		if pic = s.memory(pic); s.err != nil {
			return nil
		}
		frames = append(frames, pic)
	}
	strip := s.do(nil, func(out *img) C.int { return C.mf_join(&frames[0], out, C.int(len(frames))) })
	strip = s.editable(strip)
	if s.err != nil {
		return nil
	}
	C.vips_image_set_int(strip, pageHeightName, C.int(l.Pad.H))
	C.vips_image_set_int(strip, pagesName, C.int(len(frames)))
	return strip
}

// scaled maps a part of the stored picture to the one that was decoded, which
// may be smaller.
func scaled(r layout.Rect, gx, gy float64, pic img) layout.Rect {
	x, y := int(math.Round(float64(r.X)*gx)), int(math.Round(float64(r.Y)*gy))
	x, y = min(x, width(pic)-1), min(y, height(pic)-1)
	return layout.Rect{
		X: x, Y: y,
		W: min(max(1, int(math.Round(float64(r.W)*gx))), width(pic)-x),
		H: min(max(1, int(math.Round(float64(r.H)*gy))), height(pic)-y),
	}
}

var kernels = map[string]C.int{
	"": C.VIPS_KERNEL_LANCZOS3, "nearest": C.VIPS_KERNEL_NEAREST, "linear": C.VIPS_KERNEL_LINEAR, "cubic": C.VIPS_KERNEL_CUBIC,
	"lanczos2": C.VIPS_KERNEL_LANCZOS2, "lanczos3": C.VIPS_KERNEL_LANCZOS3,
}

// scale resizes, with transparent pixels weighing nothing.
func (s *scope) scale(in img, w, h int, t *wire.Transform) img {
	if s.err != nil || w == width(in) && h == height(in) {
		return in
	}
	pic := in
	if in.Coding != C.VIPS_CODING_NONE {
		pic = s.space(pic, C.VIPS_INTERPRETATION_sRGB)
	}
	back, format := C.int(pic.Type), C.int(pic.BandFmt)
	if t.Linear && in.Type != C.VIPS_INTERPRETATION_CMYK {
		pic = s.space(pic, C.VIPS_INTERPRETATION_scRGB)
	} else {
		back = C.int(pic.Type)
	}
	if hasAlpha(pic) {
		p := pic
		pic = s.do(p, func(out *img) C.int { return C.mf_premultiply(p, out) })
		pic = s.resize(pic, w, h, kernels[t.Kernel])
		q := pic
		pic = s.do(q, func(out *img) C.int { return C.mf_unpremultiply(q, out) })
	} else {
		pic = s.resize(pic, w, h, kernels[t.Kernel])
	}
	if s.err != nil {
		return in
	}
	if t.Linear {
		pic = s.space(pic, back)
	}
	return s.cast(pic, format)
}

// prepare runs the pipeline and brings the picture into the colours and depth
// that later steps and the encoder work in: sRGB or grey, 8 bits or 16.
func (s *scope) prepare(in img, t *wire.Transform, out string) img {
	pic := s.memory(in)
	if s.err != nil {
		return in
	}
	s.kind = errs.Internal
	depth := 8
	if t.Output.KeepDepth && deep(pic) && (out == "png" || out == "tiff" || out == "avif" || out == "heif") {
		depth = 16
	}
	rgb, grey := C.int(C.VIPS_INTERPRETATION_sRGB), C.int(C.VIPS_INTERPRETATION_B_W)
	format := C.int(C.VIPS_FORMAT_UCHAR)
	if depth == 16 {
		rgb, grey, format = C.VIPS_INTERPRETATION_RGB16, C.VIPS_INTERPRETATION_GREY16, C.VIPS_FORMAT_USHORT
	}
	cmyk := pic.Type == C.VIPS_INTERPRETATION_CMYK
	if cmyk || hasProfile(pic) && !t.Output.KeepProfile {
		p := pic
		pic = s.do(p, func(out *img) C.int { return C.mf_to_srgb(p, out, C.int(depth)) })
		if s.err != nil { // a profile that is broken or does not fit says nothing
			s.err, pic = nil, p
		}
	}
	target := rgb
	switch pic.Type {
	case C.VIPS_INTERPRETATION_B_W, C.VIPS_INTERPRETATION_GREY16:
		target = grey
	case C.VIPS_INTERPRETATION_MULTIBAND:
		if pic.Bands < 3 {
			target = grey
		}
	}
	return s.cast(s.space(pic, target), format)
}

// finish takes the scaled picture to its final size and look.
func (s *scope) finish(pic img, o layout.Orient, l *layout.Layout, t *wire.Transform, out string) img {
	if s.err != nil {
		return pic
	}
	if o.Mirror {
		pic = s.flip(pic, false)
	}
	pic = s.rot(pic, o.Quarter)
	switch {
	case s.err != nil:
	case l.CutSmart:
		pic = s.smartcrop(pic, l.Cut.W, l.Cut.H)
	default:
		pic = s.extract(pic, l.Cut.X, l.Cut.Y, l.Cut.W, l.Cut.H)
	}
	pic = s.filter(pic, t)
	if s.err != nil {
		return pic
	}
	if c := l.Canvas; c.W > width(pic) || c.H > height(pic) {
		pic = s.embed(s.alpha(pic), c.X, c.Y, c.W, c.H, false)
	}
	if p := l.Pad; p.W > width(pic) || p.H > height(pic) {
		pic = s.embed(s.alpha(pic), p.X, p.Y, p.W, p.H, false)
	}
	return s.ground(pic, t, out)
}

// ground lays the background under a transparent picture.
func (s *scope) ground(pic img, t *wire.Transform, out string) img {
	if s.err != nil || !hasAlpha(pic) || t.Background == nil && wire.HasAlpha(out) {
		return pic
	}
	c := wire.Color{R: 255, G: 255, B: 255}
	if t.Background != nil {
		c = *t.Background
	}
	if pic.Bands < 3 && (c.R != c.G || c.G != c.B) {
		rgb := C.int(C.VIPS_INTERPRETATION_sRGB)
		if deep(pic) {
			rgb = C.VIPS_INTERPRETATION_RGB16
		}
		pic = s.space(pic, rgb)
	}
	k := 1.0
	if deep(pic) {
		k = 257
	}
	bg := []C.double{C.double(float64(c.R) * k), C.double(float64(c.G) * k), C.double(float64(c.B) * k)}
	n := int(pic.Bands) - 1
	if t.BackgroundAlpha != nil && *t.BackgroundAlpha < 1 && wire.HasAlpha(out) {
		rgba := append(bg[:n:n], C.double(*t.BackgroundAlpha*255*k))
		format := C.int(pic.BandFmt)
		return s.cast(s.do(pic, func(o *img) C.int { return C.mf_underlay(pic, o, &rgba[0], C.int(n+1)) }), format)
	}
	return s.do(pic, func(o *img) C.int { return C.mf_flatten(pic, o, &bg[0], C.int(n)) })
}
