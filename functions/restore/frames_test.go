package restore

import (
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/fn/fntest"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/functions/internal/slicetest"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// frames_test.go: functions that look at several frames to make one.

// suite runs fntest on one quick case. How hostile files are refused is denoise's
// and remove's to show: all read their source alike.
func suite(t *testing.T, f func(*ffmpeg.Tool) fn.Function, params string, path string) {
	t.Helper()
	rig := fnrig.New(t)
	fntest.Run(t, fntest.Suite{Function: f(rig.FFmpeg), Open: rig.Open, Probe: rig.Probe, SkipHostile: "reads its source as video.denoise does",
		Cases: []fntest.Case{{Name: "one", Params: params, Inputs: []fntest.File{{Slot: "source", Path: path}}}}})
}

// pan is a camera that pans over a picture, at a frame rate and a speed in pixels
// a second.
func pan(t testing.TB, name, rate, speed string) string {
	t.Helper()
	return fnrig.Shared(t, name, "-f", "lavfi", "-i", "testsrc2=s=640x128:r=1:d=1", "-f", "lavfi", "-i", "sine=d=2.4",
		"-vf", "tpad=stop_mode=clone:stop=-1,fps="+rate+",crop=96:64:x="+speed+"*t:y=32,trim=duration=2.4,format=yuv420p",
		"-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-g", "10", "-c:a", "aac", "-shortest")
}

// timed is one way to make frames at other times than the source's.
type timed struct {
	name, params string
	frames       int
	gain         float64 // dB nearer to the clean frames than the plain way; 0 = the frames are others
	forgets      bool    // slices without overlap are right, too
}

// retimed holds a function that makes frames of their neighbours to a bar: slices
// are exactly the whole, they need their overlap, and the frames are nearer to
// clean ones than those of a plain way, which shows what is there longer.
func retimed(t *testing.T, f func(*ffmpeg.Tool) fn.Function, source, clean string, all ...timed) {
	t.Helper()
	rig := fnrig.New(t)
	plain := fnrig.Shared(t, "plain.mp4", "-i", source, "-vf", "fps=50", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-an")
	worse, _ := slicetest.PSNR(t, plain, clean, "null")
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			call := slicetest.Case{Rig: rig, Function: f(rig.FFmpeg), Params: `{` + lossless + `,` + c.params + `}`, Paths: []string{source}}
			whole := call.Exact(t)
			if frames := len(slicetest.Times(t, whole)); frames != c.frames {
				t.Errorf("%d frames of %d", frames, c.frames)
			}
			if !c.forgets && len(slicetest.Different(slicetest.Hashes(t, whole), alone(t, call))) == 0 {
				t.Error("slices without overlap are right, too")
			}
			if c.gain == 0 {
				return
			}
			better, _ := slicetest.PSNR(t, whole, clean, "null")
			t.Logf("%.1f dB, plain %.1f dB", better, worse)
			if better < worse+c.gain {
				t.Errorf("%.1f dB; the plain way %.1f dB", better, worse)
			}
		})
	}
}

func TestDeinterlace(t *testing.T) {
	clean := pan(t, "50p.mp4", "50", "40")
	fields := fnrig.Shared(t, "25i.mp4", "-i", clean, "-vf", "tinterlace=mode=interleave_top,setfield=tff", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0",
		"-g", "10", "-flags", "+ildct+ilme", "-x264-params", "tff=1", "-c:a", "copy")
	suite(t, Deinterlace, `{"preset":"ultrafast"}`, fields)
	retimed(t, Deinterlace, fields, clean,
		timed{"bwdif field", `"mode":"field"`, 120, 5, false},
		timed{"estdif field", `"method":"estdif","mode":"field"`, 120, 3, true},
		timed{"yadif frame", `"method":"yadif"`, 60, 0, false},
		timed{"bwdif bottom first", `"parity":"bff"`, 60, 0, false})
}

func TestInterpolate(t *testing.T) {
	clean, half := pan(t, "50p.mp4", "50", "200"), pan(t, "25p.mp4", "25", "200")
	suite(t, Interpolate, `{"preset":"ultrafast","method":"blend"}`, half)
	retimed(t, Interpolate, half, clean,
		timed{"motion", `"fps":"50"`, 120, 4, false},
		timed{"blend", `"method":"blend"`, 120, 0.5, false},
		timed{"60", `"fps":"60","method":"blend"`, 144, 0, false})
}

func TestStabilize(t *testing.T) {
	rig := fnrig.New(t)
	shaky := fnrig.Shared(t, "shaky.mp4", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=1:d=1", "-f", "lavfi", "-i", "sine=d=2.4",
		"-vf", "tpad=stop_mode=clone:stop=-1,fps=25,crop=192:144:x=60+n/2+3*sin(n*2.1)+2*sin(n*0.9):y=40+3*cos(n*1.7),trim=duration=2.4,format=yuv420p",
		"-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-g", "10", "-c:a", "aac", "-shortest")
	suite(t, Stabilize, `{"preset":"ultrafast"}`, shaky)
	call := slicetest.Case{Rig: rig, Function: Stabilize(rig.FFmpeg), Params: `{` + lossless + `,"smoothing":6,"zoom":10}`, Paths: []string{shaky}}
	whole := call.Whole(t)
	_, worst := slicetest.PSNR(t, whole, call.Sliced(t), "null")
	plan := call.Plan(t)
	p := plan.Segments[1]
	p.From, p.To, p.DropHead, p.DropTail = p.Start, p.End, 0, 0
	first := len(slicetest.Times(t, whole)) - int(p.Frames)
	cut := fnrig.Generate(t, "second.mp4", "-i", whole, "-vf", "trim=start_frame="+itoa(first)+",setpts=PTS-STARTPTS", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-an")
	_, without := slicetest.PSNR(t, cut, call.Call(t, &p).Outputs[0].Path, "null")
	before, after := steady(t, shaky), steady(t, whole)
	t.Logf("worst picture sliced %.1f dB, without overlap %.1f dB; frame to frame %.1f dB, %.1f dB before", worst, without, after, before)
	if worst < 60 || without > 40 {
		t.Errorf("worst picture %.1f dB, without overlap %.1f dB", worst, without)
	}
	if after < before+3 {
		t.Errorf("from frame to frame %.1f dB, %.1f dB before", after, before)
	}
}

// steady is how like frames are the ones before, in dB.
func steady(t testing.TB, path string) float64 {
	t.Helper()
	next := fnrig.Generate(t, "next.mp4", "-i", path, "-vf", "trim=start_frame=1,setpts=PTS-STARTPTS", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-an")
	all, _ := slicetest.PSNR(t, path, next, "trim=end_frame=58,crop=iw-40:ih-40")
	return all
}
