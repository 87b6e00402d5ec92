// Package image holds the functions from images to images. All of them run on
// libvips, in a sandboxed mediafn-engine child.
package image

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/engine"
	"github.com/mediafn/mediafn/tools/engine/wire"
)

// transform.go: image.transform does everything an image URL can ask for, in
// one pass over the pixels.

var transformSpec = fn.Spec{
	Name:    "image.transform",
	Version: "1",
	Summary: "Resize, crop, rotate, adjust and convert an image",
	Doc: "One decode, one encode, steps in a fixed order whatever the order of the parameters: trim, orientation, crop, resize, blur, sharpen, " +
		"pixelate, colour, extend, padding, background, format. Sizes follow the imgproxy dialect. JPEG is shrunk while it is decoded; " +
		"animations stay animations where both formats can hold them. Metadata is stripped and colours are converted to sRGB unless kept.",
	Inputs:  []fn.Slot{{Name: "source", Kinds: []media.Kind{media.Image}, Min: 1, Max: 1, Help: "the image"}},
	Outputs: []fn.Slot{{Name: "image", Kinds: []media.Kind{media.Image}, Min: 1, Max: 1, Help: "the new image"}},
	Purity:  fn.Exact,
	Timeout: fn.Timeout{Base: 30 * time.Second, Factor: 20},
}

type transformCrop struct {
	Width   float64 `json:"width" default:"0" min:"0" max:"100000" help:"≥ 1 pixels, below 1 a fraction, 0 = all"`
	Height  float64 `json:"height" default:"0" min:"0" max:"100000" help:"≥ 1 pixels, below 1 a fraction, 0 = all"`
	Gravity string  `json:"gravity" default:"" enum:",ce,no,so,ea,we,noea,nowe,soea,sowe,sm,fp" help:"which part stays; empty = gravity of the whole"`
	OffsetX float64 `json:"gravity_x" default:"0" min:"-100000" max:"100000" help:"as gravity_x of the whole"`
	OffsetY float64 `json:"gravity_y" default:"0" min:"-100000" max:"100000" help:"as gravity_y of the whole"`
	X       *int    `json:"x" min:"0" max:"100000" unit:"px" help:"left edge, in place of a gravity"`
	Y       *int    `json:"y" min:"0" max:"100000" unit:"px" help:"top edge, in place of a gravity"`
}

type transformTrim struct {
	Threshold float64 `json:"threshold" default:"10" min:"0" max:"255" help:"colour distance that still counts as border"`
	Color     string  `json:"color" default:"" pattern:"[0-9a-fA-F]{6}" help:"colour of the border; empty = that of the top left pixel" example:"ffffff"`
	EqualHor  bool    `json:"equal_hor" default:"false" help:"cut as much on the left as on the right"`
	EqualVer  bool    `json:"equal_ver" default:"false" help:"cut as much on top as at the bottom"`
}

type transformPadding struct {
	Top    int `json:"top" default:"0" min:"0" max:"10000" unit:"px" help:"above"`
	Right  int `json:"right" default:"0" min:"0" max:"10000" unit:"px" help:"on the right"`
	Bottom int `json:"bottom" default:"0" min:"0" max:"10000" unit:"px" help:"below"`
	Left   int `json:"left" default:"0" min:"0" max:"10000" unit:"px" help:"on the left"`
}

