package restore

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

var update = flag.Bool("update", false, "rewrite goldens")

// planned is the filter graph of a call on a slice that overlaps on both sides.
func planned[P any](t *testing.T, r recipe[P], f fn.Function, params string) string {
	t.Helper()
	raw, err := f.Check(json.RawMessage(params), []media.Kind{media.Video})
	if err != nil {
		t.Fatal(params, err)
	}
	var p P
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	rate := media.Rational{Num: 25, Den: 1}
	info := &media.Info{Kind: media.Video, Format: "mp4", Duration: 60, Video: []media.VideoStream{{Codec: "h264", Width: 1920, Height: 1080, PixelFormat: "yuv420p",
		BitDepth: 8, FieldOrder: "progressive", SAR: media.Rational{Num: 1, Den: 1}, TimeBase: media.Rational{Num: 1, Den: 12800}, FrameRate: rate, AvgRate: rate, Frames: 1500}}}
	part := &fn.Part{Stream: fn.Pictures, TimeBase: media.Rational{Num: 1, Den: 12800}, Start: 128000, End: 256000, Frames: 250, Entry: 102400, From: 122880, To: 261120,
		DropHead: 10, DropTail: 10, Scale: 12800}
	o, err := r.order(&p, info, part, 1)
	if err != nil {
		t.Fatal(err)
	}
	return f.Spec().Name + " " + params + "\n" + filters(t, o) + "\n"
}

func filters(t *testing.T, o render.Order) string {
	t.Helper()
	args, err := o.Argv(ffmpeg.Input{Path: "/in/source", Demuxer: "mov"}, "/scratch")
	if err != nil {
		t.Fatal(err)
	}
	return args[slices.Index(args, "-filter_complex")+1]
}

func TestPlans(t *testing.T) {
	got := strings.Join([]string{
		planned(t, denoise, Denoise(nil), `{"strength":2}`),
		planned(t, denoise, Denoise(nil), `{"method":"atadenoise","window":7,"width":1280,"fps":"12.5"}`),
		planned(t, deinterlace, Deinterlace(nil), `{"parity":"tff"}`),
		planned(t, deinterlace, Deinterlace(nil), `{"method":"estdif","mode":"field"}`),
		planned(t, interpolate, Interpolate(nil), `{"fps":"60"}`),
		planned(t, stabilize, Stabilize(nil), `{"zoom":10}`),
		planned(t, delogo, Delogo(nil), `{"marks":[{"x":0.9,"y":20,"width":0.1,"height":40,"start":12},{"width":9,"height":9,"start":50}]}`),
		planned(t, desubtitle, Desubtitle(nil), `{"end":15}`),
		planned(t, deblur, Deblur(nil), `{"strength":0.2}`),
		planned(t, upscale, Upscale(nil), `{"scale":1.5}`),
	}, "\n")
	path := filepath.Join("testdata", "plans.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%v\nwant\n%s\ngot\n%s", err, want, got)
	}
}
