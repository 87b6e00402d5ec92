package ladder

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/assemble"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/functions/internal/pack"
	"github.com/mediafn/mediafn/functions/internal/source"
)

func TestMain(m *testing.M) { fnrig.Main(m) }

// two is a ladder of two small steps in segments of two seconds.
const two = `{"renditions":[{"height":90,"max_bitrate":400000},{"height":60,"max_bitrate":200000}],"preset":"ultrafast","segment_seconds":2`

// film is seven seconds with sound in two languages, the second shorter.
func film(t *testing.T, name, rate string, more ...string) string {
	args := []string{"-f", "lavfi", "-i", "testsrc2=s=160x90:d=7:r=" + rate, "-f", "lavfi", "-i", "aevalsrc=sin(440*2*PI*t*(1+t/9)):s=48000:d=7", "-f", "lavfi", "-i", "sine=880:r=44100:d=4",
		"-map", "0", "-map", "1", "-map", "2", "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra",
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "33", "-pix_fmt", "yuv420p", "-c:a", "aac", "-vsync", "passthrough"}
	return fnrig.Shared(t, name, append(args, more...)...)
}

// structure is what must not depend on how a package was made.
type structure struct {
	Total    float64
	Starts   []float64 // of segments, the same in every rendition
	Tracks   []string
	Texts    []string // and what is in them
	Variants []string
}

// inspect reads a package in every way it can be read, and holds the ways
// against each other.
func inspect(t *testing.T, dir string) structure {
	t.Helper()
	m := readMaster(t, dir)
	dash, total := readMPD(t, dir)
	s := structure{Total: total}
	var audioPeak int64
	tracks := map[string]playlist{}
	sound := map[string][]piece{}
	for _, a := range m.Audio {
		p := readPlaylist(t, dir, a["URI"])
		all, skip := readTrack(t, dir, p.Map, ranges(p))
		agree(t, a["URI"], p, all, skip, total)
		tracks[a["URI"]], sound[a["URI"]] = p, all
		audioPeak = max(audioPeak, peak(p))
		s.Tracks = append(s.Tracks, fmt.Sprint(a["LANGUAGE"], a["NAME"], a["DEFAULT"], a["CHANNELS"], len(all)))
	}
	for _, v := range m.Variants {
		p := readPlaylist(t, dir, v.Name)
		all, skip := readTrack(t, dir, p.Map, ranges(p))
		agree(t, v.Name, p, all, skip, total)
		tracks[v.Name] = p
		var starts []float64
		for _, x := range all {
			starts = append(starts, x.Start)
		}
		if s.Starts == nil {
			s.Starts = starts
		} else if !slices.Equal(s.Starts, starts) {
			t.Fatalf("%s begins segments at %v, another rendition at %v", v.Name, starts, s.Starts)
		}
		if most := peak(p) + audioPeak; v.Bandwidth < most {
			t.Fatalf("%s: a segment takes %d bit/s, BANDWIDTH is %d", v.Name, most, v.Bandwidth)
		}
		entries := readPlaylist(t, dir, strings.TrimSuffix(v.Name, ".m3u8")+"-entries.m3u8")
		if !entries.Entries || len(entries.All) != len(all) || m.Entries[v.Name].Bandwidth <= 0 {
			t.Fatalf("%+v", entries)
		}
		for i, e := range entries.All {
			if full := p.All[i]; e.File != full.File || e.Offset != max(full.Offset, 0) || e.Length >= int64(all[i].Bytes) || e.Length < 100 {
				t.Fatalf("entry %d is %+v of %+v", i, e, full)
			}
		}
		s.Variants = append(s.Variants, fmt.Sprintf("%s %s %.2f %s %s", v.Name, v.Resolution, v.FrameRate, v.Range, v.Codecs))
	}
	for name, all := range sound {
		for i, x := range all {
			if i < len(s.Starts) && i > 0 && math.Abs(x.Start-s.Starts[i]) > 1024.0/44100*1.51 { // half a coded frame, and the encoder's start
				t.Fatalf("%s: segment %d begins at %v, the pictures' at %v", name, i, x.Start, s.Starts[i])
			}
		}
	}
	for _, a := range m.Texts {
		p := readPlaylist(t, dir, a["URI"])
		d := dash["subtitles-"+strings.TrimSuffix(path.Base(a["URI"]), ".m3u8")]
		if len(p.All) != 1 || math.Abs(p.All[0].Duration-total) > 1e-6 || len(d.Segments) != 1 || d.Segments[0].File != p.All[0].File {
			t.Fatalf("%+v and %+v", p, d)
		}
		s.Texts = append(s.Texts, a["LANGUAGE"]+" "+a["NAME"]+" "+string(p.All[0].read(t, dir)))
	}
	// The two manifests speak of the same bytes.
	if len(dash) != len(tracks)+len(s.Texts) {
		t.Fatalf("%d tracks of DASH, %d of HLS", len(dash), len(tracks))
	}
	for name, p := range tracks {
		d, ok := dash[strings.TrimSuffix(path.Base(name), ".m3u8")]
		if !ok || d.Init != p.Map || len(d.Segments) != len(p.All) || d.Start != 0 {
			t.Fatalf("%s: %+v and %+v", name, d, p)
		}
		for i := range p.All {
			if d.Segments[i].ranged != p.All[i].ranged || math.Abs(d.Segments[i].Duration-p.All[i].Duration) > 1e-6 {
				t.Fatalf("%s segment %d: %+v and %+v", name, i, d.Segments[i], p.All[i])
			}
		}
	}
	return s
}

