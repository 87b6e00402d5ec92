package encode

import (
	"math"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// Picture says what happens to pictures between decoder and encoder.
type Picture struct {
	Width, Height int    // box in pixels; 0 = from the other, or as displayed
	Fit           string // contain, cover, pad or stretch
	Pad           string // colour of the bars, "black" or "#rrggbb"
	Upscale       bool
	Layout        string // yuv420p, yuv422p, yuv444p
	BitDepth      int    // 8 or 10; 0 = the source's where the codec has it
	Color         string // keep or bt709
	HDR           string // auto, keep, tonemap or refuse
	Deinterlace   string // auto, off or on
}

// Chain is the decided form of a Picture for one source.
type Chain struct {
	Before  []graph.Filter // that look at neighbouring frames
	Filters []graph.Filter // a frame at a time: size and colour
	Format  graph.Filter   // the encoder's pixel format, last of all
	Width   int            // of the result, in coded pixels
	Height  int
	Square  bool           // the result has square pixels whatever the source had
	SAR     media.Rational // of the result
	Tags    media.Color    // of the result
	HDR     *media.HDR     // static metadata to write
	SDR     bool           // HDR was mapped to SDR
}

// Plan decides what p means for the picture track v and encoder e. It fails
// with Unsupported where HDR is refused or cannot be kept, and with Invalid
// for a track without a size.
func (p Picture) Plan(v *media.VideoStream, e Video) (Chain, error) {
	if v.Width <= 0 || v.Height <= 0 {
		return Chain{}, errs.New(errs.Invalid, "encode", "the picture track says no size")
	}
	c := Chain{Tags: v.Color}
	if p.Deinterlace == "on" || p.Deinterlace == "auto" && interlaced(v.FieldOrder) {
		// One frame for one frame. yadif halves the time base; settb restores it.
		c.Before = append(c.Before, graph.New("yadif", "mode", "send_frame", "deint", "all"),
			graph.New("settb", "expr", v.TimeBase.String()))
	}
	p.size(&c, v)
	if err := p.color(&c, v, e); err != nil {
		return c, err
	}
	depth := p.BitDepth
	if depth == 0 {
		if depth = 8; v.BitDepth > 8 && e.Codec != "h264" && !c.SDR {
			depth = 10
		}
	}
	layout := p.Layout
	if depth == 10 {
		layout += "10le"
	}
	c.Format = graph.New("format", "pix_fmts", layout)
	return c, nil
}

func interlaced(order string) bool {
	switch order {
	case "tt", "bb", "tb", "bt":
		return true
	}
	return false
}

func even(f float64) int { return max(2, int(math.Round(f/2))*2) }

// size adds the filters that give the wanted size. Pixels become square when a
// size is asked for; otherwise they stay as they are. FFmpeg has turned the
// picture upright before.
func (p Picture) size(c *Chain, v *media.VideoStream) {
	cw, ch, sar := v.Width, v.Height, v.SAR
	if !sar.Known() || sar.Num <= 0 {
		sar = media.Rational{Num: 1, Den: 1}
	}
	if v.Rotation == 90 || v.Rotation == 270 {
		cw, ch, sar = ch, cw, media.Rational{Num: sar.Den, Den: sar.Num}
	}
	if p.Width == 0 && p.Height == 0 {
		c.Width, c.Height, c.SAR = cw&^1, ch&^1, sar
		if c.Width != cw || c.Height != ch { // a column is lost, the others stay as sharp as they were
			c.Width, c.Height = max(c.Width, 2), max(c.Height, 2)
			if cw < 2 || ch < 2 {
				c.Filters = append(c.Filters, graph.New("scale", "w", itoa(c.Width), "h", itoa(c.Height)))
			} else {
				c.Filters = append(c.Filters, graph.New("crop", "w", itoa(c.Width), "h", itoa(c.Height), "x", "0", "y", "0"))
			}
		}
		return
	}
	c.Square, c.SAR = true, media.Rational{Num: 1, Den: 1}
	dw, dh := float64(cw)*sar.Float(), float64(ch)
	bw, bh := float64(p.Width), float64(p.Height)
	if bw == 0 {
		bw = dw * bh / dh
	} else if bh == 0 {
		bh = dh * bw / dw
	}
	scale := func(w, h int) graph.Filter {
		return graph.New("scale", "w", itoa(w), "h", itoa(h), "flags", "bicubic+accurate_rnd+full_chroma_int")
	}
	square := graph.New("setsar", "r", "1")
	limit := func(r float64) float64 {
		if !p.Upscale {
			r = min(r, 1)
		}
		return r
	}
	switch p.Fit {
	case "stretch":
		c.Width, c.Height = even(bw), even(bh)
		c.Filters = append(c.Filters, scale(c.Width, c.Height), square)
	case "cover":
		r := max(bw/dw, bh/dh)
		if !p.Upscale && r > 1 { // the box's shape, as large as the source allows
			bw, bh, r = bw/r, bh/r, 1
		}
		c.Width, c.Height = even(bw), even(bh)
		c.Filters = append(c.Filters, scale(max(even(dw*r), c.Width), max(even(dh*r), c.Height)),
			graph.New("crop", "w", itoa(c.Width), "h", itoa(c.Height)), square)
	case "pad":
		r := limit(min(bw/dw, bh/dh))
		c.Width, c.Height = even(bw), even(bh)
		c.Filters = append(c.Filters, scale(min(even(dw*r), c.Width), min(even(dh*r), c.Height)),
			graph.New("pad", "w", itoa(c.Width), "h", itoa(c.Height), "x", "(ow-iw)/2", "y", "(oh-ih)/2", "color", p.Pad), square)
	default:
		r := limit(min(bw/dw, bh/dh))
		c.Width, c.Height = even(dw*r), even(dh*r)
		c.Filters = append(c.Filters, scale(c.Width, c.Height), square)
	}
}

// color adds the filters that give the wanted colours.
func (p Picture) color(c *Chain, v *media.VideoStream, e Video) error {
	high := v.Color.Transfer == "smpte2084" || v.Color.Transfer == "arib-std-b67"
	keepable := e.CarriesHDR() && !(p.BitDepth == 8)
	mode := p.HDR
	if mode == "auto" {
		if mode = "keep"; !keepable || p.Color == "bt709" {
			mode = "tonemap"
		}
	}
	switch {
	case high && mode == "refuse":
		return &errs.Error{Kind: errs.Unsupported, Op: "encode", Field: "params.hdr", Msg: "the source is HDR (" + v.Color.Transfer + ")"}
	case high && mode == "keep" && !keepable:
		return &errs.Error{Kind: errs.Unsupported, Op: "encode", Field: "params.hdr", Msg: "HDR is kept in h265 and av1 with 10 bits only"}
	case high && mode == "keep":
		c.HDR = v.HDR
		return nil
	case high:
		// Hable's curve in linear light, then the gamut: 100 cd/m² is white.
		in := assume(v)
		c.Filters = append(c.Filters,
			graph.New("zscale", "tin", in.Transfer, "pin", in.Primaries, "min", in.Matrix, "rin", in.Range,
				"t", "linear", "npl", "100", "p", "bt709", "m", "gbr"), // all said: what a stream leaves open has no path
			graph.New("format", "pix_fmts", "gbrpf32le"),
			graph.New("tonemap", "tonemap", "hable", "desat", "0"),
			graph.New("zscale", "t", "bt709", "p", "bt709", "m", "bt709", "r", "tv"))
		c.Tags, c.SDR = media.Color{Range: "tv", Primaries: "bt709", Transfer: "bt709", Matrix: "bt709"}, true
		return nil
	case p.Color == "bt709" && !(v.Color.Primaries == "bt709" && v.Color.Transfer == "bt709" && v.Color.Matrix == "bt709"):
		in := assume(v)
		c.Filters = append(c.Filters, graph.New("zscale", "tin", in.Transfer, "pin", in.Primaries, "min", in.Matrix, "rin", in.Range,
			"t", "bt709", "p", "bt709", "m", "bt709", "r", "tv"))
		c.Tags = media.Color{Range: "tv", Primaries: "bt709", Transfer: "bt709", Matrix: "bt709"}
		return nil
	}
	if rgb(v) {
		// Stored without a matrix; the encoders want one.
		c.Filters = append(c.Filters, graph.New("scale", "out_color_matrix", "bt709", "out_range", "tv"))
		c.Tags.Matrix, c.Tags.Range = "bt709", "tv"
		return nil
	}
	if full(v) {
		// Said twice, or the conversion to the encoder's format squeezes the range.
		c.Filters = append(c.Filters, graph.New("scale", "in_range", "pc", "out_range", "pc"))
		c.Tags.Range = "pc"
	}
	return nil
}

func rgb(v *media.VideoStream) bool {
	for _, p := range []string{"gbr", "rgb", "bgr", "argb", "abgr", "0rgb", "0bgr", "pal8"} {
		if strings.HasPrefix(v.PixelFormat, p) {
			return true
		}
	}
	return v.Color.Matrix == "gbr"
}

// Full reports whether the track's samples use the full range of codes.
func Full(v *media.VideoStream) bool { return full(v) }

func full(v *media.VideoStream) bool {
	return v.Color.Range == "pc" || strings.HasPrefix(v.PixelFormat, "yuvj")
}

// assume fills in what a stream does not say, as players do: BT.601 for small
// pictures, BT.709 otherwise.
func assume(v *media.VideoStream) media.Color {
	c := v.Color
	or := func(s *string, value string) {
		if *s == "" || *s == "unknown" || *s == "reserved" {
			*s = value
		}
	}
	base := "bt709"
	if v.Width <= 1024 && v.Height <= 576 {
		base = "smpte170m"
	}
	if c.Primaries == "bt2020" {
		or(&c.Matrix, "bt2020nc")
	}
	if c.Matrix == "bt2020nc" || c.Matrix == "bt2020c" {
		or(&c.Primaries, "bt2020")
	}
	or(&c.Matrix, base)
	or(&c.Primaries, base)
	or(&c.Transfer, "bt709")
	or(&c.Range, map[bool]string{true: "pc", false: "tv"}[full(v)])
	return c
}
