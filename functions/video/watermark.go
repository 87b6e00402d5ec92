package video

import (
	"math"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// watermark.go: video.watermark draws a picture and texts over a video.

var watermarkSpec = fn.Spec{
	Name:    "video.watermark",
	Version: "1",
	Summary: "Draw a logo and texts over a video",
	Doc: "Lays a logo (the second input) and any number of texts over every frame of a time window and encodes the video as video.transcode does, " +
		"with the same parameters. Sizes and margins are in pixels of the result, or relative to it. Times are seconds of the source. " +
		"Texts are drawn literally; nothing in them is interpreted. Slices are drawn exactly like the whole.",
	Inputs: []fn.Slot{{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "the video"},
		{Name: "logo", Kinds: []media.Kind{media.Image}, Min: 0, Max: 1, Help: "png, jpeg, webp, bmp, tiff or gif; transparency is kept"}},
	Outputs:  []fn.Slot{{Name: "video", Kinds: []media.Kind{media.Video, media.Audio}, Min: 1, Max: 1, Help: "the marked video; of a sound slice its sound"}},
	Internal: render.Internal(),
	Purity:   fn.Equivalent,
	Slicing:  fn.Slicing{Mode: fn.Independent},
	Timeout:  fn.Timeout{Base: 2 * time.Minute, Factor: 10},
}

// place says where and when something is drawn.
type place struct {
	Position         string
	MarginX, MarginY float64
	Opacity          float64
	Start            float64
	End              *float64
}

type logoParams struct {
	Scale    float64  `json:"scale" default:"0.15" min:"0.001" max:"1" help:"width of the logo as a share of the video's width"`
	Rotate   float64  `json:"rotate" default:"0" min:"-360" max:"360" unit:"°" help:"turned clockwise"`
	Tile     bool     `json:"tile" default:"false" help:"repeat it over the whole picture, margins between; position does not count then"`
	Position string   `json:"position" default:"bottom-right" enum:"top-left,top,top-right,left,center,right,bottom-left,bottom,bottom-right" help:"corner, edge or middle of the picture"`
	MarginX  float64  `json:"margin_x" default:"0.02" min:"0" max:"16384" help:"distance from the left or right edge: below 1 a share of the width, else pixels"`
	MarginY  float64  `json:"margin_y" default:"0.02" min:"0" max:"16384" help:"distance from the upper or lower edge: below 1 a share of the height, else pixels"`
	Opacity  float64  `json:"opacity" default:"1" min:"0" max:"1" help:"0 is invisible, 1 covers"`
	Start    float64  `json:"start" default:"0" min:"0" max:"1000000" unit:"s" help:"second of the source where it appears"`
	End      *float64 `json:"end" min:"0" max:"1000000" unit:"s" help:"second where it is gone again; not given = never"`
}

func (l logoParams) place() place {
	return place{l.Position, l.MarginX, l.MarginY, l.Opacity, l.Start, l.End}
}

type textParams struct {
	Text     string   `json:"text" required:"true" min:"1" max:"1000" help:"what is written, several lines if it has them" example:"© mediafn"`
	Font     string   `json:"font" default:"sans" enum:"sans,sans-bold,serif,serif-bold,mono,cjk,cjk-bold,cjk-serif" help:"typeface; Chinese, Japanese and Korean text uses a cjk face by itself"`
	Size     float64  `json:"size" default:"0.05" min:"0.005" max:"2000" help:"height of the letters: below 1 a share of the picture's height, else pixels"`
	Color    string   `json:"color" default:"white" pattern:"[a-zA-Z]{3,24}|#[0-9a-fA-F]{6}" help:"a name or #rrggbb"`
	Box      bool     `json:"box" default:"false" help:"a filled box behind the text"`
	BoxColor string   `json:"box_color" default:"black" pattern:"[a-zA-Z]{3,24}|#[0-9a-fA-F]{6}" help:"its colour, half transparent"`
	Outline  int      `json:"outline" default:"0" min:"0" max:"64" unit:"px" help:"black line around the letters"`
	Shadow   int      `json:"shadow" default:"0" min:"0" max:"64" unit:"px" help:"black shadow to the lower right"`
	Position string   `json:"position" default:"bottom-right" enum:"top-left,top,top-right,left,center,right,bottom-left,bottom,bottom-right" help:"corner, edge or middle of the picture"`
	MarginX  float64  `json:"margin_x" default:"0.02" min:"0" max:"16384" help:"distance from the left or right edge: below 1 a share of the width, else pixels"`
	MarginY  float64  `json:"margin_y" default:"0.02" min:"0" max:"16384" help:"distance from the upper or lower edge: below 1 a share of the height, else pixels"`
	Opacity  float64  `json:"opacity" default:"1" min:"0" max:"1" help:"0 is invisible, 1 covers"`
	Start    float64  `json:"start" default:"0" min:"0" max:"1000000" unit:"s" help:"second of the source where it appears"`
	End      *float64 `json:"end" min:"0" max:"1000000" unit:"s" help:"second where it is gone again; not given = never"`
}

func (x textParams) place() place {
	return place{x.Position, x.MarginX, x.MarginY, x.Opacity, x.Start, x.End}
}

type watermarkParams struct {
	encode.Params
	Logo  logoParams   `json:"logo" help:"how the logo is laid on"`
	Texts []textParams `json:"texts" max:"32" help:"texts to write, later ones over earlier ones"`
}

// Watermark returns video.watermark. Without ffmpeg it loads but refuses.
func Watermark(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, watermarkSpec), fn.Body[watermarkParams]{
		Check:    checkWatermark,
		Price:    func(p *watermarkParams, inputs []*media.Info) fn.Price { return render.Price(&p.Params, inputs) },
		Assembly: func(p *watermarkParams, info *media.Info) fn.Assembly { return render.Assembly(&p.Params, info) },
		Run: func(ctx fn.Context, call *fn.Call, p *watermarkParams) (*fn.Result, error) {
			return runWatermark(ctx, ff, call, p)
		},
	})
}

