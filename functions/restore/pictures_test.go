package restore

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/functions/internal/slicetest"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// pictures_test.go: functions that mend one frame at a time.

func itoa(n int) string { return strconv.Itoa(n) }

// ground is a moving picture with soft and hard edges; more is done to it.
func ground(t testing.TB, name, size, more string) string {
	t.Helper()
	return fnrig.Shared(t, name, "-f", "lavfi", "-i", "gradients=s="+size+":r=25:d=2.4:seed=3:c0=0x203040:c1=0x80a070:c2=0x405080:speed=0.02", "-f", "lavfi", "-i", "testsrc2=s="+size+":r=25:d=2.4",
		"-filter_complex", "[0][1]blend=all_mode=normal:all_opacity=0.6"+more+",format=yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-g", "10")
}

// made is what a filter makes of a file, without loss.
func made(t testing.TB, path, filter string) string {
	t.Helper()
	return fnrig.Shared(t, "made.mp4", "-i", path, "-vf", filter+",format=yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-g", "10")
}

// better holds a function to a bar: in a part of the picture its result is nearer
// to the clean pictures than what it got and what a plain method makes of that, by
// so many dB; and slices are exactly the whole.
func better(t *testing.T, f func(*ffmpeg.Tool) fn.Function, params, source, clean, plain, part string, gain, above float64) {
	t.Helper()
	rig := fnrig.New(t)
	call := slicetest.Case{Rig: rig, Function: f(rig.FFmpeg), Params: `{` + lossless + `,` + params + `}`, Paths: []string{source}}
	whole := call.Exact(t)
	got, _ := slicetest.PSNR(t, whole, clean, part)
	base, _ := slicetest.PSNR(t, plain, clean, part)
	t.Logf("%s: %.1f dB, plain %.1f dB", params, got, base)
	if got < base+above {
		t.Errorf("%s: %.1f dB, a plain method %.1f dB", params, got, base)
	}
	if gain > 0 {
		before, _ := slicetest.PSNR(t, source, clean, part)
		t.Logf("before %.1f dB", before)
		if got < before+gain {
			t.Errorf("%s: %.1f dB, %.1f dB before", params, got, before)
		}
	}
}

func TestDelogo(t *testing.T) {
	clean := ground(t, "ground.mp4", "160x96", "")
	marked := made(t, clean, "drawbox=x=100:y=10:w=24:h=14:color=white:t=fill:enable=gte(t\\,1)*lt(t\\,1.6),drawbox=x=10:y=60:w=20:h=12:color=red:t=fill")
	suite(t, Delogo, `{"preset":"ultrafast","marks":[{"x":100,"y":10,"width":24,"height":14}]}`, marked)
	params := `"marks":[{"x":100,"y":10,"width":24,"height":14,"start":1,"end":1.6},{"x":10,"y":60,"width":20,"height":12}]`
	better(t, Delogo, params, marked, clean, made(t, marked, "drawbox=x=10:y=60:w=20:h=12:color=gray:t=fill"), "crop=20:12:10:60", 10, 6)
	rig := fnrig.New(t)
	call := slicetest.Case{Rig: rig, Function: Delogo(rig.FFmpeg), Params: `{` + lossless + `,"marks":[{"x":100,"y":10,"width":24,"height":14,"start":1,"end":1.6}]}`, Paths: []string{marked}}
	bad := slicetest.Different(slicetest.Hashes(t, marked), slicetest.Hashes(t, call.Whole(t)))
	if len(bad) != 15 || bad[0] != 25 || bad[14] != 39 {
		t.Errorf("changed frames %v", bad)
	}
}

func TestDesubtitle(t *testing.T) {
	clean := ground(t, "ground.mp4", "320x180", "")
	text := made(t, clean, "drawtext=text=Where are you going:font=DejaVu Sans:fontsize=16:fontcolor=white:borderw=1:bordercolor=black:x=(w-text_w)/2:y=150:enable=lt(t\\,1.5)")
	suite(t, Desubtitle, `{"preset":"ultrafast"}`, text)
	band := "crop=200:24:60:146,trim=end_frame=37"
	better(t, Desubtitle, `"method":"strokes"`, text, clean, made(t, text, "gblur=sigma=4:enable=lt(t\\,1.5)"), band, 3, 1)
	better(t, Desubtitle, `"method":"box","band":{"x":0.2,"width":0.6,"y":148,"height":20},"end":1.5`, text, clean, text, band, 2, 0)
	better(t, Desubtitle, `"method":"blur","end":1.5`, text, clean, text, band, 0.5, 0)
}

func TestDeblur(t *testing.T) {
	clean := ground(t, "ground.mp4", "160x96", "")
	soft := made(t, clean, "gblur=sigma=1")
	suite(t, Deblur, `{"preset":"ultrafast"}`, soft)
	better(t, Deblur, `"method":"unsharp"`, soft, clean, soft, "null", 1, 1)
	better(t, Deblur, `"method":"cas"`, soft, clean, soft, "null", 0.5, 0.5)
}

func TestUpscale(t *testing.T) {
	clean := ground(t, "ground.mp4", "160x96", "")
	small := made(t, clean, "scale=80:48:flags=area")
	suite(t, Upscale, `{"preset":"ultrafast"}`, small)
	plain := made(t, small, "scale=160:96:flags=bilinear+accurate_rnd")
	better(t, Upscale, `"method":"bicubic"`, small, clean, plain, "null", 0, 0.5)
	better(t, Upscale, `"method":"lanczos","width":160`, small, clean, plain, "null", 0, 0.2)
	cubic := made(t, small, "scale=160:96:flags=bicubic+accurate_rnd")
	better(t, Upscale, `"scale":2`, small, clean, cubic, "null", 0, 0.05)
}

// TestModels: a model that is not there is missing, not invented.
func TestModels(t *testing.T) {
	for name, f := range map[string]fn.Function{"delogo": Delogo(nil), "desubtitle": Desubtitle(nil), "deblur": Deblur(nil), "upscale": Upscale(nil)} {
		_, err := f.Check(json.RawMessage(`{"model":"esrgan","marks":[{"width":1,"height":1}]}`), []media.Kind{media.Video})
		if name != "delogo" {
			_, err = f.Check(json.RawMessage(`{"model":"esrgan"}`), []media.Kind{media.Video})
		}
		if !errs.Is(err, errs.Unsupported) || errs.FieldOf(err) != "params.model" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
