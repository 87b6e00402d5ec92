//go:build cgo

package raster

/*
#include "vips.h"
*/
import "C"

import (
	"strings"
	"unsafe"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/engine/bmp"
	"github.com/mediafn/mediafn/tools/engine/wire"
)

var savers = map[string]C.int{
	"jpeg": C.MF_JPEG, "png": C.MF_PNG, "webp": C.MF_WEBP, "gif": C.MF_GIF, "avif": C.MF_HEIF, "heif": C.MF_HEIF, "tiff": C.MF_TIFF,
}

// maxSide of what the formats themselves can hold.
var maxSide = map[string]int{"jpeg": 65500, "webp": 16383, "gif": 65535, "avif": 16384, "heif": 16384}

// quality by default, chosen so that the formats look alike.
var quality = map[string]int{"jpeg": 80, "webp": 79, "avif": 63, "heif": 80}

// encode writes the final picture.
func (s *scope) encode(pic img, format string, pages int, t *wire.Transform) (wire.Result, Encoded) {
	res := wire.Result{Format: format, Mime: wire.Mime(format), Pages: pages}
	o := &t.Output
	pic = s.strip(pic, pages, t)
	if s.err != nil {
		return res, Encoded{}
	}
	res.Width, res.Height = width(pic), height(pic)/pages
	if m := maxSide[format]; m > 0 && (res.Width > m || res.Height > m) {
		s.fail(errs.New(errs.TooLarge, op, "%s cannot hold %d×%d pixels; its limit is %d a side", format, res.Width, res.Height, m))
		return res, Encoded{}
	}
	if o.MaxBytes > 0 { // encoded more than once
		pic = s.memory(pic)
	}
	if s.err != nil {
		return res, Encoded{}
	}
	if format == "bmp" {
		return res, s.bitmap(pic)
	}
	opt := saveOptions(format, o)
	lossy := quality[format] > 0 && !o.Lossless
	if !lossy {
		enc := s.save(pic, format, opt)
		res.OverBytes = o.MaxBytes > 0 && int64(len(enc.Bytes)) > o.MaxBytes
		return res, enc
	}
	q, enc := s.search(pic, format, opt, o.MaxBytes)
	res.Quality, res.OverBytes = q, o.MaxBytes > 0 && int64(len(enc.Bytes)) > o.MaxBytes
	return res, enc
}

// search finds the highest quality up to the one asked for whose result is not
// longer than maxBytes. If none is, it returns the shortest.
func (s *scope) search(pic img, format string, opt C.mf_save_options, maxBytes int64) (int, Encoded) {
	q := int(opt.quality)
	best := s.save(pic, format, opt)
	if s.err != nil || maxBytes <= 0 || int64(len(best.Bytes)) <= maxBytes {
		return q, best
	}
	lo, hi := 1, q-1 // what fits, if anything, is in between
	for lo <= hi {
		mid := (lo + hi) / 2
		opt.quality = C.int(mid)
		enc := s.save(pic, format, opt)
		if s.err != nil {
			enc.Free()
			return q, best
		}
		fits, had := int64(len(enc.Bytes)) <= maxBytes, int64(len(best.Bytes)) <= maxBytes
		if fits && (!had || mid > q) || !fits && !had && len(enc.Bytes) < len(best.Bytes) {
			best.Free()
			best, q = enc, mid
		} else {
			enc.Free()
		}
		if fits {
			lo = mid + 1
		} else {
			hi = mid - 1
		}
	}
	return q, best
}

func saveOptions(format string, o *wire.Encoding) C.mf_save_options {
	opt := C.mf_save_options{quality: C.int(quality[format]), colors: 256}
	if o.Quality > 0 {
		opt.quality = C.int(o.Quality)
	}
	if o.Colors > 0 {
		opt.colors = C.int(o.Colors)
	}
	for _, b := range []struct {
		on  bool
		out *C.int
	}{{o.Progressive, &opt.progressive}, {o.NoSubsample, &opt.no_subsample}, {o.Palette, &opt.palette}, {o.Lossless, &opt.lossless}} {
		if b.on {
			*b.out = 1
		}
	}
	if !o.KeepMetadata && !o.KeepCopyright && !o.KeepProfile {
		opt.strip = 1 // or libvips makes an EXIF block of its own
	}
	effort := func(byDefault, lo, hi int) C.int {
		if o.Effort == nil {
			return C.int(byDefault)
		}
		return C.int(min(max(*o.Effort, lo), hi))
	}
	switch format {
	case "png":
		opt.effort = effort(6, 0, 9)
	case "webp":
		opt.effort = effort(4, 0, 6)
	case "gif":
		opt.effort = effort(7, 1, 10)
	case "avif", "heif":
		speed := 8
		if o.Speed != nil {
			speed = *o.Speed
		}
		opt.effort = C.int(9 - speed)
	}
	return opt
}

