package engine_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/engine"
	"github.com/mediafn/mediafn/tools/engine/wire"
	"github.com/mediafn/mediafn/tools/sniff"
)

func sniffed(t testing.TB, b []byte) sniff.Format {
	t.Helper()
	f, err := sniff.Sniff(b[:min(len(b), sniff.HeadSize)], int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFormats(t *testing.T) {
	p := pool(t)
	src := generate(t, "png", "testsrc2=s=96x64")
	want := decode(t, run(t, p, "png", src, wire.Transform{Width: 48}).Bytes)
	for _, format := range []string{"jpg", "png", "webp", "avif", "heif", "gif", "tiff", "bmp"} {
		t.Run(format, func(t *testing.T) {
			res := run(t, p, "png", src, wire.Transform{Width: 48, Output: wire.Encoding{Format: format, Quality: 95}})
			f := sniffed(t, res.Bytes)
			if f.Name != res.Format || f.Mime != res.Mime {
				t.Errorf("sniffed %s, said %s %s", f.Name, res.Format, res.Mime)
			}
			info, err := p.Info(t.Context(), input(f.Name, res.Bytes))
			if err != nil || info.Image.Width != 48 || info.Image.Height != 32 || info.Image.Bands < 3 {
				t.Fatalf("%v %+v", err, info)
			}
			back := run(t, p, f.Name, res.Bytes, wire.Transform{Output: wire.Encoding{Format: "png"}})
			if d := distance(decode(t, back.Bytes), want); d > 12 {
				t.Errorf("distance %.1f", d)
			}
		})
	}
}

func TestSVG(t *testing.T) {
	p := pool(t)
	svg := []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="20" height="10" fill="#00f"/></svg>`)
	res := run(t, p, "svg", svg, wire.Transform{Width: 400})
	m := decode(t, res.Bytes)
	if res.Format != "png" || m.Bounds().Dx() != 400 || m.Bounds().Dy() != 200 {
		t.Fatalf("%+v", res.Result)
	}
	near(t, m, 200, 100, color.NRGBA{0, 0, 255, 255})
	huge := bytes.Replace(svg, []byte(`"20"`), []byte(`"90000"`), 1)
	huge = bytes.Replace(huge, []byte(`"10"`), []byte(`"90000"`), 1)
	if _, err := p.Transform(t.Context(), engine.TransformRequest{Input: input("svg", huge)}); !errs.Is(err, errs.TooLarge) && !errs.Is(err, errs.Invalid) {
		t.Errorf("%v", err)
	}
}

func TestAnimation(t *testing.T) {
	p := pool(t)
	in := generate(t, "gif", "testsrc2=s=80x60:r=10", "-t", "0.5")
	info, err := p.Info(t.Context(), input("gif", in))
	if err != nil || info.Image.Pages != 5 || info.Image.Height != 60 {
		t.Fatalf("%v %+v", err, info)
	}
	res := run(t, p, "gif", in, wire.Transform{Mode: "fill", Width: 30, Height: 30, Rotate: 90})
	g, err := gif.DecodeAll(bytes.NewReader(res.Bytes))
	if err != nil || len(g.Image) != 5 || g.Config.Width != 30 || g.Config.Height != 30 || g.Delay[0] != 10 {
		t.Fatalf("%v %d %+v %v", err, len(g.Image), g.Config, g.Delay)
	}
	if res.Pages != 5 || res.Height != 30 {
		t.Errorf("%+v", res.Result)
	}
	webp := run(t, p, "gif", in, wire.Transform{Width: 40, Output: wire.Encoding{Format: "webp"}})
	info, err = p.Info(t.Context(), input("webp", webp.Bytes))
	if err != nil || info.Image.Pages != 5 || info.Image.Width != 40 || info.Image.Height != 30 {
		t.Fatalf("%v %+v", err, info)
	}
	if still := run(t, p, "gif", in, wire.Transform{Output: wire.Encoding{Format: "jpg"}}); still.Pages != 1 || still.Height != 60 {
		t.Errorf("%+v", still.Result)
	}
	if one := run(t, p, "gif", in, wire.Transform{Page: 3, Pages: 1}); one.Pages != 1 {
		t.Errorf("%+v", one.Result)
	}
	for _, lim := range []wire.Limits{{MaxFrames: 4}, {MaxTotalPixels: 80 * 60 * 4}} {
		_, err = p.Transform(t.Context(), engine.TransformRequest{Input: input("gif", in), Limits: lim})
		if !errs.Is(err, errs.TooLarge) {
			t.Errorf("%+v: %v", lim, err)
		}
	}
}

func TestAlphaAndBackground(t *testing.T) {
	p := pool(t)
	// Left half red, right half transparent.
	in := generate(t, "png", "color=red:s=40x40,format=rgba,geq=r=255:g=0:b=0:a='255*lt(X,20)'")
	red, none := color.NRGBA{255, 0, 0, 255}, color.NRGBA{}
	keep := decode(t, run(t, p, "png", in, wire.Transform{Width: 20}).Bytes)
	near(t, keep, 4, 10, red)
	if _, _, _, a := keep.At(16, 10).RGBA(); a != 0 {
		t.Errorf("alpha %d", a)
	}
	if c := color.NRGBAModel.Convert(keep.At(9, 10)).(color.NRGBA); c.A > 20 && c.R < 240 {
		t.Errorf("dark fringe: %v", c) // transparent black must not bleed in
	}
	jpg := decode(t, run(t, p, "png", in, wire.Transform{Output: wire.Encoding{Format: "jpg"}}).Bytes)
	near(t, jpg, 35, 20, color.NRGBA{255, 255, 255, 255})
	lime := decode(t, run(t, p, "png", in, wire.Transform{Background: &wire.Color{G: 255}}).Bytes)
	near(t, lime, 35, 20, color.NRGBA{0, 255, 0, 255})
	near(t, lime, 5, 20, red)
	half := 0.5
	part := decode(t, run(t, p, "png", in, wire.Transform{Background: &wire.Color{B: 255}, BackgroundAlpha: &half}).Bytes)
	near(t, part, 35, 20, color.NRGBA{0, 0, 255, 128})
	padded := decode(t, run(t, p, "png", generate(t, "png", quarters), wire.Transform{Padding: &wire.Padding{Left: 10}}).Bytes)
	near(t, padded, 4, 4, none)
	near(t, padded, 14, 4, red)
	ext := wire.Transform{Width: 200, Height: 100, Extend: &wire.Gravity{Type: "ea"}, Background: &wire.Color{R: 10, G: 20, B: 30}}
	near(t, decode(t, run(t, p, "png", generate(t, "png", quarters), ext).Bytes), 5, 50, color.NRGBA{10, 20, 30, 255})
}

func TestColour(t *testing.T) {
	p := pool(t)
	grey := generate(t, "png", "color=0x808080:s=32x32,format=rgb24")
	two, zero := 2.0, 0.0
	near(t, decode(t, run(t, p, "png", grey, wire.Transform{Brightness: 40}).Bytes), 9, 9, color.NRGBA{168, 168, 168, 255})
	dark := generate(t, "png", "color=0x606060:s=32x32,format=rgb24")
	near(t, decode(t, run(t, p, "png", dark, wire.Transform{Contrast: &two}).Bytes), 9, 9, color.NRGBA{64, 64, 64, 255})
	m := decode(t, run(t, p, "png", generate(t, "png", quarters), wire.Transform{Saturation: &zero}).Bytes)
	if c := color.NRGBAModel.Convert(m.At(9, 9)).(color.NRGBA); max(c.R, c.G, c.B)-min(c.R, c.G, c.B) > 3 {
		t.Errorf("%v", c)
	}
	deep := generate(t, "png", "testsrc2=s=32x32,format=rgb48be")
	for _, keep := range []bool{false, true} {
		res := run(t, p, "png", deep, wire.Transform{Width: 16, Output: wire.Encoding{KeepDepth: keep}})
		info, err := p.Info(t.Context(), input("png", res.Bytes))
		if want := map[bool]int{false: 8, true: 16}[keep]; err != nil || info.Image.BitDepth != want {
			t.Errorf("keep %v: %v %+v", keep, err, info.Image)
		}
	}
}

// made.c makes files of one colour, (200, 60, 30) in sRGB, and other things
// ffmpeg cannot write.
func TestColourSpacesAndMetadata(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command(vipsProgram(t, "made"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := pool(t)
	load := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	facts := func(format string, b []byte) *media.Info {
		i, err := p.Info(t.Context(), input(format, b))
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	colour, png := color.NRGBA{200, 60, 30, 255}, wire.Encoding{Format: "png"}
	for _, name := range []string{"cmyk.jpg", "cmyk-bare.jpg"} { // with its profile, and without one
		b := load(name)
		if i := facts("jpeg", b); i.Image.ColorSpace != "cmyk" || i.Image.Bands != 4 || i.Image.HasAlpha || (i.Image.ICC != "") != (name == "cmyk.jpg") {
			t.Errorf("%s: %+v", name, i.Image)
		}
		for _, out := range []string{"png", "jpg", "webp"} {
			res := run(t, p, "jpeg", b, wire.Transform{Width: 20, Output: wire.Encoding{Format: out, Quality: 95}})
			i := facts(res.Format, res.Bytes)
			if i.Image.ColorSpace != "srgb" || i.Image.Bands != 3 {
				t.Errorf("%s as %s: %+v", name, out, i.Image)
			}
			near(t, decode(t, run(t, p, res.Format, res.Bytes, wire.Transform{Output: png}).Bytes), 9, 5, colour)
		}
		// A CMYK profile on an RGB picture would be a lie.
		kept := facts("jpeg", run(t, p, "jpeg", b, wire.Transform{Output: wire.Encoding{Format: "jpg", KeepProfile: true}}).Bytes)
		if kept.Image.ColorSpace != "srgb" || kept.Image.ICC != "" && !strings.Contains(kept.Image.ICC, "RGB") {
			t.Errorf("%s: %+v", name, kept.Image)
		}
	}
	wide := load("p3.png")
	if i := facts("png", wide); i.Image.ICC == "" {
		t.Fatalf("%+v", i.Image)
	}
	raw := decode(t, wide).At(9, 9)
	res := run(t, p, "png", wide, wire.Transform{Width: 20})
	near(t, decode(t, res.Bytes), 9, 5, colour)
	if i := facts("png", res.Bytes); i.Image.ICC != "" {
		t.Errorf("converted, and still says %q", i.Image.ICC)
	}
	res = run(t, p, "png", wide, wire.Transform{Width: 20, Output: wire.Encoding{KeepProfile: true}})
	near(t, decode(t, res.Bytes), 9, 5, color.NRGBAModel.Convert(raw).(color.NRGBA))
	if i := facts("png", res.Bytes); i.Image.ICC != facts("png", wide).Image.ICC {
		t.Errorf("profile %q", i.Image.ICC)
	}

	tagged := load("tagged.jpg")
	if tags := facts("jpeg", tagged).Tags; tags["Copyright"] == "" || tags["Artist"] == "" || tags["Make"] == "" {
		t.Fatalf("%v", tags)
	}
	for _, tc := range []struct {
		name            string
		out             wire.Encoding
		copyright, made bool
	}{
		{"strip", wire.Encoding{}, false, false},
		{"copyright", wire.Encoding{KeepCopyright: true}, true, false},
		{"all", wire.Encoding{KeepMetadata: true}, true, true},
	} {
		for _, format := range []string{"jpg", "webp", "png"} {
			tc.out.Format = format
			res := run(t, p, "jpeg", tagged, wire.Transform{Width: 20, AutoOrient: true, Output: tc.out})
			i := facts(res.Format, res.Bytes)
			if (i.Tags["Copyright"] == "someone") != tc.copyright || (i.Tags["Artist"] == "somebody") != tc.copyright || (i.Tags["Make"] == "maker") != tc.made {
				t.Errorf("%s %s: %v", tc.name, format, i.Tags)
			}
			if i.Image.Orientation > 1 || i.Image.Width != 20 || i.Image.Height != 40 { // stored 64×32 on its side
				t.Errorf("%s %s: %+v", tc.name, format, i.Image)
			}
		}
	}
}

// A few hundred bytes of GIF can claim any number of large frames. They are
// refused by their claims, and what is under the limits is never in memory
// whole.
func TestGIFThatExpands(t *testing.T) {
	bomb := func(side, frames int) []byte {
		g := &gif.GIF{Config: image.Config{Width: side, Height: side, ColorModel: color.Palette{color.Black, color.White}}}
		for range frames {
			g.Image = append(g.Image, image.NewPaletted(image.Rect(0, 0, 1, 1), g.Config.ColorModel.(color.Palette)))
			g.Delay = append(g.Delay, 5)
		}
		var b bytes.Buffer
		if err := gif.EncodeAll(&b, g); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	p, _ := newPool(t, engine.Options{Size: 1, MaxMemory: 160 << 20})
	for _, b := range [][]byte{bomb(2000, 100), bomb(10, 2000)} {
		if _, err := p.Transform(t.Context(), engine.TransformRequest{Input: input("gif", b)}); !errs.Is(err, errs.TooLarge) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	res := run(t, p, "gif", bomb(2000, 20), wire.Transform{Width: 40}) // 320 MB decoded
	if res.Pages != 20 || res.Width != 40 {
		t.Errorf("%+v", res.Result)
	}
}

func TestTrim(t *testing.T) {
	p := pool(t)
	in := generate(t, "png", "color=red:s=30x20,pad=100:80:40:20:white,format=rgb24")
	res := run(t, p, "png", in, wire.Transform{Trim: &wire.Trim{Threshold: 10}})
	if res.Width != 30 || res.Height != 20 {
		t.Errorf("%+v", res.Result)
	}
	res = run(t, p, "png", in, wire.Transform{Trim: &wire.Trim{Threshold: 10, EqualHor: true, EqualVer: true}})
	if res.Width != 40 || res.Height != 40 {
		t.Errorf("%+v", res.Result)
	}
}

func TestMaxBytes(t *testing.T) {
	p := pool(t)
	in := generate(t, "png", "testsrc2=s=320x180,noise=alls=20")
	for _, format := range []string{"jpg", "webp", "avif"} {
		free := run(t, p, "png", in, wire.Transform{Output: wire.Encoding{Format: format, Quality: 90}})
		limit := int64(len(free.Bytes) * 2 / 3)
		res := run(t, p, "png", in, wire.Transform{Output: wire.Encoding{Format: format, Quality: 90, MaxBytes: limit}})
		if int64(len(res.Bytes)) > limit || res.Quality >= 90 || res.OverBytes {
			t.Errorf("%s: %d bytes at %d, limit %d", format, len(res.Bytes), res.Quality, limit)
		}
		if res = run(t, p, "png", in, wire.Transform{Output: wire.Encoding{Format: format, MaxBytes: 10}}); !res.OverBytes {
			t.Errorf("%s: nothing fits in 10 bytes", format)
		}
	}
}

func TestMetadata(t *testing.T) {
	p := pool(t)
	in := withOrientation(generate(t, "jpg", "testsrc2=s=64x48"), 3)
	if res := run(t, p, "jpeg", in, wire.Transform{AutoOrient: true}); bytes.Contains(res.Bytes, []byte("Exif")) {
		t.Error("metadata kept")
	}
	res := run(t, p, "jpeg", in, wire.Transform{AutoOrient: true, Output: wire.Encoding{KeepMetadata: true}})
	if !bytes.Contains(res.Bytes, []byte("Exif")) {
		t.Error("metadata lost")
	}
}

// bigPNG claims w × h pixels in a well-formed header.
func bigPNG(w, h uint32) []byte {
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, w), h)
	b = append(b, 8, 2, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[12:]))
	return append(b, "\x00\x00\x00\x01IDAT\x78\x00\x00\x00\x00"...)
}

func TestHostile(t *testing.T) {
	p := pool(t)
	jpg, png := generate(t, "jpg", "testsrc2=s=320x180"), generate(t, "png", "testsrc2=s=320x180")
	anim := generate(t, "gif", "testsrc2=s=80x60:r=10", "-t", "0.5")
	webp := run(t, p, "png", png, wire.Transform{Output: wire.Encoding{Format: "webp"}}).Bytes
	avif := run(t, p, "png", png, wire.Transform{Output: wire.Encoding{Format: "avif"}}).Bytes
	tiff := run(t, p, "png", png, wire.Transform{Output: wire.Encoding{Format: "tiff"}}).Bytes
	bmp := run(t, p, "png", png, wire.Transform{Output: wire.Encoding{Format: "bmp"}}).Bytes
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	for _, c := range []struct {
		name, format string
		in           []byte
		lim          wire.Limits
		want         []errs.Kind
	}{
		{"empty", "jpeg", nil, wire.Limits{}, []errs.Kind{errs.Invalid}},
		{"text", "png", []byte("hello, I am a picture"), wire.Limits{}, []errs.Kind{errs.Invalid}},
		{"truncated jpeg", "jpeg", cut(jpg), wire.Limits{}, []errs.Kind{errs.Invalid}},
		{"truncated png", "png", cut(png), wire.Limits{}, []errs.Kind{errs.Invalid}},
		{"truncated webp", "webp", cut(webp), wire.Limits{}, []errs.Kind{errs.Invalid}},
		{"truncated avif", "avif", cut(avif), wire.Limits{}, []errs.Kind{errs.Invalid}},
		{"truncated tiff", "tiff", cut(tiff), wire.Limits{}, []errs.Kind{errs.Invalid}},
		{"truncated bmp", "bmp", cut(bmp), wire.Limits{}, []errs.Kind{errs.Invalid}},
		{"header only", "gif", anim[:13], wire.Limits{}, []errs.Kind{errs.Invalid}},
		{"lying format", "png", jpg, wire.Limits{}, []errs.Kind{errs.Invalid}},
		{"unknown format", "exr", jpg, wire.Limits{}, []errs.Kind{errs.Unsupported}},
		{"huge png", "png", bigPNG(100_000, 100_000), wire.Limits{}, []errs.Kind{errs.TooLarge}},
		{"over the pixel limit", "jpeg", jpg, wire.Limits{MaxPixels: 320*180 - 1}, []errs.Kind{errs.TooLarge}},
		{"broken svg", "svg", []byte("<svg"), wire.Limits{}, []errs.Kind{errs.Invalid}},
		{"svg that includes", "svg", []byte(`<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">` + strings.Repeat(" ", 10) + `]><svg xmlns="http://www.w3.org/2000/svg" width="-1" height="4">&b;`), wire.Limits{}, []errs.Kind{errs.Invalid}},
		{"huge bmp", "bmp", func() []byte {
			b := bytes.Clone(bmp)
			binary.LittleEndian.PutUint32(b[18:], 100_000)
			binary.LittleEndian.PutUint32(b[22:], 100_000)
			return b
		}(), wire.Limits{}, []errs.Kind{errs.TooLarge}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, tr := range []wire.Transform{{Output: wire.Encoding{Format: "png"}}, {Width: 50, Output: wire.Encoding{Format: "jpg"}}} {
				_, err := p.Transform(t.Context(), engine.TransformRequest{Input: input(c.format, c.in), Transform: tr, Limits: c.lim})
				ok := false
				for _, k := range c.want {
					ok = ok || errs.Is(err, k)
				}
				if !ok {
					t.Errorf("%v (%v); want %v", err, errs.KindOf(err), c.want)
				}
			}
		})
	}
	for name, tr := range map[string]wire.Transform{
		"side": {Width: 20000, Enlarge: true}, "area": {Width: 16000, Height: 16000, Mode: "force", Enlarge: true},
		"padding": {Padding: &wire.Padding{Left: 20000}}, "canvas": {Width: 30000, Height: 4, Extend: &wire.Gravity{}},
	} {
		if _, err := p.Transform(t.Context(), engine.TransformRequest{Input: input("jpeg", jpg), Transform: tr}); !errs.Is(err, errs.TooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for field, tr := range map[string]wire.Transform{
		"rotate": {Rotate: 45}, "mode": {Mode: "squeeze"}, "blur": {Blur: -1}, "gravity": {Gravity: wire.Gravity{Type: "up"}},
		"crop.width": {Crop: &wire.Crop{Width: -1}}, "quality": {Output: wire.Encoding{Quality: 101}}, "page": {Page: 7},
	} {
		_, err := p.Transform(t.Context(), engine.TransformRequest{Input: input("jpeg", jpg), Transform: tr})
		if !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != field {
			t.Errorf("%s: %v blames %q", field, err, errs.FieldOf(err))
		}
	}
	if s := p.Stats(); s.Died != 0 {
		t.Errorf("%d children died", s.Died)
	}
	lenient := run(t, p, "jpeg", cut(jpg), wire.Transform{Lenient: true})
	if lenient.Width != 320 {
		t.Errorf("%+v", lenient.Result)
	}
}