func ranges(p playlist) (all []ranged) {
	for _, s := range p.All {
		all = append(all, s.ranged)
	}
	return all
}

func peak(p playlist) (most int64) {
	for _, s := range p.All[:max(len(p.All)-1, 1)] { // the last one may be much shorter than what counts
		most = max(most, int64(float64(s.Length*8)/s.Duration))
	}
	return most
}

// agree holds a playlist against the segments it lists.
func agree(t *testing.T, name string, p playlist, all []piece, skip, total float64) {
	t.Helper()
	sum := 0.0
	for i, x := range all {
		want := x.End - x.Start
		if i == 0 {
			want -= skip
		}
		sum += p.All[i].Duration
		if math.Abs(p.All[i].Duration-want) > 1e-6 || x.Number != uint32(i+1) {
			t.Fatalf("%s segment %d (%d) lasts %v, the list says %v", name, i, x.Number, want, p.All[i].Duration)
		}
	}
	if all[0].Start != 0 || math.Abs(sum-total) > 0.05 {
		t.Fatalf("%s begins at %v and lasts %v of %v", name, all[0].Start, sum, total)
	}
}

// plays has ffmpeg read a manifest to its end, all tracks of it, without a word.
// It counts the pictures of the first rendition.
func plays(t *testing.T, dir, manifest string, frames int) {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "warning", "-progress", "pipe:1", "-nostdin", "-i", filepath.Join(dir, manifest), "-map", "0", "-f", "null", "-").CombinedOutput()
	said := strings.Split(strings.TrimSpace(string(out)), "\n")
	got := ""
	for _, line := range said {
		if key, value, ok := strings.Cut(line, "="); ok && !strings.Contains(key, " ") {
			if key == "frame" {
				got = value
			}
			continue
		}
		t.Errorf("%s: %s", manifest, line)
	}
	if err != nil || got != fmt.Sprint(frames) {
		t.Errorf("%s: %s of %d frames, %v", manifest, got, frames, err)
	}
}

