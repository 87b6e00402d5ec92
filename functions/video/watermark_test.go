package video

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/fn/fntest"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

func logo(t testing.TB) string {
	return fnrig.Generate(t, "logo.png", "-f", "lavfi", "-i", "color=white:s=64x32", "-frames:v", "1")
}

// black is two seconds of nothing to see.
func black(t testing.TB) string {
	return fnrig.Shared(t, "black.mp4", "-f", "lavfi", "-i", "color=black:s=320x180:r=25:d=2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10")
}

func TestWatermark(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	src, mark := fntest.File{Slot: "source", Path: clip(t, "in.mp4")}, fntest.File{Slot: "logo", Path: logo(t)}
	fntest.Run(t, fntest.Suite{
		Function: Watermark(rig.FFmpeg), Open: rig.Open, Probe: rig.Probe,
		Cases: []fntest.Case{
			{Name: "text", Params: `{"preset":"ultrafast","texts":[{"text":"hello"}]}`, Inputs: []fntest.File{src}},
			{Name: "logo", Params: `{"preset":"ultrafast","logo":{"opacity":0.5,"rotate":30}}`, Inputs: []fntest.File{src, mark}},
		},
	})
}

func TestWatermarkPlan(t *testing.T) {
	raw, err := Watermark(nil).Check(json.RawMessage(`{"width":1280,"logo":{"opacity":0.5,"position":"top-left","start":11,"end":15},
		"texts":[{"text":"a:b","size":40,"box":true,"outline":2,"shadow":3,"position":"center"},{"text":"水印","end":12.5}]}`), []media.Kind{media.Video, media.Image})
	if err != nil {
		t.Fatal(err)
	}
	var p watermarkParams
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	part := &fn.Part{Stream: fn.Pictures, TimeBase: media.Rational{Num: 1, Den: 30000}, Start: 300300, End: 600600, Entry: 300300, Frames: 300, Scale: 90000}
	golden(t, "watermark_slice", argvText(t, planWatermark(&p, source1080(), part, 2, &ffmpeg.Input{Path: "/in/logo", Demuxer: "png_pipe"})))
}

func TestWatermarkRefuses(t *testing.T) {
	for params, field := range map[string]string{
		`{}`: "params.texts",
		`{"texts":[{"text":"a","start":2,"end":1}]}`: "params.texts[0].end",
		`{"texts":[{"text":" \n"}]}`:                 "params.texts[0].text",
		`{"texts":[{"text":"a\u0007"}]}`:             "params.texts[0].text",
		`{"texts":[{"text":"a","color":"a@b"}]}`:     "params.texts[0].color",
	} {
		if _, err := Watermark(nil).Check(json.RawMessage(params), []media.Kind{media.Video}); !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != field {
			t.Errorf("%s: %v names %q, want %q", params, err, errs.FieldOf(err), field)
		}
	}
}

// TestWatermarkPlaces: marks appear where and when they were asked for, texts
// literally, in any script, and slices look like the whole.
func TestWatermarkPlaces(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	path, mark := black(t), logo(t)
	f := Watermark(rig.FFmpeg)
	res, err := rig.Run(t, f, `{"preset":"ultrafast","logo":{"scale":0.2,"position":"top-right","margin_x":10,"margin_y":20,"start":1}}`, nil, path, mark)
	if err != nil {
		t.Fatal(err, errs.TailOf(err))
	}
	x0, y0, x1, y1, _ := extents(t, res.Outputs[0].Path, 320, 180, 1.2, 128)
	if !near(float64(x0), 246, 1) || !near(float64(y0), 20, 1) || !near(float64(x1), 309, 1) || !near(float64(y1), 51, 1) {
		t.Errorf("logo at %d,%d–%d,%d", x0, y0, x1, y1)
	}
	if _, _, _, _, n := extents(t, res.Outputs[0].Path, 320, 180, 0.5, 128); n > 0 {
		t.Error("the logo is there before its time")
	}
	ink := func(text string) int {
		body, _ := json.Marshal(map[string]any{"preset": "ultrafast", "texts": []any{map[string]any{"text": text, "size": 40, "position": "center"}}})
		res, err := rig.Run(t, f, string(body), nil, path)
		if err != nil {
			t.Fatal(err, errs.TailOf(err))
		}
		_, _, _, _, n := extents(t, res.Outputs[0].Path, 320, 180, 0.5, 128)
		return n
	}
	for _, text := range []string{"水印", "%{pts}", `a':b\,[c];`, "日本\nかな", "워터"} {
		if ink(text) < 100 {
			t.Errorf("%q was not drawn", text)
		}
	}
	if ink("水印") == ink("口口") {
		t.Error("Chinese is drawn as boxes")
	}
	if ink("%{pts}") <= ink("pts") {
		t.Error("a text was expanded")
	}
	info, err := rig.Probe(t, path)
	if err != nil {
		t.Fatal(err)
	}
	params := `{"crf":0,"preset":"ultrafast","logo":{"tile":true,"end":1.5},"texts":[{"text":"x","start":0.4,"end":1.32}]}`
	whole, err := rig.Run(t, f, params, nil, path, mark)
	if err != nil {
		t.Fatal(err, errs.TailOf(err))
	}
	var all []string
	for _, p := range cut(t, info, 2) {
		res, err := rig.Run(t, f, params, &p, path, mark)
		if err != nil {
			t.Fatal(err, errs.TailOf(err))
		}
		all = append(all, hashes(t, res.Outputs[0].Path)...)
	}
	if want := hashes(t, whole.Outputs[0].Path); strings.Join(all, " ") != strings.Join(want, " ") {
		t.Errorf("slices differ from the whole: %d and %d frames", len(all), len(want))
		for i := range min(len(all), len(want)) {
			if all[i] != want[i] {
				t.Errorf("frame %d", i)
			}
		}
	}
}

// TestWatermarkColor: a logo keeps its colour in pictures of any matrix, with
// eight bits and with ten, and leaves what it does not cover as it was.
func TestWatermarkColor(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	red := fnrig.Generate(t, "red.png", "-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1")
	for matrix, params := range map[string]string{
		"bt709":     `{"preset":"ultrafast","crf":0,"logo":{"scale":0.5,"position":"left","margin_x":0}}`,
		"smpte170m": `{"preset":"ultrafast","crf":1,"codec":"h265","bit_depth":10,"logo":{"scale":0.5,"position":"left","margin_x":0}}`,
	} {
		src := fnrig.Generate(t, "gray.mp4", "-f", "lavfi", "-i", "color=0x20a060:s=64x64:r=25:d=0.2", "-vf", "scale=out_color_matrix="+matrix+",format=yuv420p",
			"-c:v", "libx264", "-crf", "0", "-colorspace", matrix, "-color_primaries", matrix, "-color_trc", "bt709")
		out := run(t, rig, Watermark(rig.FFmpeg), params, nil, src, red)
		at := func(path string, x int) []byte {
			return []byte(fnrig.Shell(t, "ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-vf",
				fmt.Sprintf("crop=2:2:%d:32,scale=in_color_matrix=%s:flags=accurate_rnd+full_chroma_int+full_chroma_inp,format=rgb24", x, matrix), "-f", "rawvideo", "-"))[:3]
		}
		for what, c := range map[string]struct{ got, want []byte }{
			"the logo": {at(out, 10), []byte{254, 0, 0}}, "the picture": {at(out, 50), at(src, 50)},
		} {
			for i := range c.want {
				if !near(float64(c.got[i]), float64(c.want[i]), 3) {
					t.Errorf("%s: %s is %v, want %v", matrix, what, c.got, c.want)
					break
				}
			}
		}
	}
}
