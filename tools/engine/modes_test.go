package engine_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"math"
	"testing"

	"github.com/mediafn/mediafn/tools/engine/wire"
)

func TestModes(t *testing.T) {
	p := pool(t)
	wide := generate(t, "jpg", "testsrc2=s=320x180")
	tall := generate(t, "jpg", "testsrc2=s=120x240")
	ce := &wire.Gravity{}
	for _, c := range []struct {
		name string
		in   []byte
		t    wire.Transform
		w, h int
	}{
		{"as it is", wide, wire.Transform{}, 320, 180},
		{"fit width", wide, wire.Transform{Width: 160}, 160, 90},
		{"fit height", wide, wire.Transform{Height: 45}, 80, 45},
		{"fit both", wide, wire.Transform{Width: 100, Height: 100}, 100, 56},
		{"fit does not enlarge", wide, wire.Transform{Width: 640}, 320, 180},
		{"fit enlarges", wide, wire.Transform{Width: 640, Enlarge: true}, 640, 360},
		{"fill", wide, wire.Transform{Mode: "fill", Width: 100, Height: 100}, 100, 100},
		{"fill small source", wide, wire.Transform{Mode: "fill", Width: 400, Height: 400}, 320, 180},
		{"fill-down small source", wide, wire.Transform{Mode: "fill-down", Width: 400, Height: 400}, 180, 180},
		{"fill-down wide", wide, wire.Transform{Mode: "fill-down", Width: 800, Height: 200}, 320, 80},
		{"force", wide, wire.Transform{Mode: "force", Width: 50, Height: 100}, 50, 100},
		{"force one side", wide, wire.Transform{Mode: "force", Width: 50}, 50, 180},
		{"auto same direction fills", wide, wire.Transform{Mode: "auto", Width: 100, Height: 80}, 100, 80},
		{"auto other direction fits", wide, wire.Transform{Mode: "auto", Width: 80, Height: 100}, 80, 45},
		{"auto tall fills", tall, wire.Transform{Mode: "auto", Width: 40, Height: 60}, 40, 60},
		{"min width", tall, wire.Transform{Height: 60, MinWidth: 60}, 60, 60},
		{"min height", wide, wire.Transform{Width: 100, MinHeight: 90}, 100, 90},
		{"zoom", wide, wire.Transform{Width: 100, ZoomX: 2, ZoomY: 2}, 200, 113},
		{"zoom alone", wide, wire.Transform{ZoomX: 0.5, ZoomY: 0.5}, 160, 90},
		{"dpr", wide, wire.Transform{Width: 100, DPR: 2}, 200, 113},
		{"dpr without pixels", wide, wire.Transform{Width: 200, DPR: 2}, 320, 180},
		{"extend", wide, wire.Transform{Width: 400, Height: 400, Extend: ce}, 400, 400},
		{"extend fit", wide, wire.Transform{Width: 100, Height: 100, Extend: ce}, 100, 100},
		{"extend aspect", wide, wire.Transform{Width: 400, Height: 400, ExtendAspect: ce}, 320, 320},
		{"crop", wide, wire.Transform{Crop: &wire.Crop{Width: 100, Height: 50}}, 100, 50},
		{"crop relative", wide, wire.Transform{Crop: &wire.Crop{Width: 0.5}}, 160, 180},
		{"crop then fit", wide, wire.Transform{Crop: &wire.Crop{Width: 160, Height: 160}, Width: 40}, 40, 40},
		{"crop smart", wide, wire.Transform{Crop: &wire.Crop{Width: 90, Height: 90, Gravity: &wire.Gravity{Type: "sm"}}}, 90, 90},
		{"smart fill", wide, wire.Transform{Mode: "fill", Width: 60, Height: 60, Gravity: wire.Gravity{Type: "sm"}}, 60, 60},
		{"padding", wide, wire.Transform{Width: 100, Padding: &wire.Padding{Top: 1, Right: 2, Bottom: 3, Left: 4}}, 106, 60},
		{"padding dpr", wide, wire.Transform{Width: 100, DPR: 2, Padding: &wire.Padding{Left: 5}}, 210, 113},
		{"rotate", wide, wire.Transform{Rotate: 90, Width: 90}, 90, 160},
		{"rotate fill", wide, wire.Transform{Rotate: 270, Mode: "fill", Width: 50, Height: 30}, 50, 30},
		{"blur", wide, wire.Transform{Width: 100, Blur: 3}, 100, 56},
		{"sharpen", wide, wire.Transform{Width: 100, Sharpen: 1}, 100, 56},
		{"pixelate", wide, wire.Transform{Width: 100, Pixelate: 7}, 100, 56},
		{"linear light", wide, wire.Transform{Width: 100, Linear: true}, 100, 56},
		{"tiny", wide, wire.Transform{Width: 1}, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.t.Output.Format = "png"
			res := run(t, p, "jpeg", c.in, c.t)
			b := decode(t, res.Bytes).Bounds()
			if b.Dx() != c.w || b.Dy() != c.h || res.Width != c.w || res.Height != c.h {
				t.Errorf("%v, said %d×%d; want %d×%d", b, res.Width, res.Height, c.w, c.h)
			}
		})
	}
}

