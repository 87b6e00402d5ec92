//go:build cgo

// Package raster runs image requests with libvips. It is linked into the
// engine binary only.
//
// A picture passes through three stages. Loading and scaling form one lazy
// libvips pipeline that is run into memory; a failure there is the input's.
// Everything after that works on a decoded picture of bounded size; a failure
// there is ours. Encoding may run more than once, to meet a number of bytes.
package raster

/*
#cgo pkg-config: vips
#include "vips.h"
*/
import "C"

import (
	"strings"
	"unsafe"

	"github.com/mediafn/mediafn/core/errs"
)

const op = "engine"

// Init starts libvips, once in a process, and closes every loader but those of
// the formats an engine reads.
func Init() error {
	if C.mf_init() != 0 {
		return errs.New(errs.Internal, op, "libvips: %s", lastError())
	}
	return nil
}

// Version of libvips.
func Version() string { return C.GoString(C.vips_version_string()) }

// lastError takes libvips' messages.
func lastError() string {
	msg := C.GoString(C.vips_error_buffer())
	C.vips_error_clear()
	msg = strings.Join(strings.Fields(strings.ToValidUTF8(msg, "?")), " ")
	if len(msg) > 500 {
		msg = msg[:500]
	}
	return msg
}

// img is a picture of libvips. It lives as long as its scope.
type img = *C.VipsImage

// scope holds the references of everything made while one request runs. After
// the first failure every operation hands its input back and does nothing, so
// that steps read as a list; the failure is asked for once.
type scope struct {
	refs []img
	err  error
	kind errs.Kind // of failures from here on
}

func (s *scope) close() {
	for i := len(s.refs) - 1; i >= 0; i-- {
		C.g_object_unref(C.gpointer(unsafe.Pointer(s.refs[i])))
	}
	s.refs = nil
	C.vips_error_clear()
}

func (s *scope) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// do runs one operation and keeps its output.
func (s *scope) do(in img, f func(out *img) C.int) img {
	if s.err != nil {
		return in
	}
	var out img
	r := f(&out)
	if out != nil {
		s.refs = append(s.refs, out)
	}
	if r != 0 || out == nil {
		s.fail(s.problem())
		return in
	}
	return out
}

// problem turns libvips' message into an error of the current stage's kind.
func (s *scope) problem() error {
	msg := lastError()
	kind := s.kind
	for _, m := range []string{"out of memory", "exceeds the maximum", "too large", "too big", "max_pixels", "exceeds limit", "Memory limit"} {
		if strings.Contains(msg, m) {
			kind = errs.TooLarge
		}
	}
	for _, m := range []string{"Unsupported codec", "Unsupported feature", "operation is blocked", "not compiled", "Unsupported compression"} {
		if strings.Contains(msg, m) {
			kind = errs.Unsupported
		}
	}
	return errs.New(kind, op, "%s", msg)
}

func width(i img) int     { return int(i.Xsize) }
func height(i img) int    { return int(i.Ysize) }
func hasAlpha(i img) bool { return C.vips_image_hasalpha(i) != 0 }

// deep reports whether samples have more than 8 bits.
func deep(i img) bool {
	return i.BandFmt != C.VIPS_FORMAT_UCHAR && i.BandFmt != C.VIPS_FORMAT_CHAR
}

func hasProfile(i img) bool { return C.vips_image_get_typeof(i, profileName) != 0 }

// Names of metadata fields, allocated once.
var (
	profileName     = C.CString("icc-profile-data")
	orientationName = C.CString("orientation")
	pageHeightName  = C.CString("page-height")
	pagesName       = C.CString("n-pages")
	delayName       = C.CString("delay")
	loopName        = C.CString("loop")
)

func (s *scope) extract(in img, x, y, w, h int) img {
	if x == 0 && y == 0 && w == width(in) && h == height(in) {
		return in
	}
	return s.do(in, func(out *img) C.int { return C.mf_extract(in, out, C.int(x), C.int(y), C.int(w), C.int(h)) })
}