// titled is a film with subtitles.
func titled(t *testing.T, film string) string {
	t.Helper()
	titles := filepath.Join(t.TempDir(), "titles.srt")
	if err := os.WriteFile(titles, []byte("1\n00:00:02,000 --> 00:00:03,500\nHello\n\n2\n00:00:05,000 --> 00:00:06,000\nthere\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return fnrig.Generate(t, filepath.Base(film), "-copyts", "-i", film, "-i", titles, "-map", "0", "-map", "1", "-c", "copy", "-c:s", "mov_text", "-metadata:s:s:0", "language=eng",
		"-movie_timescale", "90000")
}

// whole makes a package in one run.
func whole(t *testing.T, r *fnrig.Rig, f func(*fnrig.Rig) fn.Function, params, src string) (string, pack.Facts) {
	t.Helper()
	res, err := r.Run(t, f(r), params, nil, src)
	if err != nil {
		t.Fatal(err)
	}
	var facts pack.Facts
	if err := json.Unmarshal(res.Facts, &facts); err != nil {
		t.Fatal(err)
	}
	return placed(t, res.Outputs), facts
}

// placed finds the folder of outputs, and holds their names against it.
func placed(t *testing.T, outs []fn.Output) string {
	t.Helper()
	dir := strings.TrimSuffix(outs[0].Path, outs[0].Name)
	for _, o := range outs {
		if o.Path != filepath.Join(dir, filepath.FromSlash(o.Name)) || o.Mime == "" || o.Kind != media.Package {
			t.Fatalf("%+v", o)
		}
	}
	return dir
}

func hls(r *fnrig.Rig) fn.Function  { return HLS(r.FFmpeg) }
func dash(r *fnrig.Rig) fn.Function { return DASH(r.FFmpeg) }

// sliced makes one as the flow does.
func sliced(t *testing.T, r *fnrig.Rig, params, src string) (string, slice.Certificate) {
	t.Helper()
	f := HLS(r.FFmpeg)
	in := open(t, r, "source", src)
	info, err := source.Facts(t.Context(), r.FFmpeg, nil, &in, source.Want{Keys: true})
	if err == nil && info.MainVideo().VFR != nil && *info.MainVideo().VFR {
		info, err = source.Facts(t.Context(), r.FFmpeg, nil, &in, source.Want{Frames: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := f.Check(json.RawMessage(params), []media.Kind{media.Video})
	if err != nil {
		t.Fatal(err)
	}
	a, err := f.Assembly(canonical, info)
	if err != nil {
		t.Fatal(err)
	}
	plan := slice.Document(slice.Request{Source: info, Spec: f.Spec().Slicing, Price: f.Price(canonical, []*media.Info{info}), Assembly: a, Mode: slice.Force, Workers: 4})
	if !plan.Sliced || len(plan.Segments) < 3 || !plan.Packaged {
		t.Fatalf("%d slices: %s", len(plan.Segments), plan.Reason)
	}
	merge := []fn.Input{in, document(t, plan)}
	run := func(part *fn.Part) []fn.Output {
		res, err := r.Run(t, f, params, part, src)
		if err != nil {
			t.Fatal(err)
		}
		return res.Outputs
	}
	for i := range plan.Segments {
		outs := run(&plan.Segments[i])
		if len(outs) != len(a.Renditions) {
			t.Fatalf("%d files of %d renditions", len(outs), len(a.Renditions))
		}
		for _, o := range outs {
			merge = append(merge, open(t, r, "slices", o.Path))
		}
	}
	merge = append(merge, open(t, r, "sound", run(plan.Sound)[0].Path))
	merged := call(t, assemble.Merge(r.FFmpeg), merge...)
	proof, renditions := []fn.Input{in, document(t, plan)}, []fn.Input{in, document(t, plan)}
	for _, o := range merged.Outputs {
		proof, renditions = append(proof, open(t, r, "result", o.Path)), append(renditions, open(t, r, "renditions", o.Path))
	}
	var c slice.Certificate
	if err := json.Unmarshal(call(t, assemble.Certify(r.FFmpeg), proof...).Facts, &c); err != nil {
		t.Fatal(err)
	}
	return placed(t, call(t, assemble.Package(r.FFmpeg), renditions...).Outputs), c
}

func open(t *testing.T, r *fnrig.Rig, slot, path string) fn.Input {
	t.Helper()
	in, err := r.Open(t, slot, path)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func document(t *testing.T, plan slice.Plan) fn.Input {
	raw, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	return fn.Input{Slot: "plan", Kind: media.Text, Doc: raw}
}

func call(t *testing.T, f fn.Function, inputs ...fn.Input) *fn.Result {
	t.Helper()
	params, err := f.Check(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := f.Run(t.Context(), &fn.Call{Trace: "t", Params: params, Inputs: inputs, Dir: t.TempDir(), Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// Segments begin where the whole's clock says, whether a picture lies there or
// not, whatever the slices begin with.
func TestSlicedIsAsWhole(t *testing.T) {
	t.Parallel()
	uneven := "setpts='PTS+gt(mod(N,7),3)*0.4/(FRAME_RATE*TB)+gt(N,90)*0.5/TB'"
	for _, c := range []struct {
		name, rate string
		more       []string
		starts     []float64
		frames     int
	}{
		{"25.mp4", "25", nil, []float64{0, 2, 4, 6}, 175},
		{"23.976.mp4", "24000/1001", nil, []float64{0, 48 * 1001.0 / 24000, 96 * 1001.0 / 24000, 144 * 1001.0 / 24000}, 168},
		{"late.mp4", "30000/1001", []string{"-vf", "setpts=PTS+0.5/TB"}, []float64{0, 60 * 1001.0 / 30000, 120 * 1001.0 / 30000, 180 * 1001.0 / 30000}, 210},
		{"variable.mkv", "30", []string{"-vf", uneven, "-enc_time_base", "1/1000"}, nil, 210},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := fnrig.New(t)
			src := film(t, c.name, c.rate, c.more...)
			if c.name == "late.mp4" {
				src = titled(t, src)
			}
			params := two + `,"dash":true,"subtitles":"keep"}`
			dir, facts := whole(t, r, hls, params, src)
			one := inspect(t, dir)
			if len(one.Texts) == 0 { // FFmpeg reads no WebVTT there
				plays(t, dir, "master.m3u8", c.frames)
				plays(t, dir, "manifest.mpd", c.frames)
			}
			if c.starts != nil && !near(one.Starts, c.starts) {
				t.Errorf("segments begin at %v, want %v", one.Starts, c.starts)
			}
			if facts.Segments != len(one.Starts) || len(facts.Video) != 2 || len(facts.Audio) != 2 || facts.Audio[1].Language != "fr" || math.Abs(facts.Duration-one.Total) > 1e-6 {
				t.Errorf("%+v", facts)
			}
			if c.name == "late.mp4" && (len(one.Texts) != 1 || !strings.Contains(one.Texts[0], "00:01.533 --> 00:03.033\nHello")) {
				t.Errorf("subtitles: %q", one.Texts) // the first picture is shown at 0.467
			}
			dir, proof := sliced(t, r, params, src)
			if !proof.OK || len(proof.Checks) != 36 {
				t.Errorf("%v of %d checks", proof.Failed(), len(proof.Checks))
			}
			other := inspect(t, dir)
			if math.Abs(other.Total-one.Total) <= 0.0005 { // of Matroska, whose times are milliseconds, FFmpeg guesses how long the whole's last picture is shown
				other.Total = one.Total
			}
			if !reflect.DeepEqual(one, other) {
				t.Errorf("whole:\n%+v\nsliced:\n%+v", one, other)
			}
			if len(one.Texts) == 0 {
				plays(t, dir, "master.m3u8", c.frames)
			}
		})
	}
}

func near(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Abs(x-y) < 1e-6 })
}

// Every segment a file, in folders of the tracks.
func TestSegmentsAsFiles(t *testing.T) {
	t.Parallel()
	r := fnrig.New(t)
	dir, facts := whole(t, r, dash, two+`,"hls":true,"segments":"files","audio_channels":1,"languages":["","pt-BR"]}`, film(t, "25.mp4", "25"))
	s := inspect(t, dir)
	plays(t, dir, "master.m3u8", 175)
	plays(t, dir, "manifest.mpd", 175)
	if want := []string{"enEnglishYES14", "pt-BRportuguêsNO14"}; !slices.Equal(s.Tracks, want) || facts.Layout != "files" {
		t.Errorf("%q", s.Tracks)
	}
}

// An upright source, without sound, smaller than what is asked for, in HEVC;
// only what was asked for is written.
func TestOtherSources(t *testing.T) {
	t.Parallel()
	r := fnrig.New(t)
	src := fnrig.Shared(t, "upright.mp4", "-f", "lavfi", "-i", "testsrc2=s=90x160:d=2:r=25", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
	res, err := r.Run(t, HLS(r.FFmpeg), `{"renditions":[{"name":"big","height":1080,"codec":"h265"},{"height":60}],"preset":"ultrafast","segment_seconds":1}`, nil, src)
	if err != nil {
		t.Fatal(err)
	}
	dir := placed(t, res.Outputs)
	m := readMaster(t, dir)
	if len(m.Audio) != 0 || m.Variants[0].Resolution != "90x160" || m.Variants[1].Resolution != "60x106" || !strings.HasPrefix(m.Variants[0].Codecs, "hvc1.1.6.L") {
		t.Errorf("%+v", m)
	}
	for _, o := range res.Outputs {
		if strings.HasSuffix(o.Name, ".mpd") {
			t.Errorf("%s was not asked for", o.Name)
		}
	}
	for _, v := range m.Variants {
		p := readPlaylist(t, dir, v.Name)
		if all, _ := readTrack(t, dir, p.Map, ranges(p)); len(all) != 2 {
			t.Errorf("%s: %d segments", v.Name, len(all))
		}
	}
	plays(t, dir, "master.m3u8", 50)
}

func TestLadderFollowsTheSource(t *testing.T) {
	for _, c := range []struct {
		codec string
		short int
		want  []int
	}{
		{"h264", 2160, []int{1080, 720, 540, 432, 360, 234}},
		{"h264", 1080, []int{1080, 720, 540, 432, 360, 234}},
		{"h264", 480, []int{480, 432, 360, 234}},
		{"h264", 576, []int{540, 432, 360, 234}},
		{"h264", 144, []int{144}},
		{"h265", 2160, []int{2160, 1440, 1080, 720, 540, 432, 360}},
		{"h265", 240, []int{240}},
	} {
		if got := usualHeights(c.codec, c.short); !slices.Equal(got, c.want) {
			t.Errorf("%s %d: %v, want %v", c.codec, c.short, got, c.want)
		}
	}
	var names []string
	for _, s := range (&Params{Codec: "h264"}).steps(&media.VideoStream{Width: 1920, Height: 1080}) {
		names = append(names, s.Name)
	}
	if want := []string{"540p", "1080p", "720p", "432p", "360p", "234p"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	for _, codec := range []string{"h264", "h265"} {
		for h := 2; h < 4400; h++ {
			if usualRate(codec, h) < 10_000 || usualRate(codec, h) > usualRate(codec, h+1) {
				t.Fatalf("%s: %d lines may have %d bit/s, %d lines %d", codec, h, usualRate(codec, h), h+1, usualRate(codec, h+1))
			}
		}
	}
	if usualRate("h264", 720) != 4_500_000 || usualRate("h265", 2160) != 16_800_000 {
		t.Error("a step is not what was published")
	}
}

func TestFaultsAreNamed(t *testing.T) {
	for params, field := range map[string]string{
		`{"segment_seconds":0.5}`:                        "params.segment_seconds",
		`{"segment_seconds":2.0005}`:                     "params.segment_seconds",
		`{"segments":"both"}`:                            "params.segments",
		`{"renditions":[{}]}`:                            "params.renditions[0].height",
		`{"renditions":[{"height":360},{"height":360}]}`: "params.renditions[1].name",
		`{"renditions":[{"name":"a/b","height":360}]}`:   "params.renditions[0].name",
		`{"renditions":[{"height":360,"max_bitrate":2000000},{"height":720,"max_bitrate":1000000}]}`: "params.renditions[1].max_bitrate",
		`{"renditions":[{"height":720,"max_bitrate":1000000},{"height":360,"max_bitrate":2000000}]}`: "params.renditions[1].max_bitrate",
		`{"renditions":[{"height":720,"max_bitrate":1}]}`:                                            "params.renditions[0].max_bitrate",
		`{"renditions":[{"height":720,"buffer":1}]}`:                                                 "params.renditions[0].buffer",
		`{"languages":["not a tag"]}`:                                                                "params.languages[0]",
		`{"renditions":[{"height":720,"codec":"vp9"}]}`:                                              "params.renditions[0].codec",
		`{"hls":true}`: "params.hls",
	} {
		_, err := HLS(nil).Check(json.RawMessage(params), []media.Kind{media.Video})
		if !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != field {
			t.Errorf("%s: %v names %q, want %q", params, err, errs.FieldOf(err), field)
		}
	}
	ok := `{"renditions":[{"height":720,"codec":"h265","max_bitrate":1000000},{"height":360,"max_bitrate":2000000},{"name":"low","height":360,"max_bitrate":200000}]}`
	if _, err := HLS(nil).Check(json.RawMessage(ok), []media.Kind{media.Video}); err != nil {
		t.Error(err)
	}
}

// A ladder costs one decode and all encodes.
func TestPriceGrowsWithRenditions(t *testing.T) {
	info := &media.Info{Duration: 60, Video: []media.VideoStream{{Codec: "h264", Width: 1920, Height: 1080, AvgRate: media.Rational{Num: 25, Den: 1}}}}
	price := func(params string) fn.Price {
		p, err := HLS(nil).Check(json.RawMessage(params), []media.Kind{media.Video})
		if err != nil {
			t.Fatal(err)
		}
		return HLS(nil).Price(p, []*media.Info{info})
	}
	one, both := price(`{"renditions":[{"height":1080}]}`), price(`{"renditions":[{"height":1080},{"height":720}]}`)
	low := price(`{"renditions":[{"height":720}]}`)
	if both.CPUSeconds <= one.CPUSeconds || both.CPUSeconds >= one.CPUSeconds+low.CPUSeconds || both.Memory <= one.Memory {
		t.Errorf("%+v %+v %+v", one, low, both)
	}
}