func decode(t testing.TB, b []byte) image.Image {
	t.Helper()
	m, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// distance is the mean absolute difference of all channels, 0–255, over a grid.
func distance(a, b image.Image) float64 {
	if a.Bounds().Size() != b.Bounds().Size() {
		return math.Inf(1)
	}
	sum, n := 0.0, 0
	d := a.Bounds()
	for y := 0; y < d.Dy(); y += 2 {
		for x := 0; x < d.Dx(); x += 2 {
			p := color.NRGBAModel.Convert(a.At(d.Min.X+x, d.Min.Y+y)).(color.NRGBA)
			q := color.NRGBAModel.Convert(b.At(b.Bounds().Min.X+x, b.Bounds().Min.Y+y)).(color.NRGBA)
			for _, v := range [][2]uint8{{p.R, q.R}, {p.G, q.G}, {p.B, q.B}, {p.A, q.A}} {
				sum += math.Abs(float64(v[0]) - float64(v[1]))
				n++
			}
		}
	}
	return sum / float64(n)
}

// near fails unless the pixel at x, y is close to want.
func near(t *testing.T, m image.Image, x, y int, want color.NRGBA) {
	t.Helper()
	got := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
	for _, v := range [][2]uint8{{got.R, want.R}, {got.G, want.G}, {got.B, want.B}, {got.A, want.A}} {
		if d := int(v[0]) - int(v[1]); d < -12 || d > 12 {
			t.Errorf("pixel %d,%d is %v; want %v", x, y, got, want)
			return
		}
	}
}

// withOrientation puts an EXIF block behind a JPEG's start marker.
func withOrientation(b []byte, n uint16) []byte {
	tiff := []byte("MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00")
	binary.BigEndian.PutUint16(tiff[18:], n)
	seg := append([]byte("\xff\xe1\x00\x00Exif\x00\x00"), tiff...)
	binary.BigEndian.PutUint16(seg[2:], uint16(len(seg)-2))
	return append(append(b[:2:2], seg...), b[2:]...)
}

// stored lists the ffmpeg filters that turn an upright picture into the one a
// camera would store under each EXIF orientation.
var stored = [9]string{"", "null", "hflip", "hflip,vflip", "vflip", "transpose=0", "transpose=2", "transpose=3", "transpose=1"}

func TestOrientations(t *testing.T) {
	p := pool(t)
	const src = "testsrc2=s=320x180"
	upright := decode(t, generate(t, "png", src))
	for n := 1; n <= 8; n++ {
		raw := generate(t, "jpg", src+","+stored[n], "-frames:v", "1", "-q:v", "1", "-pix_fmt", "yuvj444p")
		in := withOrientation(raw, uint16(n))
		png := wire.Encoding{Format: "png"}
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			res := run(t, p, "jpeg", in, wire.Transform{AutoOrient: true, Output: png})
			if d := distance(decode(t, res.Bytes), upright); d > 3 {
				t.Errorf("distance %.1f", d)
			}
			small := run(t, p, "jpeg", in, wire.Transform{AutoOrient: true, Width: 64, Output: png})
			want := run(t, p, "png", generate(t, "png", src), wire.Transform{Width: 64, Output: png})
			if d := distance(decode(t, small.Bytes), decode(t, want.Bytes)); d > 6 {
				t.Errorf("scaled: distance %.1f", d)
			}
			// A part is a part of the picture as displayed.
			corner := wire.Transform{AutoOrient: true, Rotate: 90, FlipH: true, Output: png,
				Crop: &wire.Crop{Width: 60, Height: 40, Gravity: &wire.Gravity{Type: "nowe", X: 10, Y: 20}}}
			got := run(t, p, "jpeg", in, corner)
			corner.AutoOrient = false
			want = run(t, p, "png", generate(t, "png", src), corner)
			if d := distance(decode(t, got.Bytes), decode(t, want.Bytes)); d > 4 {
				t.Errorf("cropped: distance %.1f", d)
			}
			// It is not turned again by the next viewer.
			again := run(t, p, "jpeg", in, wire.Transform{AutoOrient: true, Output: wire.Encoding{Format: "jpg", KeepMetadata: true}})
			info, err := p.Info(t.Context(), input("jpeg", again.Bytes))
			if err != nil || info.Image.Orientation > 1 || info.Image.Width != 320 {
				t.Errorf("%v %+v", err, info.Image)
			}
			if info, err = p.Info(t.Context(), input("jpeg", in)); err != nil || info.Image.Orientation != n {
				t.Errorf("%v %+v", err, info.Image)
			}
		})
	}
}

