package derive

import (
	"encoding/json"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"pgregory.net/rapid"
)

// film is a track of n frames of one tick each at 25 fps, with a keyframe
// every gop frames.
func film(n, gop int) *media.Info {
	v := media.VideoStream{Codec: "h264", Width: 1920, Height: 1080, PixelFormat: "yuv420p", TimeBase: media.Rational{Num: 1, Den: 25}}
	for i := range n {
		v.FrameList = append(v.FrameList, media.Frame{PTS: int64(i), Dur: 1, Key: i%gop == 0})
	}
	return &media.Info{Kind: media.Video, Format: "mp4", Duration: float64(n) / 25, Seekable: new(true), Video: []media.VideoStream{v}}
}

func framesOf(t testing.TB, params string) *framesParams {
	t.Helper()
	raw, err := Frames(nil).Check(json.RawMessage(params), nil)
	if err != nil {
		t.Fatal(err)
	}
	var p framesParams
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	return &p
}

func TestFramesPlan(t *testing.T) {
	hdr := film(100, 50)
	hdr.Video[0].PixelFormat, hdr.Video[0].Color = "yuv420p10le", media.Color{Range: "tv", Primaries: "bt2020", Transfer: "smpte2084", Matrix: "bt2020nc"}
	for _, tc := range []struct {
		name, params string
		info         *media.Info
		threads      int
	}{
		{"interval", `{"interval":1}`, film(250, 50), 2},
		{"times", `{"mode":"times","times":[0,0.5,39.99],"format":"png","width":320}`, film(1000, 25), 1},
		{"keyframes", `{"mode":"keyframes","format":"webp","width":100,"height":100,"fit":"cover"}`, film(250, 50), 2},
		{"every", `{"mode":"fps","fps":25,"start":1,"end":1.2}`, film(250, 50), 1},
		{"hdr", `{"mode":"count","count":2}`, hdr, 1},
		{"ranges", `{"mode":"fps","fps":1,"ranges":[{"start":1,"end":3},{"start":30,"end":32}]}`, film(1000, 25), 2},
	} {
		p := framesOf(t, tc.params)
		plan, err := planFrames(p, tc.info, tc.threads)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		var lines []string
		for _, s := range plan.Passes {
			args, err := passArgs(p, tc.info, plan, s, ffmpeg.Input{Path: "/in", Demuxer: "mov"}, entrySeek(tc.info, plan.Line, s.Entry))
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, strings.Join(args, " "))
		}
		golden(t, "frames-"+tc.name, lines)
	}
}

func TestFramesCheck(t *testing.T) {
	for params, field := range map[string]string{
		`{"mode":"times"}`:                              "params.times",
		`{"times":[1]}`:                                 "params.times",
		`{"mode":"times","times":[-1]}`:                 "params.times[0]",
		`{"mode":"times","times":[1],"start":1}`:        "params.start",
		`{"mode":"times","times":[1],"end":1}`:          "params.end",
		`{"start":2,"end":2}`:                           "params.end",
		`{"ranges":[{"start":2,"end":1}]}`:              "params.ranges[0].end",
		`{"ranges":[{"start":2}],"start":1}`:            "params.ranges",
		`{"fit":"cover","width":5}`:                     "params.fit",
		`{"fps":0}`:                                     "params.fps",
		`{"format":"gif"}`:                              "params.format",
		`{"quality":101}`:                               "params.quality",
		`{"mode":"count","count":50,"max_frames":10}`:   "params.max_frames",
		`{"mode":"times","times":[1,2],"max_frames":1}`: "params.max_frames",
	} {
		_, err := Frames(nil).Check(json.RawMessage(params), nil)
		if errs.FieldOf(err) != field || !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.TooLarge) {
			t.Errorf("%s: %v names %q, want %q", params, err, errs.FieldOf(err), field)
		}
	}
	p := framesOf(t, `{"mode":"fps","fps":25,"max_frames":5}`)
	if _, err := planFrames(p, film(100, 10), 1); !errs.Is(err, errs.TooLarge) {
		t.Errorf("100 frames of at most 5: %v", err)
	}
	p = framesOf(t, `{"start":50}`)
	if _, err := planFrames(p, film(100, 10), 1); errs.FieldOf(err) != "params.start" {
		t.Errorf("a range behind the end: %v", err)
	}
}

