package video

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/coded"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/functions/internal/render"
)

// spent is the size of a file's picture track in bits.
func spent(t testing.TB, path string) float64 {
	t.Helper()
	sum := 0.0
	for _, s := range strings.Fields(fnrig.Shell(t, "ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=size", "-of", "csv=p=0", path)) {
		n, _ := strconv.ParseFloat(strings.Trim(s, ","), 64)
		sum += 8 * n
	}
	return sum
}

// similarity is the SSIM of luma against a source, a second each.
func similarity(t testing.TB, src, path string, rate int) []float64 {
	t.Helper()
	log := filepath.Join(t.TempDir(), "ssim.log")
	fnrig.Shell(t, "ffmpeg", "-v", "error", "-i", path, "-i", src, "-filter_complex",
		"[0:v]settb=1/25,setpts=N[a];[1:v]settb=1/25,setpts=N[b];[a][b]ssim=stats_file="+log, "-f", "null", "-")
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var all []float64
	sum, n := 0.0, 0
	for line := range strings.Lines(string(raw)) {
		_, rest, _ := strings.Cut(line, "Y:")
		y, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
		if sum, n = sum+y, n+1; n == rate {
			all = append(all, sum/float64(n))
			sum, n = 0, 0
		}
	}
	return all
}

// changing is a clip whose parts are very different in what they take.
func changing(t testing.TB) string {
	const size = "192x108"
	return fnrig.Shared(t, "changing.mp4", "-f", "lavfi", "-i", "testsrc2=s="+size+":r=25:d=5[a];"+
		"mandelbrot=s="+size+":r=25:end_scale=0.01,trim=duration=9,setpts=PTS-STARTPTS[b];smptehdbars=s="+size+":r=25:d=2[c];"+
		"mandelbrot=s="+size+":r=25:start_x=-0.1:start_y=-0.8:end_scale=0.05,noise=alls=3:allf=t,trim=duration=8,setpts=PTS-STARTPTS[d];"+
		"[a][b][c][d]concat=n=4,format=yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "10", "-g", "50")
}

// TestBitrate: what is asked for is what is spent, sliced or not, and slices get
// what they would have had in the whole.
func TestBitrate(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	f := Transcode(rig.FFmpeg)
	src := changing(t)
	const seconds = 24
	for _, c := range []struct {
		params string
		target float64
		sliced bool
		within float64 // SSIM of any second
	}{
		{`{"bitrate":150000,"preset":"veryfast","format":"mkv"}`, 150000, true, 0.003},
		// Few bits and fast presets: chance moves more, up and down.
		{`{"bitrate":120000,"preset":"ultrafast","codec":"h265"}`, 120000, true, 0.012},
		{`{"bitrate":100000,"preset":"ultrafast","codec":"vp9"}`, 100000, false, 0},
		{`{"bitrate":100000,"preset":"ultrafast","codec":"av1"}`, 100000, false, 0},
	} {
		whole := run(t, rig, f, c.params, nil, src)
		if off := spent(t, whole)/seconds/c.target - 1; math.Abs(off) > 0.02 {
			t.Errorf("%s: off by %.1f %%", c.params, 100*off)
		}
		plan, _ := planned(t, rig, f, c.params, src)
		if plan.Sliced != c.sliced || plan.Reduced != c.sliced {
			t.Errorf("%s: sliced %v, reduced %v: %s", c.params, plan.Sliced, plan.Reduced, plan.Reason)
		}
		if !c.sliced || !plan.Sliced {
			continue
		}
		merged := sliced(t, rig, f, c.params, src)
		if off := spent(t, merged)/seconds/c.target - 1; math.Abs(off) > 0.02 {
			t.Errorf("%s, sliced: off by %.1f %%", c.params, 100*off)
		}
		a, b := similarity(t, src, whole, 25), similarity(t, src, merged, 25)
		if len(a) != seconds || len(b) != seconds {
			t.Fatalf("%s: %d and %d seconds", c.params, len(a), len(b))
		}
		joint := int(plan.Promise.TimeBase.Seconds(plan.Promise.Joints[0].PTS))
		mean := 0.0
		for i := range a {
			mean += (b[i] - a[i]) / seconds
			may := c.within
			if i == joint || i == joint-1 {
				may = max(may, 0.005)
			}
			if b[i] < a[i]-may {
				t.Errorf("%s: second %d has SSIM %.4f sliced, %.4f whole (joint at %d)", c.params, i, b[i], a[i], joint)
			}
		}
		if mean < -0.002 {
			t.Errorf("%s: SSIM is %.4f lower in the mean", c.params, -mean)
		}
	}
}

// bursts is calm, but for noise around every place where a slice can begin.
func bursts(t testing.TB) string {
	return fnrig.Shared(t, "bursts.mp4", "-f", "lavfi", "-i", "testsrc2=s=192x108:r=25:d=16,noise=alls=40:allf=t:enable='lt(mod(t+2,4),3.2)',format=yuv420p",
		"-c:v", "libx264", "-preset", "ultrafast", "-crf", "14", "-g", "25")
}

// TestBufferHoldsOverJoints: slices that begin and end on what takes most keep
// to the decoder's buffer together.
func TestBufferHoldsOverJoints(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	f := Transcode(rig.FFmpeg)
	src := bursts(t)
	for _, params := range []string{
		`{"crf":16,"max_bitrate":400000,"buffer":300000,"preset":"ultrafast","codec":"h265"}`,
		`{"bitrate":300000,"max_bitrate":400000,"buffer":400000,"preset":"veryfast"}`,
		`{"crf":16,"max_bitrate":400000,"buffer":400000,"preset":"veryfast","format":"mkv"}`,
	} {
		sliced(t, rig, f, params, src) // holds the certificate to its checks
	}
}

// TestBitrateOutOfReach: what a rate cannot do is no fault: one picture, a
// still, fewer bits than headers take.
func TestBitrateOutOfReach(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	f := Transcode(rig.FFmpeg)
	one := fnrig.Shared(t, "one.mp4", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25", "-frames:v", "1", "-pix_fmt", "yuv420p")
	still := fnrig.Shared(t, "still.mp4", "-f", "lavfi", "-i", "color=gray:s=96x64:r=25:d=2", "-pix_fmt", "yuv420p", "-g", "25")
	for _, codec := range []string{"h264", "h265", "vp9", "av1"} {
		for src, bitrate := range map[string]string{one: "100000", still: "2000000"} {
			if src == still && codec != "h264" {
				continue
			}
			if n := len(times(t, run(t, rig, f, `{"codec":"`+codec+`","preset":"ultrafast","bitrate":`+bitrate+`}`, nil, src))); n != 1 && n != 50 {
				t.Errorf("%s: %d pictures", codec, n)
			}
		}
	}
	for _, codec := range []string{"h264", "h265"} {
		run(t, rig, f, `{"codec":"`+codec+`","preset":"ultrafast","bitrate":10000}`, nil, changing(t))
	}
}

// TestThinSourcesDoNotGrow: constant quality would enlarge what has few bits.
func TestThinSourcesDoNotGrow(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	f := Transcode(rig.FFmpeg)
	thin := fnrig.Shared(t, "thin.mp4", "-i", changing(t), "-vf", "scale=480:270", "-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-b:v", "60k", "-maxrate", "60k", "-bufsize", "120k")
	had := spent(t, thin)
	if took := spent(t, run(t, rig, f, `{"preset":"veryfast"}`, nil, thin)); took > had {
		t.Errorf("%.0f bits became %.0f", had, took)
	}
	if took := spent(t, sliced(t, rig, f, `{"preset":"veryfast"}`, thin)); took > had {
		t.Errorf("%.0f bits became %.0f in slices", had, took)
	}
	if took := spent(t, run(t, rig, f, `{"preset":"veryfast","rate":"asked"}`, nil, thin)); took < 1.2*had {
		t.Errorf("%.0f bits became %.0f by constant quality: the test proves nothing", had, took)
	}
}

// TestRenditionsHoldTheBuffer: each of several files of the same slices keeps to
// its own buffer.
func TestRenditionsHoldTheBuffer(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	plan, path := planned(t, rig, Transcode(rig.FFmpeg), `{"crf":16,"max_bitrate":400000,"buffer":400000}`, bursts(t))
	in, err := rig.Open(t, "source", path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := render.Facts(t.Context(), rig.FFmpeg, &in)
	if err != nil {
		t.Fatal(err)
	}
	crf := 16.0
	rung := func(name string, height int, rate int64) render.Rendition {
		p := &encode.Params{Format: "mp4", Preset: "ultrafast", PixelFormat: "yuv420p", AudioCodec: "none", CRF: &crf, MaxBitrate: rate, Buffer: rate, Height: height, Fit: "contain"}
		p.Normalize()
		return render.Rendition{Name: name, Params: p}
	}
	rungs := []render.Rendition{rung("large", 108, 400_000), rung("small", 54, 120_000)}
	coming := make([][]slice.Sample, len(rungs))
	for i := range plan.Segments {
		part := &plan.Segments[i]
		o := render.Order{Params: rungs[0].Params, Info: info, Part: part, Threads: 1, Ladder: rungs}
		res, err := o.Run(t.Context(), rig.FFmpeg, &fn.Call{Trace: "test", Dir: t.TempDir(), Threads: 1, Part: part, Inputs: []fn.Input{in}}, &in)
		if err != nil {
			t.Fatal(err)
		}
		for k, out := range res.Outputs {
			b, err := os.ReadFile(out.Path)
			if err != nil {
				t.Fatal(err)
			}
			table, err := coded.MP4(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			coming[k] = append(coming[k], table.Coded...)
		}
	}
	for k, r := range rungs {
		rate := r.Params.MaxBitrate
		least, _, under := slice.Drain(coming[k], 1/float64(plan.Segments[0].Scale), slice.BufferStart*float64(rate), rate, rate)
		if least < -slice.BufferSlack*float64(rate) {
			t.Errorf("%s: %.1f %% of the buffer at the least, %d underflows", r.Name, 100*least/float64(rate), under)
		}
	}
}
