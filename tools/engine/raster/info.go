//go:build cgo

package raster

/*
#include "vips.h"
*/
import "C"

import (
	"math"
	"strings"
	"unsafe"

	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/engine/wire"
)

// Facts reads what an image says of itself without decoding its pixels. data
// is as for [Transform].
func Facts(format string, data []byte, lim wire.Limits) (media.Info, error) {
	s := &scope{}
	defer s.close()
	src := s.open(format, data, 0, 1, true, lim.Fill())
	if s.err != nil {
		return media.Info{}, s.err
	}
	info := media.Info{Kind: media.Image, Format: format, Mime: wire.Mime(format), Size: int64(len(data))}
	im := &media.ImageInfo{Width: src.w, Height: src.h, Pages: src.total, Orientation: src.orient}
	info.Image = im
	if src.bmp != nil {
		im.Bands, im.BitDepth, im.ColorSpace, im.HasAlpha = 3, 8, "srgb", src.bmp.Alpha
		if im.HasAlpha {
			im.Bands = 4
		}
		return info, nil
	}
	pic := src.head
	im.Bands, im.BitDepth, im.HasAlpha = int(pic.Bands), bits(pic), hasAlpha(pic)
	im.ColorSpace = C.GoString(C.mf_space_name(C.int(pic.Type)))
	im.DPI = int(math.Round(float64(pic.Xres) * 25.4)) // Xres is dots a millimetre
	if hasProfile(pic) {
		var p unsafe.Pointer
		var n C.size_t
		if C.vips_image_get_blob(pic, profileName, &p, &n) == 0 {
			im.ICC = profileDescription(bytesOf(p, int(n)))
		}
	}
	info.Duration = duration(pic)
	info.Tags = s.tags(pic)
	return info, nil
}

// bits a sample.
func bits(pic img) int {
	if n := int(C.mf_field_int(pic, bitsName, 0)); n > 0 && n <= 64 {
		return n
	}
	return int(C.vips_format_sizeof(pic.BandFmt)) * 8
}

var bitsName = C.CString("bits-per-sample")

// duration of an animation in seconds: the sum of its frames' delays.
func duration(pic img) float64 {
	if C.vips_image_get_typeof(pic, delayName) == 0 {
		return 0
	}
	var p *C.int
	var n C.int
	if C.vips_image_get_array_int(pic, delayName, &p, &n) != 0 {
		return 0
	}
	ms := 0
	for _, d := range unsafe.Slice(p, int(n)) {
		ms += max(0, int(d))
	}
	if n < 2 {
		return 0
	}
	return float64(ms) / 1000
}

const maxTags = 200

// tags returns EXIF fields by their names, as text.
func (s *scope) tags(pic img) map[string]string {
	list := C.mf_fields(pic)
	defer C.g_strfreev(list)
	tags := map[string]string{}
	for _, f := range unsafe.Slice(list, C.g_strv_length(list)) {
		name := C.GoString(f)
		if !strings.HasPrefix(name, "exif-ifd") || len(tags) >= maxTags {
			continue
		}
		value := s.field(pic, f)
		_, name, _ = strings.Cut(name[len("exif-"):], "-")
		if value != "" && name != "MakerNote" {
			tags[strings.ToValidUTF8(name, "?")] = value
		}
	}
	C.vips_error_clear()
	if len(tags) == 0 {
		return nil
	}
	return tags
}

// field is the value of an EXIF field as text, "" if there is none.
func (s *scope) field(pic img, name *C.char) string {
	var v *C.char
	if C.vips_image_get_typeof(pic, name) == 0 || C.mf_field_string(pic, name, &v) != 0 || v == nil {
		return ""
	}
	defer C.g_free(C.gpointer(unsafe.Pointer(v)))
	return exifValue(C.GoString(v))
}