func checkWatermark(p *watermarkParams, inputs []media.Kind) error {
	if p.Logo.End != nil && *p.Logo.End <= p.Logo.Start {
		return errs.InField("params.logo.end", "must be behind start")
	}
	for i, x := range p.Texts {
		field := "params.texts[" + graph.Int(i) + "]"
		switch {
		case x.End != nil && *x.End <= x.Start:
			return errs.InField(field+".end", "must be behind start")
		case strings.TrimSpace(x.Text) == "":
			return errs.InField(field+".text", "is blank")
		case strings.ContainsFunc(x.Text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }):
			return errs.InField(field+".text", "contains a control character")
		}
	}
	if len(inputs) == 1 && len(p.Texts) == 0 {
		return errs.InField("params.texts", "there is neither a text nor a logo to draw")
	}
	return p.Params.Check()
}

// fonts maps the offered names to fontconfig patterns. The cjk faces hold
// Latin letters too.
var fonts = map[string]string{
	"sans": "DejaVu Sans", "sans-bold": "DejaVu Sans:bold", "serif": "DejaVu Serif", "serif-bold": "DejaVu Serif:bold", "mono": "DejaVu Sans Mono",
	"cjk": "Noto Sans CJK SC", "cjk-bold": "Noto Sans CJK SC:bold", "cjk-serif": "Noto Serif CJK SC",
}

// fontFor is the pattern of the font, or of its cjk relative where the text
// needs one.
func fontFor(name, text string) string {
	cjk := strings.ContainsFunc(text, func(r rune) bool {
		return r >= 0x2e80 && r <= 0x9fff || r >= 0xac00 && r <= 0xd7ff || r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe4f ||
			r >= 0xff00 && r <= 0xffef || r >= 0x20000 && r <= 0x3ffff || r >= 0x1100 && r <= 0x11ff
	})
	if cjk {
		name = map[string]string{"sans": "cjk", "mono": "cjk", "serif": "cjk-serif", "serif-bold": "cjk-serif", "sans-bold": "cjk-bold"}[name]
		if name == "" {
			name = "cjk"
		}
	}
	return fonts[name]
}

// planWatermark is what is done for params and a source; logo is the logo as
// ffmpeg opens it, or nil. It is pure.
//
// A slice draws only what appears in it, and what is there all the time without
// asking for the time: a window that changes elsewhere changes nothing of it.
func planWatermark(p *watermarkParams, info *media.Info, part *fn.Part, threads int, logo *ffmpeg.Input) render.Order {
	p.Normalize()
	o := render.Order{Params: &p.Params, Info: info, Part: part, Threads: threads}
	if part != nil && part.Stream == fn.Sound {
		o.Unused = []string{"logo"}
		return o
	}
	offset := o.Clock()
	mark, there := p.Logo.within(part, offset)
	if logo == nil || !there {
		o.Unused = []string{"logo"}
	} else {
		o.Extra = []ffmpeg.Input{*logo}
	}
	var drawn []textParams
	for _, x := range p.Texts {
		if x, there := x.within(part, offset); there {
			drawn, o.Files = append(drawn, x), append(o.Files, x.Text)
		}
	}
	sheet := paper(p, info)
	o.Draw = func(in, out string, w, h int) graph.Graph {
		front := []graph.Filter{sheet.format}
		var g graph.Graph
		if len(o.Extra) > 0 {
			g = append(g, graph.Chain{In: []string{in}, Filters: front, Out: []string{"sheet"}})
			g = append(g, mark.draw("sheet", "marked", w, h, offset, sheet)...)
			in, front = "marked", nil
		}
		for i, x := range drawn {
			front = append(front, x.draw(render.FileName(i), w, h, offset))
		}
		if len(front) == 0 {
			front = append(front, graph.New("null"))
		}
		return append(g, graph.Chain{In: []string{in}, Filters: front, Out: []string{out}})
	}
	return o
}

