package wire

import (
	"math"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

// Transform is everything that can be done to one image in one pass. The zero
// value re-encodes the image in its own format. Steps run in this order,
// whatever their order in a request: trim, orientation (EXIF, then Rotate, then
// flips), Crop, resize, cut to size, blur, sharpen, pixelate, colour, extend,
// padding, background, encode.
//
// Coordinates and sizes are pixels of the picture as displayed, after
// orientation. The rules of sizes are those of the imgproxy dialect.
type Transform struct {
	// Page is the first page or frame used, from 0; Pages how many, 0 = all if
	// both formats can animate, else 1.
	Page  int `json:"page,omitempty"`
	Pages int `json:"pages,omitempty"`
	// Lenient decodes what there is of a truncated file instead of refusing it.
	Lenient bool `json:"lenient,omitempty"`

	Trim       *Trim `json:"trim,omitempty"`
	AutoOrient bool  `json:"auto_orient,omitempty"` // apply the EXIF orientation
	Rotate     int   `json:"rotate,omitempty"`      // clockwise: 0, 90, 180, 270
	FlipH      bool  `json:"flip_h,omitempty"`      // mirror left and right
	FlipV      bool  `json:"flip_v,omitempty"`

	Crop *Crop `json:"crop,omitempty"`

	Mode      string  `json:"mode,omitempty"` // fit (default), fill, fill-down, force, auto
	Width     int     `json:"width,omitempty"`
	Height    int     `json:"height,omitempty"` // 0 = follows from the other
	MinWidth  int     `json:"min_width,omitempty"`
	MinHeight int     `json:"min_height,omitempty"`
	ZoomX     float64 `json:"zoom_x,omitempty"` // > 0; 0 = 1
	ZoomY     float64 `json:"zoom_y,omitempty"`
	DPR       float64 `json:"dpr,omitempty"` // > 0; 0 = 1; multiplies sizes, offsets and paddings
	Enlarge   bool    `json:"enlarge,omitempty"`
	Gravity   Gravity `json:"gravity,omitzero"`
	Kernel    string  `json:"kernel,omitempty"` // nearest, linear, cubic, lanczos2, lanczos3 (default)
	Linear    bool    `json:"linear,omitempty"` // resize in linear light: slower, keeps fine bright detail

	Extend       *Gravity `json:"extend,omitempty"`        // grow the canvas to Width × Height
	ExtendAspect *Gravity `json:"extend_aspect,omitempty"` // grow it to their aspect ratio
	Padding      *Padding `json:"padding,omitempty"`

	Blur       float64  `json:"blur,omitempty"`       // sigma, 0–1000
	Sharpen    float64  `json:"sharpen,omitempty"`    // sigma, 0–10
	Pixelate   int      `json:"pixelate,omitempty"`   // size of a block
	Brightness float64  `json:"brightness,omitempty"` // −255–255, added
	Contrast   *float64 `json:"contrast,omitempty"`   // factor around mid grey, 0–10
	Saturation *float64 `json:"saturation,omitempty"` // factor, 0–10

	Background      *Color   `json:"background,omitempty"`       // laid under transparent parts
	BackgroundAlpha *float64 `json:"background_alpha,omitempty"` // 0–1, of Background; 1

	Output Encoding `json:"output"`
}

// Encoding says how the result is encoded.
type Encoding struct {
	Format        string `json:"format,omitempty"`  // "" = as the input, or png where that cannot be written
	Quality       int    `json:"quality,omitempty"` // 1–100; 0 = jpeg and heif 80, webp 79, avif 63
	MaxBytes      int64  `json:"max_bytes,omitempty"`
	Progressive   bool   `json:"progressive,omitempty"`    // jpeg, png
	NoSubsample   bool   `json:"no_subsample,omitempty"`   // jpeg, avif, heif: full colour resolution
	Palette       bool   `json:"palette,omitempty"`        // png: at most Colors colours
	Colors        int    `json:"colors,omitempty"`         // 2–256, png with Palette and gif; 256
	Lossless      bool   `json:"lossless,omitempty"`       // webp, avif
	Effort        *int   `json:"effort,omitempty"`         // png 0–9, webp 0–6, gif 1–10: higher is smaller and slower
	Speed         *int   `json:"speed,omitempty"`          // avif, heif 0–9: higher is faster and larger; 8
	KeepMetadata  bool   `json:"keep_metadata,omitempty"`  // EXIF, IPTC, XMP, comments
	KeepCopyright bool   `json:"keep_copyright,omitempty"` // EXIF copyright and artist even without the rest
	KeepProfile   bool   `json:"keep_profile,omitempty"`   // else converted to sRGB
	KeepDepth     bool   `json:"keep_depth,omitempty"`     // 16 bits a channel where the format has them
}

// Gravity says which part counts: ce (default), no, so, ea, we, noea, nowe,
// soea, sowe with offsets X and Y inwards (|v| ≥ 1 pixels, else a fraction of
// the picture), sm = where attention goes, fp = around the point X, Y (0–1).
type Gravity struct {
	Type string  `json:"type,omitempty"`
	X    float64 `json:"x,omitempty"`
	Y    float64 `json:"y,omitempty"`
}

// Crop takes a part before resizing. Sizes ≥ 1 are pixels, below 1 fractions,
// 0 is everything. Without Gravity the Transform's applies.
type Crop struct {
	Width   float64  `json:"width,omitempty"`
	Height  float64  `json:"height,omitempty"`
	Gravity *Gravity `json:"gravity,omitempty"`
	// X and Y, where set, give the top left corner in pixels instead.
	X *int `json:"x,omitempty"`
	Y *int `json:"y,omitempty"`
}

// Trim cuts off a border of one colour.
type Trim struct {
	Threshold float64 `json:"threshold"`       // colour distance still border, 0–255
	Color     *Color  `json:"color,omitempty"` // nil = that of the top left pixel
	EqualHor  bool    `json:"equal_hor,omitempty"`
	EqualVer  bool    `json:"equal_ver,omitempty"`
}

// Padding is added around the picture, in pixels before DPR.
type Padding struct {
	Top    int `json:"top,omitempty"`
	Right  int `json:"right,omitempty"`
	Bottom int `json:"bottom,omitempty"`
	Left   int `json:"left,omitempty"`
}

// Color is an sRGB colour.
type Color struct {
	R uint8 `json:"r"`
	G uint8 `json:"g"`
	B uint8 `json:"b"`
}

const maxLength = 1 << 20 // of any single size in pixels; the limits are stricter

var gravities = map[string]bool{
	"": true, "ce": true, "no": true, "so": true, "ea": true, "we": true, "noea": true, "nowe": true, "soea": true, "sowe": true, "sm": true, "fp": true,
}

// Validate finds what no image could satisfy. Errors are Invalid and name the
// field, except for an output format nobody writes, which is Unsupported.
func (t *Transform) Validate() error {
	within := func(field string, v, lo, hi float64) error {
		if math.IsNaN(v) || v < lo || v > hi {
			return errs.InField(field, "%v is not within %v–%v", v, lo, hi)
		}
		return nil
	}
	among := func(field, v string, of ...string) error {
		for _, o := range of {
			if v == o {
				return nil
			}
		}
		return errs.InField(field, "%q is not one of %s", v, strings.Join(of[1:], ", "))
	}
	checks := []error{
		within("page", float64(t.Page), 0, 1e6), within("pages", float64(t.Pages), 0, 1e6),
		among("mode", t.Mode, "", "fit", "fill", "fill-down", "force", "auto"),
		among("kernel", t.Kernel, "", "nearest", "linear", "cubic", "lanczos2", "lanczos3"),
		within("width", float64(t.Width), 0, maxLength), within("height", float64(t.Height), 0, maxLength),
		within("min_width", float64(t.MinWidth), 0, maxLength), within("min_height", float64(t.MinHeight), 0, maxLength),
		within("zoom_x", t.ZoomX, 0, 1000), within("zoom_y", t.ZoomY, 0, 1000), within("dpr", t.DPR, 0, 100),
		within("blur", t.Blur, 0, 1000), within("sharpen", t.Sharpen, 0, 10), within("pixelate", float64(t.Pixelate), 0, maxLength),
		within("brightness", t.Brightness, -255, 255), t.Gravity.validate("gravity"),
	}
	if t.Rotate%90 != 0 || t.Rotate < 0 || t.Rotate > 270 {
		checks = append(checks, errs.InField("rotate", "%d is not 0, 90, 180 or 270", t.Rotate))
	}
	for field, v := range map[string]*float64{"contrast": t.Contrast, "saturation": t.Saturation} {
		if v != nil {
			checks = append(checks, within(field, *v, 0, 10))
		}
	}
	if t.BackgroundAlpha != nil {
		checks = append(checks, within("background_alpha", *t.BackgroundAlpha, 0, 1))
	}
	for field, g := range map[string]*Gravity{"extend": t.Extend, "extend_aspect": t.ExtendAspect} {
		if g != nil {
			checks = append(checks, g.validate(field))
			if g.Type == "sm" {
				checks = append(checks, errs.InField(field, "sm has no meaning for a canvas"))
			}
		}
	}
	if c := t.Crop; c != nil {
		checks = append(checks, within("crop.width", c.Width, 0, maxLength), within("crop.height", c.Height, 0, maxLength))
		if c.Gravity != nil {
			checks = append(checks, c.Gravity.validate("crop.gravity"))
		}
		for field, v := range map[string]*int{"crop.x": c.X, "crop.y": c.Y} {
			if v != nil {
				checks = append(checks, within(field, float64(*v), 0, maxLength))
			}
		}
	}
	if t.Trim != nil {
		checks = append(checks, within("trim.threshold", t.Trim.Threshold, 0, 255))
	}
	if p := t.Padding; p != nil {
		for field, v := range map[string]int{"padding.top": p.Top, "padding.right": p.Right, "padding.bottom": p.Bottom, "padding.left": p.Left} {
			checks = append(checks, within(field, float64(v), 0, maxLength))
		}
	}
	for _, err := range append(checks, t.Output.validate(within)...) {
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *Encoding) validate(within func(string, float64, float64, float64) error) (out []error) {
	if o.Format != "" {
		if _, ok := Output(o.Format); !ok {
			out = append(out, &errs.Error{Kind: errs.Unsupported, Field: "format", Msg: "cannot write " + o.Format})
		}
	}
	out = append(out, within("quality", float64(o.Quality), 0, 100), within("max_bytes", float64(o.MaxBytes), 0, 1<<40))
	if o.Colors != 0 {
		out = append(out, within("colors", float64(o.Colors), 2, 256))
	}
	if o.Effort != nil {
		out = append(out, within("effort", float64(*o.Effort), 0, 10))
	}
	if o.Speed != nil {
		out = append(out, within("speed", float64(*o.Speed), 0, 9))
	}
	return out
}

func (g *Gravity) validate(field string) error {
	if !gravities[g.Type] {
		return errs.InField(field, "%q is not a gravity", g.Type)
	}
	lo, hi := -float64(maxLength), float64(maxLength)
	if g.Type == "fp" {
		lo, hi = 0, 1
	}
	for _, v := range []float64{g.X, g.Y} {
		if math.IsNaN(v) || v < lo || v > hi {
			return errs.InField(field, "%v is not within %v–%v", v, lo, hi)
		}
	}
	return nil
}
