package restore

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn/fntest"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/functions/internal/slicetest"
)

// scene is 3.6 s before an unmoved camera: a dot wanders, light noise; more are
// filters that put something in.
func scene(t testing.TB, name, pixels, more string) string {
	t.Helper()
	return fnrig.Shared(t, name, "-f", "lavfi", "-i", "smptehdbars=s=96x64:r=25:d=3.6", "-f", "lavfi", "-i", "color=yellow:s=6x6:r=25:d=3.6",
		"-filter_complex", "[0][1]overlay=x=mod(n\\,90):y=50,noise=alls=4:allf=t:all_seed=5,"+more+",format="+pixels,
		"-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-g", "10")
}

// stands is an object that stands there until a second.
func stands(until string) string {
	return "drawbox=x=31:y=17:w=21:h=18:color=white:t=fill:enable=lt(t\\," + until + ")"
}

const (
	where  = `"region":{"x":31,"y":17,"width":21,"height":18}`
	inside = "crop=20:16:32:18" // of the region
)

func TestRemove(t *testing.T) {
	rig := fnrig.New(t)
	src := []fntest.File{{Slot: "source", Path: scene(t, "stands.mp4", "yuv420p", stands("1.7"))}}
	fntest.Run(t, fntest.Suite{
		Function: Remove(rig.FFmpeg), Open: rig.Open, Probe: rig.Probe,
		Cases: []fntest.Case{{Name: "region", Params: `{"preset":"ultrafast",` + where + `}`, Inputs: src}},
	})
	for params, field := range map[string]string{
		`{}`:                                "params.region",
		`{` + where + `,"bitrate":100000}`:  "params.bitrate",
		`{` + where + `,"start":2,"end":1}`: "params.end",
	} {
		if _, err := Remove(nil).Check(json.RawMessage(params), []media.Kind{media.Video}); errs.FieldOf(err) != field {
			t.Errorf("%s: %v", params, err)
		}
	}
}

// TestRemoveSlices: the object stands still through all of the first slice. Only
// the other slice knows what is behind it.
func TestRemoveSlices(t *testing.T) {
	rig := fnrig.New(t)
	clean, src := scene(t, "empty.mp4", "yuv420p", "null"), scene(t, "stands.mp4", "yuv420p", stands("1.7"))
	call := slicetest.Case{Rig: rig, Function: Remove(rig.FFmpeg), Params: `{` + lossless + `,` + where + `}`, Paths: []string{src}}
	whole := call.Exact(t)
	if _, worst := slicetest.PSNR(t, whole, clean, inside); worst < 30 {
		t.Errorf("what is behind the object is %.1f dB off", worst)
	}
	if around, _ := slicetest.PSNR(t, whole, src, "crop=96:8:0:52"); around < 60 {
		t.Errorf("beside the region pictures changed: %.1f dB", around)
	}
	_, seen := slicetest.PSNR(t, src, clean, inside)

	plan := call.Plan(t)
	if len(plan.Segments) != 2 || len(plan.Analyses) != 2 || plan.Reduction == nil {
		t.Fatalf("%+v", plan)
	}
	first := plan
	first.Segments, first.Analyses = plan.Segments[:1], plan.Analyses[:1]
	alone := call.Slices(t, first)[0].Outputs[0].Path
	if _, worst := slicetest.PSNR(t, alone, clean, inside+",trim=end_frame=40"); worst > seen+1 {
		t.Errorf("a slice that knows nothing of the others is right: %.1f dB, %.1f dB with the object", worst, seen)
	}
	t.Run("covered for long", func(t *testing.T) {
		// For most of the video: the caller says when.
		long := scene(t, "long.mp4", "yuv420p", stands("2.8"))
		call := slicetest.Case{Rig: rig, Function: Remove(rig.FFmpeg), Params: `{` + lossless + `,"end":2.8,` + where + `}`, Paths: []string{long}}
		whole := call.Exact(t)
		if _, worst := slicetest.PSNR(t, whole, clean, inside); worst < 30 {
			t.Errorf("what is behind the object is %.1f dB off", worst)
		}
		got, want := slicetest.Hashes(t, whole), slicetest.Hashes(t, long)
		if bad := slicetest.Different(got, want); len(bad) != 70 || bad[69] != 69 {
			t.Errorf("changed: %v", bad)
		}
	})
}

// TestRemoveShapes: masks, other layouts of samples, and what has no clean plate.
func TestRemoveShapes(t *testing.T) {
	rig := fnrig.New(t)
	clean, src := scene(t, "empty.mp4", "yuv420p", "null"), scene(t, "stands.mp4", "yuv420p", stands("1.7"))
	mask := fnrig.Shared(t, "mask.png", "-f", "lavfi", "-i", "color=black:s=192x128", "-vf", "drawbox=x=62:y=34:w=42:h=36:color=white:t=fill", "-frames:v", "1")
	for _, c := range []struct {
		name, params string
		paths        []string
		refused      string
	}{
		{"mask", `"feather":2`, []string{src, mask}, ""},
		{"shares", `"region":{"x":0.32,"y":0.26,"width":0.23,"height":0.3},"feather":0`, []string{src}, ""},
		{"444", where, []string{scene(t, "444.mp4", "yuv444p", stands("1.7"))}, ""},
		{"10 bit", where, []string{scene(t, "10.mp4", "yuv420p10le", stands("1.7"))}, ""},
		{"cut", where, []string{scene(t, "cut.mp4", "yuv420p", "negate=enable=gte(t\\,3)")}, "another picture"},
		{"scene", where, []string{scene(t, "pan.mp4", "yuv420p", "crop=64:64:x=n/3")}, "another picture"},
		{"never free", `"start":0,"end":3.6,` + where, []string{src}, "uncovered in 0 sample(s)"},
		{"outside", `"region":{"x":200,"y":0,"width":9,"height":9}`, []string{src}, "outside"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			call := slicetest.Case{Rig: rig, Function: Remove(rig.FFmpeg), Params: `{` + lossless + `,"audio_codec":"none",` + c.params + `}`, Paths: c.paths}
			res, err := call.Try(t, nil)
			if c.refused != "" {
				if !strings.Contains(errString(err), c.refused) || !errs.Is(err, errs.Unsupported) && !errs.Is(err, errs.Invalid) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err, errs.TailOf(err))
			}
			if _, worst := slicetest.PSNR(t, res.Outputs[0].Path, clean, "format=yuv420p,"+inside); worst < 30 {
				t.Errorf("what is behind the object is %.1f dB off", worst)
			}
		})
	}
}

func errString(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