// sheet is what is drawn on: pictures in the result's own pixel format. Drawn on
// as they come, overlay would turn all of a picture to RGB and back.
type sheet struct {
	format graph.Filter // to it
	over   string       // its name among overlay's formats
	mark   string       // that of what overlay lays on it
	matrix string       // to it from the mark's RGB
	limits string       // range of its values
}

func paper(p *watermarkParams, info *media.Info) sheet {
	v := info.MainVideo()
	if v == nil {
		return sheet{format: graph.New("null")}
	}
	c, err := p.Picture().Plan(v, p.Video())
	if err != nil {
		return sheet{format: graph.New("null")} // the order says so
	}
	s := sheet{format: c.Format, over: "auto", mark: "rgba", matrix: "bt709", limits: "tv"}
	layout := c.Format.Get("pix_fmts")
	if name := overlays[layout]; name != "" {
		s.over, s.mark = name, strings.Replace(layout, "yuv", "yuva", 1)
	}
	switch m := c.Tags.Matrix; {
	case m == "smpte170m" || m == "bt470bg" || m == "fcc" || m == "smpte240m":
		s.matrix = strings.TrimSuffix(m, "bg")
	case strings.HasPrefix(m, "bt2020"):
		s.matrix = "bt2020"
	case m != "bt709" && v.Width <= 1024 && v.Height <= 576: // not said: as players take it
		s.matrix = "smpte170m"
	}
	if c.Tags.Range == "pc" {
		s.limits = "pc"
	}
	return s
}

// overlays are overlay's names of the encoders' pixel formats. It has none for
// 4:4:4 with ten bits.
var overlays = map[string]string{"yuv420p": "yuv420", "yuv422p": "yuv422", "yuv444p": "yuv444", "yuv420p10le": "yuv420p10", "yuv422p10le": "yuv422p10"}

// pixels reads a length: below 1 a share of whole.
func pixels(v float64, whole int) int {
	if v < 1 {
		v *= float64(whole)
	}
	return int(math.Round(v))
}

// at are the expressions of the upper left corner; outer and inner name the
// sizes of picture and mark in the filter's own language.
func (p place) at(w, h int, outerW, outerH, innerW, innerH string) (x, y string) {
	mx, my := graph.Int(pixels(p.MarginX, w)), graph.Int(pixels(p.MarginY, h))
	switch {
	case strings.HasSuffix(p.Position, "left"):
		x = mx
	case strings.HasSuffix(p.Position, "right"):
		x = outerW + "-" + innerW + "-" + mx
	default:
		x = "(" + outerW + "-" + innerW + ")/2"
	}
	switch {
	case strings.HasPrefix(p.Position, "top"):
		y = my
	case strings.HasPrefix(p.Position, "bottom"):
		y = outerH + "-" + innerH + "-" + my
	default:
		y = "(" + outerH + "-" + innerH + ")/2"
	}
	return x, y
}

// forgiven is what seconds may lose as floating point: half a microsecond.
const forgiven = 5e-7

// when is the enable expression, "" for always. The filter's clock t is the
// source's; offset turns it into seconds since the source's beginning.
func (p place) when(offset float64) string {
	if p.Start == 0 && p.End == nil {
		return ""
	}
	e := "gte(t," + graph.Float(p.Start-offset-forgiven) + ")"
	if p.End != nil {
		e += "*lt(t," + graph.Float(*p.End-offset-forgiven) + ")"
	}
	return e
}

// span cuts a window to a slice: where it covers the slice there is none any
// more, as if it were for ever; there is false if it does not touch it. Times the
// window's expression could see otherwise by a rounding are left to it.
func (p place) span(part *fn.Part, offset float64) (start float64, end *float64, there bool) {
	if part == nil {
		return p.Start, p.End, true
	}
	const most, least = forgiven + 1e-7, forgiven - 1e-7
	first, last := part.TimeBase.Seconds(part.Start)+offset, part.TimeBase.Seconds(part.End-1)+offset
	if p.Start > last+most || p.End != nil && *p.End < first+least {
		return 0, nil, false
	}
	if start, end = p.Start, p.End; start < first+least {
		start = 0
	}
	if end != nil && *end > last+most {
		end = nil
	}
	return start, end, true
}

func (x textParams) within(part *fn.Part, offset float64) (_ textParams, there bool) {
	x.Start, x.End, there = x.place().span(part, offset)
	return x, there
}