func (s *scope) resize(in img, w, h int, kernel C.int) img {
	if w == width(in) && h == height(in) {
		return in
	}
	sx, sy := float64(w)/float64(width(in)), float64(h)/float64(height(in))
	return s.do(in, func(out *img) C.int { return C.mf_resize(in, out, C.double(sx), C.double(sy), kernel) })
}

func (s *scope) cast(in img, format C.int) img {
	if C.int(in.BandFmt) == format {
		return in
	}
	return s.do(in, func(out *img) C.int { return C.mf_cast(in, out, format) })
}

func (s *scope) space(in img, space C.int) img {
	if C.int(in.Type) == space {
		return in
	}
	return s.do(in, func(out *img) C.int { return C.mf_colourspace(in, out, space) })
}

// memory runs the pipeline behind in.
func (s *scope) memory(in img) img {
	return s.do(in, func(out *img) C.int { return C.mf_memory(in, out) })
}

func (s *scope) rot(in img, quarter int) img {
	if quarter == 0 {
		return in
	}
	return s.do(in, func(out *img) C.int { return C.mf_rot(in, out, C.int(quarter)) })
}

func (s *scope) flip(in img, vertical bool) img {
	v := C.int(0)
	if vertical {
		v = 1
	}
	return s.do(in, func(out *img) C.int { return C.mf_flip(in, out, v) })
}

func (s *scope) embed(in img, x, y, w, h int, copyEdge bool) img {
	if w == width(in) && h == height(in) {
		return in
	}
	e := C.int(0)
	if copyEdge {
		e = 1
	}
	return s.do(in, func(out *img) C.int { return C.mf_embed(in, out, C.int(x), C.int(y), C.int(w), C.int(h), e) })
}

func (s *scope) alpha(in img) img {
	if hasAlpha(in) {
		return in
	}
	return s.do(in, func(out *img) C.int { return C.mf_add_alpha(in, out) })
}

// linear computes a·v + b for every band, leaving alpha alone, and goes back to
// the sample format it came from.
func (s *scope) linear(in img, a, b float64) img {
	n := int(in.Bands)
	as, bs := make([]C.double, n), make([]C.double, n)
	for i := range n {
		as[i], bs[i] = C.double(a), C.double(b)
	}
	if hasAlpha(in) {
		as[n-1], bs[n-1] = 1, 0
	}
	format := C.int(in.BandFmt)
	return s.cast(s.do(in, func(out *img) C.int { return C.mf_linear(in, out, &as[0], &bs[0], C.int(n)) }), format)
}

// editable returns a shallow copy whose metadata may be changed.
func (s *scope) editable(in img) img {
	return s.do(in, func(out *img) C.int { return C.mf_copy(in, out) })
}

// bytesOf views n bytes of C memory.
func bytesOf(p unsafe.Pointer, n int) []byte { return unsafe.Slice((*byte)(p), n) }

// Buffer is C memory that holds an input from request to request, so that
// bytes go from the socket to the decoder without a copy.
type Buffer struct {
	p    unsafe.Pointer
	size int
}

// keep is how much of a buffer stays allocated between requests.
const keep = 8 << 20

// Grow returns n bytes of the buffer, n ≥ 0. What was in it is lost.
func (b *Buffer) Grow(n int) ([]byte, error) {
	if n > b.size || b.size > keep && n <= keep {
		b.Free()
		size := max(n, 64<<10)
		if b.p = C.malloc(C.size_t(size)); b.p == nil {
			return nil, errs.New(errs.TooLarge, op, "no memory for an input of %d bytes", n)
		}
		b.size = size
	}
	return bytesOf(b.p, n), nil
}

// Free gives the memory back.
func (b *Buffer) Free() {
	C.free(b.p)
	b.p, b.size = nil, 0
}

// Encoded is an image as written by an encoder, in C memory or Go's.
type Encoded struct {
	Bytes []byte
	p     unsafe.Pointer
}

// Free gives the memory back; Bytes must not be used any more.
func (e *Encoded) Free() {
	if e.p != nil {
		C.g_free(C.gpointer(e.p))
	}
	e.p, e.Bytes = nil, nil
}
