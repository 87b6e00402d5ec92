package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/app/cli/progress"
	"github.com/mediafn/mediafn/app/cli/show"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

type probeCmd struct {
	toolFlags
	File   string `arg:"" help:"A file or an http(s) URL."`
	Level  string `name:"level" env:"-" enum:"stream,gop,frame" default:"stream" help:"How closely to look: stream, gop (keyframes too) or frame (every frame too)."`
	Decode bool   `name:"decode" env:"-" help:"Decode what only decoding tells."`
	JSON   bool   `name:"json" env:"-" help:"Print JSON."`
}

// Run looks at one file.
func (p *probeCmd) Run(ctx context.Context, std *std) error {
	given, err := json.Marshal(map[string]any{"level": p.Level, "decode": p.Decode})
	if err != nil {
		return errs.As(errs.Internal, "probe", err)
	}
	out, err := app.Compute(ctx, p.local(), "inspect.probe", p.File, given, logger(std.err, slog.LevelError, "text"))
	if err != nil {
		return err
	}
	if p.JSON {
		return show.JSON(std.out, out.Facts)
	}
	var info media.Info
	if err := json.Unmarshal(out.Facts, &info); err != nil {
		return errs.As(errs.Internal, "probe", err)
	}
	return printInfo(std.out, p.File, &info)
}

// factTable prints "name value" lines; empty values are left out, since what is
// not known is not said.
type factTable struct{ w io.Writer }

func (t factTable) add(name string, value string) {
	if value != "" {
		fmt.Fprintf(t.w, "%s\t%s\n", name, value)
	}
}

func printInfo(w io.Writer, file string, info *media.Info) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	t := factTable{tw}
	t.add("file", file)
	t.add("format", strings.TrimSpace(info.Format+"  "+info.Mime))
	t.add("size", show.Bytes(info.Size))
	t.add("duration", positive(info.Duration, "%.3f s"))
	t.add("starts at", positive(info.StartTime, "%.3f s"))
	t.add("bit rate", positive(float64(info.BitRate)/1000, "%.0f kbit/s"))
	t.add("layout", joined(known(info.FastStart, "fast start", "index at the end"), known(info.Fragment, "fragmented", ""), known(info.Seekable, "seekable", "not seekable")))
	if im := info.Image; im != nil {
		t.add("image", joined(size(im.Width, im.Height), im.ColorSpace, positive(float64(im.Bands), "%.0f bands"), positive(float64(im.BitDepth), "%.0f bit"), yes(im.HasAlpha, "alpha"),
			positive(float64(im.Pages-1), "%.0f more pages"), positive(float64(im.Orientation), "orientation %.0f"), positive(float64(im.DPI), "%.0f dpi")))
		t.add("icc profile", im.ICC)
	}
	for i := range info.Video {
		printVideo(t, &info.Video[i])
	}
	for i := range info.Audio {
		a := &info.Audio[i]
		t.add(fmt.Sprintf("\naudio #%d", a.Index), joined(a.Codec, a.Profile, a.Language, yes(a.Default, "default")))
		t.add("  sound", joined(fmt.Sprintf("%d Hz", a.SampleRate), fmt.Sprintf("%d channels", a.Channels), a.Layout, positive(float64(a.BitDepth), "%.0f bit")))
		t.add("  time", joined(positive(a.Duration, "%.3f s"), positive(float64(a.Samples), "%.0f samples"), positive(a.StartTime, "from %.3f s")))
		t.add("  bit rate", positive(float64(a.BitRate)/1000, "%.0f kbit/s"))
	}
	for i := range info.Other {
		o := &info.Other[i]
		t.add(fmt.Sprintf("%s #%d", o.Type, o.Index), joined(o.Codec, o.Language))
	}
	for _, c := range info.Chapters {
		t.add("chapter", fmt.Sprintf("%.3f–%.3f s  %s", c.Start, c.End, c.Title))
	}
	for _, name := range slices.Sorted(maps.Keys(info.Tags)) {
		t.add("tag "+name, progress.FirstLine(info.Tags[name]))
	}
	for _, text := range info.Warnings {
		t.add("warning", text)
	}
	return errs.As(errs.Internal, "output", tw.Flush())
}