// Passes cover exactly the shots, in order, each decodable from its entry.
func TestPassesProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 400).Draw(t, "n")
		info := film(n, rapid.IntRange(1, 100).Draw(t, "gop"))
		l := newTimeline(info, &info.Video[0])
		wanted := rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 1, 40, rapid.ID[int]).Draw(t, "wanted")
		p := &framesParams{Mode: "times", Accuracy: "exact", MaxFrames: 1000}
		for _, i := range wanted {
			p.Times = append(p.Times, float64(i)/25)
		}
		shots, missed, err := choose(p, l)
		if err != nil || len(missed) != 0 || len(shots) != len(wanted) {
			t.Fatalf("%d wishes: %d shots, %d missed, %v", len(wanted), len(shots), len(missed), err)
		}
		workers := rapid.IntRange(1, 8).Draw(t, "workers")
		at := 0
		for _, s := range passes(l, shots, workers, rapid.IntRange(1, 60).Draw(t, "start"), false) {
			if s.First != at+1 || !l.Frames[s.Entry].Key {
				t.Fatalf("pass %+v does not follow file %d or enters no keyframe", s, at)
			}
			for _, sh := range s.Shots {
				if sh.Index != shots[at].Index || sh.Index < s.Entry {
					t.Fatalf("shot %d is %d, want %d", at, sh.Index, shots[at].Index)
				}
				at++
			}
		}
		if at != len(shots) {
			t.Fatalf("%d of %d shots", at, len(shots))
		}
	})
}

// The frames given are those ffprobe sees, for every container and mode.
func TestFramesExact(t *testing.T) {
	t.Parallel()
	ff := newTool(t)
	mp4 := ticker(t, "a.mp4")
	for _, name := range []string{"a.mp4", "a.mkv", "a.ts", "a.flv", "a.avi"} {
		path := mp4
		if name != "a.mp4" {
			path = generate(t, name, "-i", mp4, "-c", "copy")
		}
		list := decoded(t, path)
		start := max(startTime(t, path), 0)
		modes := []string{
			`{"mode":"times","times":[0,0.4,2.5,2.52,5.9]}`, `{"mode":"keyframes"}`, `{"mode":"interval","interval":1.5}`,
			`{"mode":"fps","fps":30,"start":3.3,"end":3.5,"format":"png"}`, `{"mode":"count","count":3,"accuracy":"fast"}`,
		}
		if name != "a.mp4" {
			modes = modes[:2]
		}
		for _, params := range modes {
			res, err := run(t, Frames(ff), input(t, path), params)
			if err != nil {
				t.Fatalf("%s %s: %v\n%s", name, params, err, errs.TailOf(err))
			}
			var facts FramesFacts
			if err := json.Unmarshal(res.Facts, &facts); err != nil {
				t.Fatal(err)
			}
			if len(facts.Frames) == 0 || len(facts.Frames) != len(res.Outputs) || len(facts.Undecoded) > 0 {
				t.Fatalf("%s %s: %d frames, %d files: %s", name, params, len(facts.Frames), len(res.Outputs), res.Facts)
			}
			for i, f := range facts.Frames {
				want, ok := list[f.PTS]
				if name == "a.avi" { // no times in the file: ffprobe and ffmpeg guess the last ones differently
					want, ok = f.Time+start, true
				}
				if !ok || f.Name != res.Outputs[i].Name {
					t.Fatalf("%s %s: no frame at %d decodes: %s", name, params, f.PTS, res.Facts)
				}
				if math.Abs(f.Time+start-want) > 0.002 {
					t.Errorf("%s %s: frame %d at %v, ffprobe says %v", name, params, f.PTS, f.Time+start, want)
				}
				for _, asked := range f.Times {
					if i > 0 && asked < f.Time-0.001 || asked > f.Time+0.0345 {
						t.Errorf("%s: %v s answered with the frame at %v", name, asked, f.Time)
					}
				}
			}
		}
	}
}

