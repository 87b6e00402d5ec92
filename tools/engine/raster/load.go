//go:build cgo

package raster

/*
#include "vips.h"
*/
import "C"

import (
	"math"
	"unsafe"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/engine/bmp"
	"github.com/mediafn/mediafn/tools/engine/layout"
	"github.com/mediafn/mediafn/tools/engine/wire"
)

var loaders = map[string]C.int{
	"jpeg": C.MF_JPEG, "png": C.MF_PNG, "webp": C.MF_WEBP, "gif": C.MF_GIF, "avif": C.MF_HEIF, "heif": C.MF_HEIF,
	"tiff": C.MF_TIFF, "svg": C.MF_SVG,
}

// source is an input whose header has been read and accepted.
type source struct {
	format  string
	data    []byte // C memory, valid for the whole request
	lenient bool
	head    img // lazy; of the pages asked for
	bmp     *bmp.Header

	w, h   int // of one page, as stored
	page   int
	pages  int // loaded
	total  int // in the file
	orient int // EXIF, 1–8; 0 = not said
}

// open reads the header. page and pages are as in [wire.Transform], pages 0
// meaning all there are.
func (s *scope) open(format string, data []byte, page, pages int, lenient bool, lim wire.Limits) *source {
	src := &source{format: format, data: data, lenient: lenient, page: page, pages: 1, total: 1, orient: 0}
	s.kind = errs.Invalid
	switch {
	case !wire.Reads(format):
		s.fail(errs.New(errs.Unsupported, op, "cannot read %q", format))
		return src
	case len(data) == 0:
		s.fail(errs.New(errs.Invalid, op, "the image is empty"))
		return src
	}
	if format == "bmp" {
		h, err := bmp.ReadHeader(data)
		if err != nil {
			s.fail(err)
			return src
		}
		src.bmp, src.w, src.h = h, h.W, h.H
	} else {
		src.head = s.load(src, 1, 1, 1, false)
		if s.err != nil {
			return src
		}
		src.w, src.h = width(src.head), height(src.head)
		src.total = max(1, int(C.mf_field_int(src.head, pagesName, 1)))
		src.orient = int(C.mf_field_int(src.head, orientationName, 0))
	}
	if page >= src.total {
		s.fail(&errs.Error{Kind: errs.Invalid, Op: op, Field: "page", Msg: "the image has no such page"})
		return src
	}
	if wire.Animates(format) {
		src.pages = src.total - page
		if pages > 0 {
			src.pages = min(src.pages, pages)
		}
	}
	s.accept(src, lim)
	if s.err == nil && src.pages > 1 {
		// The animation as one tall strip; the header was that of its first page.
		src.head = s.load(src, src.pages, 1, 1, false)
	}
	return src
}

// accept holds the header against the limits, before any pixel is decoded.
func (s *scope) accept(src *source, lim wire.Limits) {
	px := int64(src.w) * int64(src.h)
	switch {
	case px > lim.MaxPixels:
		s.fail(errs.New(errs.TooLarge, op, "image of %d×%d pixels; the limit is %d", src.w, src.h, lim.MaxPixels))
	case src.pages > lim.MaxFrames:
		s.fail(errs.New(errs.TooLarge, op, "animation of %d frames; the limit is %d", src.pages, lim.MaxFrames))
	case px*int64(src.pages) > lim.MaxTotalPixels:
		s.fail(errs.New(errs.TooLarge, op, "animation of %d frames of %d×%d pixels; the limit is %d in all",
			src.pages, src.w, src.h, lim.MaxTotalPixels))
	}
}

// load opens the input with its own loader, lazily.
func (s *scope) load(src *source, pages, shrink int, scale float64, random bool) img {
	o := C.mf_load_options{page: C.int(src.page), pages: C.int(pages), shrink: C.int(shrink), scale: C.double(scale)}
	if random {
		o.random = 1
	}
	if src.lenient {
		o.lenient = 1
	}
	return s.do(nil, func(out *img) C.int {
		return C.mf_load(loaders[src.format], unsafe.Pointer(unsafe.SliceData(src.data)), C.size_t(len(src.data)), &o, out)
	})
}

// pixels returns the still picture, decoded at a size that is at least fx × fy
// of the stored one where the decoder can scale while it decodes.
func (s *scope) pixels(src *source, fx, fy float64, random bool) img {
	if src.bmp != nil {
		p, err := bmp.Decode(src.data, src.bmp, src.lenient)
		if err != nil {
			s.fail(err)
			return nil
		}
		return s.do(nil, func(out *img) C.int {
			return C.mf_pixels(unsafe.Pointer(&p.Pix[0]), C.int(p.W), C.int(p.H), C.int(p.Bands), out)
		})
	}
	f := max(fx, fy)
	switch {
	case src.format == "svg" && f != 1:
		return s.load(src, 1, 1, f, random)
	case src.format == "jpeg" && f < 0.5:
		if n := jpegShrink(f); n > 1 {
			return s.load(src, 1, n, 1, random)
		}
	case src.format == "webp" && f < 1 && src.pages == 1:
		// Decoding to the exact size would alias; twice the size leaves the last
		// step to the kernel.
		if f <= 0.5 {
			return s.load(src, 1, 1, math.Min(1, 2*f), random)
		}
	}
	if random {
		return s.load(src, 1, 1, 1, true)
	}
	return src.head
}

// jpegShrink picks the decoder's own shrink factor so that a factor of two is
// left for the kernel, as libvips' thumbnailer does: block averages alone are
// too sharp.
func jpegShrink(f float64) int {
	switch k := 1 / f; {
	case k >= 16:
		return 8
	case k >= 8:
		return 4
	case k >= 4:
		return 2
	}
	return 1
}

// orientation is the way from the stored picture to the displayed one.
func orientation(src *source, t *wire.Transform) layout.Orient {
	o := layout.Orient{}
	if t.AutoOrient {
		o = layout.Exif(src.orient)
	}
	return o.Then(t.Rotate, t.FlipH, t.FlipV)
}
