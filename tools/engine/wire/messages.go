package wire

import (
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// Limits bound one request. A zero field means the default of [Limits.Fill].
type Limits struct {
	MaxPixels      int64 `json:"max_pixels,omitempty"`       // width × height of one source page; 50 million
	MaxFrames      int   `json:"max_frames,omitempty"`       // pages of one animation; 1000
	MaxTotalPixels int64 `json:"max_total_pixels,omitempty"` // width × height × pages, source or result; 5 × MaxPixels
	MaxSide        int   `json:"max_side,omitempty"`         // width or height of the result; 16384
	MaxOutPixels   int64 `json:"max_out_pixels,omitempty"`   // width × height of one result page; MaxPixels
}

// Fill returns l with defaults in place of zeros.
func (l Limits) Fill() Limits {
	if l.MaxPixels <= 0 {
		l.MaxPixels = 50_000_000
	}
	if l.MaxFrames <= 0 {
		l.MaxFrames = 1000
	}
	if l.MaxTotalPixels <= 0 {
		l.MaxTotalPixels = 5 * l.MaxPixels
	}
	if l.MaxSide <= 0 {
		l.MaxSide = 16384
	}
	if l.MaxOutPixels <= 0 {
		l.MaxOutPixels = l.MaxPixels
	}
	return l
}

// Request is the header of OpTransform and OpInfo. The image is the frame's
// body, or Size bytes from Offset of the file sent along.
type Request struct {
	Format    string     `json:"format"` // of the input, as sniffed; the only decoder that will see it
	Offset    int64      `json:"offset,omitempty"`
	Size      int64      `json:"size,omitempty"`
	Limits    Limits     `json:"limits"`
	Transform *Transform `json:"transform,omitempty"`
}

// Usage is what a request cost the child and what state it left it in.
type Usage struct {
	CPU float64 `json:"cpu"` // seconds, user and system
	RSS int64   `json:"rss"` // bytes resident afterwards
}

// Result is the header of an OpResult to OpTransform; the body is the image.
type Result struct {
	Format       string `json:"format"` // jpeg, png, webp, avif, heif, gif, tiff, bmp
	Mime         string `json:"mime"`
	Width        int    `json:"width"`  // pixels of one page
	Height       int    `json:"height"` // pixels of one page
	Pages        int    `json:"pages"`
	SourceWidth  int    `json:"source_width"` // as stored
	SourceHeight int    `json:"source_height"`
	Quality      int    `json:"quality,omitempty"` // used by a lossy encoder
	OverBytes    bool   `json:"over_bytes,omitempty"`
	Usage        Usage  `json:"usage"`
}

// Facts is the header of an OpResult to OpInfo.
type Facts struct {
	Info  media.Info `json:"info"`
	Usage Usage      `json:"usage"`
}

// Failure is the header of an OpError.
type Failure struct {
	Kind  errs.Kind `json:"kind"`
	Field string    `json:"field,omitempty"`
	Msg   string    `json:"msg"`
	Usage Usage     `json:"usage"`
}

// Inputs are the formats an engine reads, by the names tools/sniff gives them.
var inputs = map[string]bool{
	"jpeg": true, "png": true, "webp": true, "gif": true, "avif": true, "heif": true, "tiff": true, "bmp": true, "svg": true,
}

// Reads reports whether an engine reads the format called name.
func Reads(name string) bool { return inputs[name] }

// Mime types of the formats an engine writes.
var mimes = map[string]string{
	"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "avif": "image/avif", "heif": "image/heif",
	"gif": "image/gif", "tiff": "image/tiff", "bmp": "image/bmp", "svg": "image/svg+xml",
}

// Mime returns the media type of the image format called name, or "".
func Mime(name string) string { return mimes[name] }

// outputs maps every accepted name of an output format to ours.
var outputs = map[string]string{
	"jpeg": "jpeg", "jpg": "jpeg", "png": "png", "webp": "webp", "avif": "avif", "heif": "heif", "heic": "heif",
	"gif": "gif", "tiff": "tiff", "tif": "tiff", "bmp": "bmp",
}

// Output returns our name of an output format and whether an engine writes it.
func Output(name string) (string, bool) {
	f, ok := outputs[name]
	return f, ok
}

// HasAlpha reports whether the output format called name can be transparent.
func HasAlpha(name string) bool { return name != "jpeg" && name != "" }

// Animates reports whether the format called name can hold an animation that
// an engine reads and writes.
func Animates(name string) bool { return name == "gif" || name == "webp" }