type transformParams struct {
	Width     int     `json:"width" default:"0" min:"0" max:"16384" unit:"px" help:"0 = follows from the height"`
	Height    int     `json:"height" default:"0" min:"0" max:"16384" unit:"px" help:"0 = follows from the width"`
	Resize    string  `json:"resize" default:"fit" enum:"fit,fill,fill-down,force,auto" help:"inside the box; cover it and cut; cover without enlarging; distort; fill if both are portrait or both landscape"`
	MinWidth  int     `json:"min_width" default:"0" min:"0" max:"16384" unit:"px" help:"the result is at least this wide"`
	MinHeight int     `json:"min_height" default:"0" min:"0" max:"16384" unit:"px" help:"the result is at least this high"`
	ZoomX     float64 `json:"zoom_x" default:"1" min:"0.001" max:"100" help:"factor on the width"`
	ZoomY     float64 `json:"zoom_y" default:"1" min:"0.001" max:"100" help:"factor on the height"`
	DPR       float64 `json:"dpr" default:"1" min:"0.1" max:"10" help:"device pixel ratio: factor on sizes, offsets and paddings"`
	Enlarge   bool    `json:"enlarge" default:"false" help:"allow results larger than the source"`
	Kernel    string  `json:"kernel" default:"lanczos3" enum:"nearest,linear,cubic,lanczos2,lanczos3" help:"resampling filter"`

	Extend        bool    `json:"extend" default:"false" help:"grow the canvas to width × height where the picture is smaller"`
	ExtendAspect  bool    `json:"extend_aspect" default:"false" help:"grow the canvas to the aspect ratio of width × height"`
	ExtendGravity string  `json:"extend_gravity" default:"ce" enum:"ce,no,so,ea,we,noea,nowe,soea,sowe,fp" help:"where the picture sits on the grown canvas"`
	Gravity       string  `json:"gravity" default:"ce" enum:"ce,no,so,ea,we,noea,nowe,soea,sowe,sm,fp" help:"which part counts when something is cut off: a side, sm = where attention goes, fp = the point gravity_x, gravity_y"`
	OffsetX       float64 `json:"gravity_x" default:"0" min:"-100000" max:"100000" help:"offset inwards, ≥ 1 pixels, below 1 a fraction; for fp 0–1"`
	OffsetY       float64 `json:"gravity_y" default:"0" min:"-100000" max:"100000" help:"offset inwards, ≥ 1 pixels, below 1 a fraction; for fp 0–1"`

	Crop    *transformCrop    `json:"crop" help:"part to keep, taken before resizing"`
	Trim    *transformTrim    `json:"trim" help:"cut off a border of one colour"`
	Padding *transformPadding `json:"padding" help:"added around the result"`

	AutoRotate bool `json:"auto_rotate" default:"true" help:"apply the EXIF orientation"`
	Rotate     int  `json:"rotate" default:"0" min:"0" max:"270" unit:"°" help:"clockwise: 0, 90, 180 or 270"`
	Flip       bool `json:"flip" default:"false" help:"mirror top and bottom"`
	Flop       bool `json:"flop" default:"false" help:"mirror left and right"`

	Background string   `json:"background" default:"" pattern:"[0-9a-fA-F]{6}" help:"colour laid under transparent parts and added borders; empty = transparent, or white where the format has no alpha" example:"ffffff"`
	Blur       float64  `json:"blur" default:"0" min:"0" max:"1000" unit:"px" help:"sigma; 0 = off"`
	Sharpen    float64  `json:"sharpen" default:"0" min:"0" max:"10" unit:"px" help:"sigma; 0 = off"`
	Pixelate   int      `json:"pixelate" default:"0" min:"0" max:"10000" unit:"px" help:"side of a block; 0 = off"`
	Brightness float64  `json:"brightness" default:"0" min:"-255" max:"255" help:"added to every channel"`
	Contrast   *float64 `json:"contrast" min:"0" max:"10" help:"factor around mid grey"`
	Saturation *float64 `json:"saturation" min:"0" max:"10" help:"factor; 0 = grey"`

	Format        string `json:"format" default:"auto" enum:"auto,jpg,png,webp,avif,gif,tiff,bmp,heif" help:"auto = as the source"`
	Quality       int    `json:"quality" default:"0" min:"0" max:"100" help:"of lossy formats; 0 = 80 for jpg, 79 for webp, 63 for avif"`
	MaxBytes      int64  `json:"max_bytes" default:"0" min:"0" max:"1073741824" unit:"bytes" help:"lower the quality until the result is no larger; 0 = off"`
	Progressive   bool   `json:"progressive" default:"false" help:"jpg and png that appear from coarse to fine"`
	NoSubsample   bool   `json:"no_subsample" default:"false" help:"jpg and avif in full colour resolution"`
	Lossless      bool   `json:"lossless" default:"false" help:"webp and avif without loss"`
	Colors        int    `json:"colors" default:"0" min:"0" max:"256" help:"2–256: palette png or gif of at most so many colours; 0 = off"`
	Strip         bool   `json:"strip" default:"true" help:"remove EXIF, IPTC, XMP and comments"`
	KeepCopyright bool   `json:"keep_copyright" default:"false" help:"keep the EXIF copyright and artist all the same"`
	KeepICC       bool   `json:"keep_icc" default:"false" help:"keep the colour profile; else colours are converted to sRGB"`

	Page  int `json:"page" default:"0" min:"0" max:"100000" help:"first page or frame, from 0"`
	Pages int `json:"pages" default:"0" min:"0" max:"10000" help:"how many; 0 = all of an animation if the format can hold it, else one"`
}

// Facts is the facts object of image.transform.
type Facts struct {
	Format       string `json:"format"`
	Width        int    `json:"width"`
	Height       int    `json:"height"`
	Pages        int    `json:"pages"`
	SourceWidth  int    `json:"source_width"`
	SourceHeight int    `json:"source_height"`
	Quality      int    `json:"quality,omitempty"`    // used by a lossy encoder
	OverBytes    bool   `json:"over_bytes,omitempty"` // max_bytes could not be kept
}