func (s *scope) save(pic img, format string, opt C.mf_save_options) Encoded {
	var heic C.int
	if format == "heif" {
		heic = 1
	}
	var p unsafe.Pointer
	var n C.size_t
	if C.mf_save(savers[format], pic, &opt, heic, &p, &n) != 0 {
		s.fail(s.problem())
		return Encoded{}
	}
	return Encoded{Bytes: bytesOf(p, int(n)), p: p}
}

// bitmap encodes what libvips leaves to others.
func (s *scope) bitmap(pic img) Encoded {
	if pic.Bands < 3 {
		pic = s.space(pic, C.VIPS_INTERPRETATION_sRGB)
	}
	pic = s.memory(s.cast(pic, C.VIPS_FORMAT_UCHAR))
	if s.err != nil {
		return Encoded{}
	}
	var n C.size_t
	p := C.vips_image_write_to_memory(pic, &n)
	if p == nil {
		s.fail(s.problem())
		return Encoded{}
	}
	defer C.g_free(C.gpointer(p))
	return Encoded{Bytes: bmp.Encode(&bmp.Picture{W: width(pic), H: height(pic), Bands: int(pic.Bands), Pix: bytesOf(p, int(n))})}
}

// strip removes metadata that is not to be kept, and what is no longer true:
// the orientation, once applied, and the pages of an animation made still.
func (s *scope) strip(pic img, pages int, t *wire.Transform) img {
	pic = s.editable(pic)
	if s.err != nil {
		return pic
	}
	artist, copyright := s.field(pic, artistName), s.field(pic, copyrightName)
	list := C.mf_fields(pic)
	defer C.g_strfreev(list)
	fields := unsafe.Slice(list, C.g_strv_length(list))
	for _, f := range fields {
		if !kept(C.GoString(f), pages, t) {
			C.vips_image_remove(pic, f)
		}
	}
	if o := &t.Output; o.KeepCopyright && !o.KeepMetadata && artist+copyright != "" {
		// A block of our own: savers write fields only into a block that is
		// there, and the source's holds what nobody named.
		block := copyrightBlock(artist, copyright)
		p := C.CBytes(block)
		C.vips_image_set_blob_copy(pic, exifName, p, C.size_t(len(block)))
		C.free(p)
		s.setField(pic, artistName, artist)
		s.setField(pic, copyrightName, copyright)
	}
	return pic
}

var (
	artistName    = C.CString("exif-ifd0-Artist")
	copyrightName = C.CString("exif-ifd0-Copyright")
	exifName      = C.CString("exif-data")
)

// setField sets an EXIF field to text. libvips takes the last words in
// parentheses for its own rendering and cuts them off.
func (s *scope) setField(pic img, name *C.char, text string) {
	if text == "" {
		return
	}
	v := C.CString(text + " (text)")
	C.vips_image_set_string(pic, name, v)
	C.free(unsafe.Pointer(v))
}

func kept(field string, pages int, t *wire.Transform) bool {
	o := &t.Output
	switch field {
	case "icc-profile-data":
		return o.KeepProfile
	case "page-height", "delay", "loop", "n-pages":
		return pages > 1
	case "orientation", "exif-ifd0-Orientation":
		return o.KeepMetadata && !t.AutoOrient
	case "jpeg-thumbnail-data":
		return false // shows what may have been cropped away
	}
	for _, p := range []string{"exif-", "iptc-", "xmp-", "photoshop-", "png-comment-", "gif-comment", "jpeg-multiscan"} {
		if strings.HasPrefix(field, p) {
			return o.KeepMetadata
		}
	}
	return true
}