// quarters is a picture of four colours: red, lime, blue, white.
const quarters = "color=red:s=40x40[a];color=lime:s=40x40[b];color=blue:s=40x40[c];color=white:s=40x40[d];[a][b]hstack[t];[c][d]hstack[u];[t][u]vstack,format=rgb24"

func TestTurnsFlipsAndGravity(t *testing.T) {
	p := pool(t)
	in := generate(t, "png", quarters)
	red, lime := color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 255, 0, 255}
	blue, white := color.NRGBA{0, 0, 255, 255}, color.NRGBA{255, 255, 255, 255}
	for name, c := range map[string]struct {
		t  wire.Transform
		at [4]color.NRGBA // top left, top right, bottom left, bottom right
	}{
		"upright":   {wire.Transform{}, [4]color.NRGBA{red, lime, blue, white}},
		"90":        {wire.Transform{Rotate: 90}, [4]color.NRGBA{blue, red, white, lime}},
		"180":       {wire.Transform{Rotate: 180}, [4]color.NRGBA{white, blue, lime, red}},
		"270":       {wire.Transform{Rotate: 270}, [4]color.NRGBA{lime, white, red, blue}},
		"flip h":    {wire.Transform{FlipH: true}, [4]color.NRGBA{lime, red, white, blue}},
		"flip v":    {wire.Transform{FlipV: true}, [4]color.NRGBA{blue, white, red, lime}},
		"90 flip h": {wire.Transform{Rotate: 90, FlipH: true}, [4]color.NRGBA{red, blue, lime, white}},
		"90 flip v": {wire.Transform{Rotate: 90, FlipV: true}, [4]color.NRGBA{white, lime, blue, red}},
		"nowe":      {wire.Transform{Crop: &wire.Crop{Width: 30, Height: 30}, Gravity: wire.Gravity{Type: "nowe"}}, [4]color.NRGBA{red, red, red, red}},
		"noea":      {wire.Transform{Crop: &wire.Crop{Width: 30, Height: 30}, Gravity: wire.Gravity{Type: "noea"}}, [4]color.NRGBA{lime, lime, lime, lime}},
		"sowe":      {wire.Transform{Crop: &wire.Crop{Width: 30, Height: 30}, Gravity: wire.Gravity{Type: "sowe"}}, [4]color.NRGBA{blue, blue, blue, blue}},
		"soea":      {wire.Transform{Crop: &wire.Crop{Width: 30, Height: 30}, Gravity: wire.Gravity{Type: "soea"}}, [4]color.NRGBA{white, white, white, white}},
		"no":        {wire.Transform{Crop: &wire.Crop{Width: 60, Height: 30}, Gravity: wire.Gravity{Type: "no"}}, [4]color.NRGBA{red, lime, red, lime}},
		"we":        {wire.Transform{Crop: &wire.Crop{Width: 30, Height: 60}, Gravity: wire.Gravity{Type: "we"}}, [4]color.NRGBA{red, red, blue, blue}},
		"fp":        {wire.Transform{Crop: &wire.Crop{Width: 30, Height: 30, Gravity: &wire.Gravity{Type: "fp", X: 0.8, Y: 0.2}}}, [4]color.NRGBA{lime, lime, lime, lime}},
		"offset":    {wire.Transform{Crop: &wire.Crop{Width: 30, Height: 30, Gravity: &wire.Gravity{Type: "nowe", X: 45, Y: 0.55}}}, [4]color.NRGBA{white, white, white, white}},
		"turned part": {wire.Transform{Rotate: 90, Crop: &wire.Crop{Width: 30, Height: 30}, Gravity: wire.Gravity{Type: "nowe"}},
			[4]color.NRGBA{blue, blue, blue, blue}},
		"fill east": {wire.Transform{Mode: "fill", Width: 20, Height: 40, Gravity: wire.Gravity{Type: "ea"}}, [4]color.NRGBA{lime, lime, white, white}},
	} {
		t.Run(name, func(t *testing.T) {
			c.t.Output.Format = "png"
			m := decode(t, run(t, p, "png", in, c.t).Bytes)
			w, h := m.Bounds().Dx(), m.Bounds().Dy()
			near(t, m, 4, 4, c.at[0])
			near(t, m, w-5, 4, c.at[1])
			near(t, m, 4, h-5, c.at[2])
			near(t, m, w-5, h-5, c.at[3])
		})
	}
}