// Transform returns image.transform. Without engines the function loads but
// refuses.
func Transform(pool *engine.Pool) fn.Function {
	spec := transformSpec
	if pool == nil {
		spec.Missing = "engine missing"
	}
	return fn.Define(spec, fn.Body[transformParams]{
		Check: checkTransform,
		Price: priceTransform,
		Run: func(ctx fn.Context, call *fn.Call, p *transformParams) (*fn.Result, error) {
			return runTransform(ctx, pool, call, p)
		},
	})
}

// checkTransform says what the schema cannot: combinations.
func checkTransform(p *transformParams, _ []media.Kind) error {
	field := func(name, format string, args ...any) error { return errs.InField("params."+name, format, args...) }
	oneSided := p.Width == 0 || p.Height == 0
	switch {
	case p.Rotate%90 != 0:
		return field("rotate", "%d is not 0, 90, 180 or 270", p.Rotate)
	case p.Gravity == "fp" && !point(p.OffsetX, p.OffsetY):
		return field("gravity_x", "with gravity fp gravity_x and gravity_y are within 0–1")
	case p.Gravity == "sm" && (p.OffsetX != 0 || p.OffsetY != 0):
		return field("gravity_x", "gravity sm takes no offset")
	case p.Extend && oneSided:
		return field("extend", "needs both width and height")
	case p.ExtendAspect && oneSided:
		return field("extend_aspect", "needs both width and height")
	case p.Extend && p.ExtendAspect:
		return field("extend_aspect", "goes not together with extend")
	case p.Lossless && p.Format != "webp" && p.Format != "avif" && p.Format != "auto":
		return field("lossless", "is for webp and avif, not %s", p.Format)
	case p.Lossless && p.MaxBytes > 0:
		return field("max_bytes", "cannot be kept without loss")
	case p.MaxBytes > 0 && (p.Format == "png" || p.Format == "gif" || p.Format == "bmp"):
		return field("max_bytes", "is for lossy formats, not %s", p.Format)
	case p.Progressive && p.Format != "jpg" && p.Format != "png" && p.Format != "auto":
		return field("progressive", "is for jpg and png, not %s", p.Format)
	case p.Colors == 1:
		return field("colors", "must be 0 or 2–256")
	case p.Colors > 0 && p.Format != "png" && p.Format != "gif" && p.Format != "auto":
		return field("colors", "is for png and gif, not %s", p.Format)
	case p.KeepCopyright && !p.Strip:
		return field("keep_copyright", "has a meaning only with strip")
	}
	if c := p.Crop; c != nil {
		switch {
		case (c.X == nil) != (c.Y == nil):
			return field("crop.x", "x and y come together")
		case c.X != nil && c.Gravity != "":
			return field("crop.gravity", "is in place of x and y, give one or the other")
		case c.Gravity == "fp" && !point(c.OffsetX, c.OffsetY):
			return field("crop.gravity_x", "with gravity fp gravity_x and gravity_y are within 0–1")
		case c.Gravity == "" && (c.OffsetX != 0 || c.OffsetY != 0):
			return field("crop.gravity_x", "needs a gravity")
		}
	}
	return nil
}

func point(x, y float64) bool { return x >= 0 && x <= 1 && y >= 0 && y <= 1 }

// priceTransform: a core decodes and resamples about 60 million pixels a
// second, a third of that for formats other than JPEG.
func priceTransform(_ *transformParams, inputs []*media.Info) fn.Price {
	price := fn.Price{CPUSeconds: 0.2, Memory: 128 << 20, Cores: 1}
	if len(inputs) == 0 || inputs[0] == nil || inputs[0].Image == nil {
		return price
	}
	im := inputs[0].Image
	pixels := float64(im.Width) * float64(im.Height) * float64(max(im.Pages, 1))
	speed := 60e6
	if inputs[0].Format != "jpeg" {
		speed = 20e6
	}
	price.CPUSeconds = 0.02 + pixels/speed
	price.Memory = 64<<20 + int64(pixels)*8
	return price
}