// What is in the picture is what FFmpeg decodes at that timestamp.
func TestFramesPixels(t *testing.T) {
	t.Parallel()
	ff := newTool(t)
	path := ticker(t, "a.mp4")
	res, err := run(t, Frames(ff), input(t, path), `{"mode":"times","times":[1.2345,4.7],"format":"png"}`)
	if err != nil {
		t.Fatal(err)
	}
	var facts FramesFacts
	_ = json.Unmarshal(res.Facts, &facts)
	for i, f := range facts.Frames {
		ref := generate(t, "ref.png", "-i", path, "-vf", fmt.Sprintf("select=eq(pts\\,%d),scale=in_color_matrix=bt601:flags=bicubic+accurate_rnd+full_chroma_int,format=rgb24", f.PTS), "-frames:v", "1", "-update", "1")
		if d := distance(t, ref, res.Outputs[i].Path); d > 0.5 {
			t.Errorf("frame at %v differs from the reference by %.2f levels", f.Time, d)
		}
	}
}

// Rotation, sample aspect and boxes show in the size.
func TestFramesSize(t *testing.T) {
	t.Parallel()
	ff := newTool(t)
	plain := ticker(t, "a.mp4", "-t", "1", "-vf", "setsar=2")
	turned := generate(t, "turned.mp4", "-i", ticker(t, "b.mp4", "-t", "1"), "-c", "copy", "-metadata:s:v", "rotate=90")
	if !strings.Contains(streams(t, turned), "rotation") { // FFmpeg 6 and later have an option in place of the tag
		turned = generate(t, "turned.mp4", "-display_rotation", "90", "-i", ticker(t, "b.mp4", "-t", "1"), "-c", "copy")
	}
	for _, tc := range []struct {
		path, params string
		w, h         int
	}{
		{plain, `{}`, 320, 90},
		{plain, `{"width":160}`, 160, 45},
		{plain, `{"width":64,"height":64,"fit":"pad"}`, 64, 64},
		{plain, `{"width":65,"height":33,"fit":"cover","format":"webp"}`, 65, 33},
		{plain, `{"width":50,"height":70,"fit":"stretch","format":"png"}`, 50, 70},
		{plain, `{"height":45}`, 160, 45},
		{turned, `{}`, 90, 160},
	} {
		res, err := run(t, Frames(ff), input(t, tc.path), tc.params)
		if err != nil {
			t.Fatalf("%s: %v\n%s", tc.params, err, errs.TailOf(err))
		}
		if w, h := size(t, res.Outputs[0].Path); w != tc.w || h != tc.h {
			t.Errorf("%s: %d×%d, want %d×%d", tc.params, w, h, tc.w, tc.h)
		}
	}
}