func printVideo(t factTable, v *media.VideoStream) {
	t.add(fmt.Sprintf("\nvideo #%d", v.Index), joined(v.Codec, v.Profile, yes(v.Level != "", "level "+v.Level), v.Tag, yes(v.Attached, "cover image")))
	picture := joined(size(v.Width, v.Height), v.PixelFormat, positive(float64(v.BitDepth), "%.0f bit"), v.FieldOrder)
	if dw, dh := v.DisplaySize(); dw != v.Width || dh != v.Height {
		picture += fmt.Sprintf(", shown as %s", size(dw, dh))
	}
	t.add("  picture", picture)
	t.add("  class", v.ResolutionClass())
	t.add("  turned", joined(positive(float64(v.Rotation), "%.0f° clockwise"), yes(v.Flip, "mirrored")))
	rate := ""
	switch {
	case v.FrameRate.Known():
		rate = fmt.Sprintf("%s (%.3f fps)", v.FrameRate, v.FrameRate.Float())
	case v.AvgRate.Known():
		rate = fmt.Sprintf("%.3f fps on average", v.AvgRate.Float())
	}
	t.add("  rate", joined(rate, known(v.VFR, "variable", "constant"), known(v.BFrames, "B-frames", "no B-frames")))
	t.add("  time", joined(positive(v.Duration, "%.3f s"), positive(float64(v.Frames), "%.0f frames"), positive(v.StartTime, "from %.3f s"), "time base "+v.TimeBase.String()))
	t.add("  bit rate", positive(float64(v.BitRate)/1000, "%.0f kbit/s"))
	c := v.Color
	t.add("  colour", joined(c.Primaries, c.Transfer, c.Matrix, c.Range, c.ChromaLoc))
	if v.HDR != nil {
		t.add("  hdr", joined(v.HDR.Format, fmt.Sprintf("%.4g–%.0f cd/m²", v.HDR.MinLum.Float(), v.HDR.MaxLum.Float())))
	}
	if g := v.GOP; g != nil {
		t.add("  keyframes", joined(fmt.Sprintf("%d, %d–%d frames apart", g.Count, g.MinLen, g.MaxLen), known(g.Closed, "closed GOPs", "open GOPs"), yes(g.AllIntr, "intra only")))
		var at []string
		for _, k := range g.Keys {
			if len(at) == 12 {
				at = append(at, "…")
				break
			}
			at = append(at, fmt.Sprintf("%.3f", v.TimeBase.Seconds(k.PTS)))
		}
		t.add("  at", joined(strings.Join(at, " ")))
	}
	if x := v.Timing; x != nil {
		t.add("  timestamps", joined(positive(float64(x.Negative), "%.0f negative"), positive(float64(x.Repeated), "%.0f repeated"), positive(float64(x.Gaps), "%.0f gaps"),
			yes(x.EditList, "edit list"), yes(x.Discontinue, "discontinuity")))
	}
	if len(v.FrameList) > 0 {
		t.add("  frames", "PTS s, type, bytes")
		for _, f := range v.FrameList {
			kind := f.Type
			if kind == "" {
				kind = "·"
			}
			t.add("", fmt.Sprintf("%10.3f %s %8d %s", v.TimeBase.Seconds(f.PTS), kind, f.Size, yes(f.Key, "key")))
		}
	}
}

func positive(v float64, format string) string {
	if v <= 0 {
		return ""
	}
	return fmt.Sprintf(format, v)
}

func size(w, h int) string { return fmt.Sprintf("%d×%d", w, h) }

func yes(b bool, text string) string {
	if !b {
		return ""
	}
	return text
}

func known(b *bool, on, off string) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return on
	}
	return off
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}