// planTransform is the engine's request for p.
func planTransform(p *transformParams) *wire.Transform {
	t := &wire.Transform{
		Page: p.Page, Pages: p.Pages,
		AutoOrient: p.AutoRotate, Rotate: p.Rotate, FlipH: p.Flop, FlipV: p.Flip,
		Mode: p.Resize, Width: p.Width, Height: p.Height, MinWidth: p.MinWidth, MinHeight: p.MinHeight,
		ZoomX: p.ZoomX, ZoomY: p.ZoomY, DPR: p.DPR, Enlarge: p.Enlarge, Kernel: p.Kernel,
		Gravity: wire.Gravity{Type: p.Gravity, X: p.OffsetX, Y: p.OffsetY},
		Blur:    p.Blur, Sharpen: p.Sharpen, Pixelate: p.Pixelate,
		Brightness: p.Brightness, Contrast: p.Contrast, Saturation: p.Saturation,
		Background: color(p.Background),
		Output: wire.Encoding{
			Quality: p.Quality, MaxBytes: p.MaxBytes, Progressive: p.Progressive, NoSubsample: p.NoSubsample,
			Lossless: p.Lossless, Palette: p.Colors > 0, Colors: p.Colors,
			KeepMetadata: !p.Strip, KeepCopyright: p.KeepCopyright, KeepProfile: p.KeepICC,
		},
	}
	if p.Format != "auto" {
		t.Output.Format, _ = wire.Output(p.Format)
	}
	if p.Extend {
		t.Extend = &wire.Gravity{Type: p.ExtendGravity}
	}
	if p.ExtendAspect {
		t.ExtendAspect = &wire.Gravity{Type: p.ExtendGravity}
	}
	if c := p.Crop; c != nil {
		t.Crop = &wire.Crop{Width: c.Width, Height: c.Height, X: c.X, Y: c.Y}
		if c.Gravity != "" {
			t.Crop.Gravity = &wire.Gravity{Type: c.Gravity, X: c.OffsetX, Y: c.OffsetY}
		}
	}
	if m := p.Trim; m != nil {
		t.Trim = &wire.Trim{Threshold: m.Threshold, Color: color(m.Color), EqualHor: m.EqualHor, EqualVer: m.EqualVer}
	}
	if d := p.Padding; d != nil {
		t.Padding = &wire.Padding{Top: d.Top, Right: d.Right, Bottom: d.Bottom, Left: d.Left}
	}
	return t
}

// color reads RRGGBB, which the schema has checked; nil for none.
func color(hex string) *wire.Color {
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		return nil
	}
	return &wire.Color{R: uint8(n >> 16), G: uint8(n >> 8), B: uint8(n)}
}

// extensions are the file names' endings of the engine's formats.
var extensions = map[string]string{"jpeg": "jpg", "tiff": "tif", "heif": "heic"}

func runTransform(ctx fn.Context, pool *engine.Pool, call *fn.Call, p *transformParams) (*fn.Result, error) {
	began, in := time.Now(), call.In("source")
	opened, done, err := source.OpenImage(in)
	if err != nil {
		return nil, err
	}
	defer done()
	got, err := pool.Transform(ctx, engine.TransformRequest{Input: opened, Transform: *planTransform(p)})
	if err != nil {
		return nil, named(err)
	}
	ext := extensions[got.Format]
	if ext == "" {
		ext = got.Format
	}
	name := "image." + ext
	path := filepath.Join(call.Dir, name)
	if err := os.WriteFile(path, got.Bytes, 0o644); err != nil {
		return nil, errs.New(errs.Internal, "image.transform", "%w", err)
	}
	raw, err := json.Marshal(Facts{
		Format: got.Format, Width: got.Width, Height: got.Height, Pages: got.Pages,
		SourceWidth: got.SourceWidth, SourceHeight: got.SourceHeight, Quality: got.Quality, OverBytes: got.OverBytes,
	})
	if err != nil {
		return nil, errs.New(errs.Internal, "image.transform", "%w", err)
	}
	call.Report(fn.Progress{Done: 1})
	return &fn.Result{
		Outputs: []fn.Output{{Slot: "image", Name: name, Path: path, Kind: media.Image, Mime: got.Mime}},
		Facts:   raw,
		Usage: fn.Usage{
			CPUSeconds: got.Usage.CPU, MaxMemory: got.Usage.RSS, WallSeconds: time.Since(began).Seconds(),
			BytesIn: in.Size, BytesOut: int64(len(got.Bytes)),
		},
	}, nil
}

// fields maps the engine's names of request fields to ours, where they differ.
var fields = map[string]string{
	"mode": "resize", "flip_h": "flop", "flip_v": "flip", "output.format": "format", "extend": "extend_gravity",
	"gravity": "gravity_x", "crop.gravity": "crop.gravity_x",
}

// named gives an error about a field of the engine's request the name of the
// parameter it came from.
func named(err error) error {
	field := errs.FieldOf(err)
	if field == "" || strings.HasPrefix(field, "params.") {
		return err
	}
	if ours, ok := fields[field]; ok {
		field = ours
	}
	return &errs.Error{Kind: errs.KindOf(err), Field: "params." + field, Msg: err.Error(), Err: err}
}