// A grey of known level keeps its level whatever the matrix, and HDR ends up
// as SDR.
func TestFramesColor(t *testing.T) {
	t.Parallel()
	ff := newTool(t)
	path := generate(t, "c.mp4", "-f", "lavfi", "-i", "color=c=0x20C040:s=64x64:d=0.4:r=5", "-vf",
		"scale=out_color_matrix=bt709:out_range=tv,format=yuv444p", "-c:v", "libx264", "-qp", "1", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
	for _, format := range []string{"png", "jpg"} {
		res, err := run(t, Frames(ff), input(t, path), `{"quality":100,"format":"`+format+`"}`)
		if err != nil {
			t.Fatal(err)
		}
		r, g, b, _ := load(t, res.Outputs[0].Path).At(32, 32).RGBA()
		if d := max(math.Abs(float64(r>>8)-0x20), math.Abs(float64(g>>8)-0xC0), math.Abs(float64(b>>8)-0x40)); d > 4 {
			t.Errorf("%s: colour %02x%02x%02x, want 20c040", format, r>>8, g>>8, b>>8)
		}
	}
	for _, transfer := range []string{"smpte2084", "arib-std-b67", "bt709"} {
		hdr := generate(t, "hdr.mp4", "-f", "lavfi", "-i", "testsrc2=s=64x64:d=0.4:r=5", "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-x265-params", "log-level=none",
			"-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", transfer, "-color_range", "tv", "-tag:v", "hvc1")
		if _, err := run(t, Frames(ff), input(t, hdr), `{}`); err != nil {
			t.Errorf("%s: %v\n%s", transfer, err, errs.TailOf(err))
		}
	}
}

func TestFramesRefuses(t *testing.T) {
	ff := newTool(t)
	sound := generate(t, "s.mkv", "-f", "lavfi", "-i", "sine=d=1")
	if _, err := run(t, Frames(ff), input(t, sound), `{}`); !errs.Is(err, errs.Invalid) {
		t.Errorf("a file without pictures: %v", err)
	}
	if _, err := run(t, Frames(ff), input(t, ticker(t, "a.mp4", "-t", "1")), `{"mode":"times","times":[30]}`); errs.FieldOf(err) != "params.times" {
		t.Errorf("a time behind the end: %v", err)
	}
}

// BenchmarkFrames compares with plain ffmpeg on the same clip, one picture a
// second of 20 s in 1080p, and the keyframes alone.
func BenchmarkFrames(b *testing.B) {
	ff := newTool(b)
	path := os.Getenv("MEDIAFN_BENCH_CLIP") // a realistic clip, where there is one
	if path == "" {
		path = generate(b, "long.mp4", "-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=30:d=20", "-vf", "noise=alls=6:allf=t", "-c:v", "libx264", "-preset", "veryfast", "-b:v", "8M", "-g", "90", "-pix_fmt", "yuv420p")
	}
	in := input(b, path)
	for name, params := range map[string]string{"exact": `{"interval":1}`, "keyframes": `{"mode":"keyframes"}`} {
		var ours, theirs time.Duration
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				began := time.Now()
				args := []string{"-v", "error", "-y"}
				if name == "keyframes" {
					args = append(args, "-skip_frame", "nokey", "-i", path, "-fps_mode", "passthrough")
				} else {
					args = append(args, "-i", path, "-vf", "fps=1")
				}
				if out, err := exec.Command("ffmpeg", append(args, "-q:v", "3", b.TempDir()+"/%05d.jpg")...).CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				theirs += time.Since(began)
				began = time.Now()
				if _, err := run(b, Frames(ff), in, params); err != nil {
					b.Fatalf("%v\n%s", err, errs.TailOf(err))
				}
				ours += time.Since(began)
			}
			b.ReportMetric(ours.Seconds()/theirs.Seconds(), "ratio/ffmpeg")
		})
	}
}

// Without its filters an HDR video is refused by name, an SDR one is not.
func TestFiltersMissing(t *testing.T) {
	hdr := &media.VideoStream{Color: media.Color{Transfer: "smpte2084", Primaries: "bt2020"}}
	wide := &media.VideoStream{Color: media.Color{Transfer: "bt709", Primaries: "bt2020"}}
	for _, tc := range []struct {
		v       *media.VideoStream
		missing string
		refused bool
	}{{hdr, "zscale", true}, {hdr, "tonemap", true}, {wide, "zscale", true}, {wide, "tonemap", false}, {&media.VideoStream{}, "zscale", false}} {
		err := checkFilters(tc.v, func(name string) (bool, error) { return name != tc.missing, nil })
		if errs.Is(err, errs.Unsupported) != tc.refused || tc.refused && !strings.Contains(err.Error(), tc.missing) {
			t.Errorf("%+v without %s: %v", tc.v.Color, tc.missing, err)
		}
	}
}