func (l logoParams) within(part *fn.Part, offset float64) (_ logoParams, there bool) {
	l.Start, l.End, there = l.place().span(part, offset)
	return l, there
}

func (x textParams) draw(file string, w, h int, offset float64) graph.Filter {
	size := max(pixels(x.Size, h), 4)
	px, py := x.place().at(w, h, "w", "h", "text_w", "text_h")
	f := graph.New("drawtext", "expansion", "none", "textfile", file, "font", fontFor(x.Font, x.Text), "fontsize", graph.Int(size),
		"fontcolor", x.Color+"@"+graph.Float(x.Opacity), "x", px, "y", py)
	if x.Box {
		f = f.With("box", "1").With("boxcolor", x.BoxColor+"@"+graph.Float(x.Opacity/2)).With("boxborderw", graph.Int(max(size/4, 1)))
	}
	if x.Outline > 0 {
		f = f.With("borderw", graph.Int(x.Outline)).With("bordercolor", "black@"+graph.Float(x.Opacity))
	}
	if x.Shadow > 0 {
		f = f.With("shadowx", graph.Int(x.Shadow)).With("shadowy", graph.Int(x.Shadow)).With("shadowcolor", "black@"+graph.Float(x.Opacity))
	}
	if when := x.place().when(offset); when != "" {
		f = f.With("enable", when)
	}
	return f
}

func (l logoParams) draw(in, out string, w, h int, offset float64, s sheet) graph.Graph {
	mark := []graph.Filter{graph.New("format", "pix_fmts", "rgba"),
		graph.New("scale", "w", graph.Int(max(int(math.Round(l.Scale*float64(w))), 1)), "h", "-1", "flags", "area")}
	if l.Rotate != 0 {
		a := graph.Float(l.Rotate * math.Pi / 180)
		mark = append(mark, graph.New("rotate", "a", a, "ow", "rotw("+a+")", "oh", "roth("+a+")", "c", "none"))
	}
	if l.Opacity < 1 {
		mark = append(mark, graph.New("colorchannelmixer", "aa", graph.Float(l.Opacity)))
	}
	p := l.place()
	if l.Tile {
		// As many copies as cover the picture: the mark on its margins, repeated
		// by an endless sheet of it.
		mx, my := graph.Int(pixels(l.MarginX, w)), graph.Int(pixels(l.MarginY, h))
		mark = append(mark, graph.New("pad", "w", "iw+"+mx, "h", "ih+"+my, "x", mx, "y", my, "color", "black@0"),
			graph.New("loop", "loop", "1023", "size", "1"), graph.New("tile", "layout", "32x32", "color", "black@0"))
		p.Position, p.MarginX, p.MarginY = "top-left", 0, 0
	}
	mark = append(mark, graph.New("scale", "out_color_matrix", s.matrix, "out_range", s.limits, "flags", "accurate_rnd+full_chroma_int"),
		graph.New("format", "pix_fmts", s.mark))
	x, y := p.at(w, h, "W", "H", "w", "h")
	if when := p.when(offset); when != "" {
		// Not enable: overlay asks that of the logo's frame too, whose time is 0.
		x = "if(" + when + "," + x + ",W)"
	}
	over := graph.New("overlay", "x", x, "y", y, "eof_action", "repeat", "format", s.over)
	return graph.Graph{
		{In: []string{"1:v"}, Filters: mark, Out: []string{"logo"}},
		{In: []string{in, "logo"}, Filters: []graph.Filter{over}, Out: []string{out}},
	}
}

// logoDemuxers are those of picture files, by sniffed format.
var logoDemuxers = map[string]string{"png": "png_pipe", "jpeg": "jpeg_pipe", "webp": "webp_pipe", "bmp": "bmp_pipe", "tiff": "tiff_pipe", "gif": "gif_pipe"}

func runWatermark(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, p *watermarkParams) (*fn.Result, error) {
	in, logoIn := call.In("source"), call.In("logo")
	if in == nil {
		return nil, errs.New(errs.Internal, "video.watermark", "no source")
	}
	info, err := render.Facts(ctx, ff, in)
	if err != nil {
		return nil, err
	}
	var logo *ffmpeg.Input
	var grants []*fn.Input
	if logoIn != nil {
		open := source.Open(logoIn)
		if open.Demuxer = logoDemuxers[logoIn.Format]; open.Demuxer == "" {
			return nil, errs.New(errs.Unsupported, "video.watermark", "a logo must be png, jpeg, webp, bmp, tiff or gif, not %s", logoIn.Format)
		}
		open.MaxPixels = 64 << 20
		logo, grants = &open, append(grants, logoIn)
	}
	return planWatermark(p, info, call.Part, call.Threads, logo).Run(ctx, ff, call, in, grants...)
}