// A transport stream cut in the middle of a GOP: what cannot be decoded is not
// promised, and its list comes from packets.
func TestFramesOfACutStream(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(ticker(t, "a.ts", "-an"))
	if err != nil {
		t.Fatal(err)
	}
	const packet = 188
	path := filepath.Join(t.TempDir(), "cut.ts")
	if err := os.WriteFile(path, append(whole[:3*packet:3*packet], whole[len(whole)/packet/4*packet:]...), 0o600); err != nil { // tables, then somewhere
		t.Fatal(err)
	}
	res, err := run(t, Frames(newTool(t)), input(t, path), `{"mode":"fps","fps":10}`)
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.TailOf(err))
	}
	var facts FramesFacts
	if err := json.Unmarshal(res.Facts, &facts); err != nil || len(facts.Undecoded) > 0 || len(facts.Frames) < 20 || !facts.Frames[0].Key {
		t.Errorf("%s %v", res.Facts, err)
	}
}

func TestStampReader(t *testing.T) {
	var r stampReader
	for _, part := range []string{"frame:0    pts:-1", "05  pts_time:3.5\nshot=1\nfra", "me:1 pts:7 pts_time:1\n", "frame:x\n"} {
		if _, err := r.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]int64{-105, 7}, r.PTS); d != "" {
		t.Error(d)
	}
}

// decoded maps the timestamp of every frame ffprobe decodes to its seconds.
func decoded(t testing.TB, path string) map[int64]float64 {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp,best_effort_timestamp_time", "-of", "csv=p=0:nk=1", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	list := map[int64]float64{}
	for _, line := range strings.Fields(string(out)) {
		f := strings.Split(line, ",")
		pts, err1 := strconv.ParseInt(f[0], 10, 64)
		sec, err2 := strconv.ParseFloat(f[1], 64)
		if err1 == nil && err2 == nil {
			list[pts] = sec
		}
	}
	return list
}

func startTime(t testing.TB, path string) float64 {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "format=start_time", "-of", "csv=p=0", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func streams(t testing.TB, path string) string {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-show_streams", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// size asks ffprobe, which reads WebP too.
func size(t testing.TB, path string) (w, h int) {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0:s=x", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(out), "%dx%d", &w, &h); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	return w, h
}

func load(t testing.TB, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	im, _, err := image.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// distance is the mean difference of two pictures in levels of 8 bits.
func distance(t testing.TB, a, b string) float64 {
	t.Helper()
	x, y := load(t, a), load(t, b)
	if x.Bounds() != y.Bounds() {
		t.Fatalf("%v and %v", x.Bounds(), y.Bounds())
	}
	var sum, n float64
	for j := range x.Bounds().Dy() {
		for i := range x.Bounds().Dx() {
			r1, g1, b1, _ := x.At(i, j).RGBA()
			r2, g2, b2, _ := y.At(i, j).RGBA()
			for _, d := range [][2]uint32{{r1, r2}, {g1, g2}, {b1, b2}} {
				sum += math.Abs(float64(d[0]>>8) - float64(d[1]>>8))
				n++
			}
		}
	}
	return sum / n
}

// Whatever is printed, and however it is cut into writes, is taken in without
// harm and gives the same.
func FuzzPrinted(f *testing.F) {
	f.Add([]byte("frame:0 pts:7 pts_time:1\nlavfi.r128.I=-23.1\nlavfi.r128.true_peak=0.5\n"), 3)
	f.Add([]byte("frame: pts:\n=\nlavfi.r128.I=NaN\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		if cut < 0 || cut > len(text) {
			cut = len(text) / 2
		}
		var whole, parts stampReader
		_, _ = whole.Write(text)
		_, _ = parts.Write(text[:cut])
		_, _ = parts.Write(text[cut:])
		if len(text) < 4096 && !cmp.Equal(whole.PTS, parts.PTS) {
			t.Errorf("%v, in parts %v", whole.PTS, parts.PTS)
		}
		var heard loudnessReader
		_, _ = heard.Write(text)
		if m := heard.decide(-16, -1); math.IsNaN(m.Gain) || math.IsInf(m.Gain, 0) {
			t.Errorf("%+v", m)
		}
	})
}
