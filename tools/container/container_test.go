package container

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/sniff"
)

// generate runs ffmpeg with its output in a fresh folder.
func generate(t testing.TB, name string, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	if b, err := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-threads", "2"}, args...), out)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, b)
	}
	return out
}

func read(t testing.TB, path string, opt Options) *media.Info {
	t.Helper()
	b, f := load(t, path)
	info, err := Read(context.Background(), bytes.NewReader(b), int64(len(b)), f, opt)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func load(t testing.TB, path string) ([]byte, sniff.Format) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := sniff.Sniff(b, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return b, f
}

type probe struct {
	Streams  []map[string]any
	Format   map[string]any
	Frames   []map[string]any
	Packets  []map[string]any
	Chapters []map[string]any
	Both     []map[string]any `json:"packets_and_frames"`
}

func ffprobe(t testing.TB, path string, more ...string) probe {
	t.Helper()
	var p probe
	b, err := exec.Command("ffprobe", append([]string{"-v", "error", "-of", "json", "-show_streams", "-show_format", "-show_chapters", path}, more...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func num(v any) float64 {
	f, _ := strconv.ParseFloat(fmt.Sprint(v), 64)
	return f
}

const src25 = "testsrc2=s=160x96:r=25:d=2"

func lavfi(src string) []string { return []string{"-f", "lavfi", "-i", src} }

func cat(parts ...[]string) (out []string) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func TestAgainstFFprobe(t *testing.T) {
	x264 := []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "12", "-bf", "2", "-pix_fmt", "yuv420p"}
	tone := lavfi("sine=d=2:r=44100")
	cases := []struct {
		name string
		args []string
		rate string // "" = variable
	}{
		{"cfr.mp4", cat(lavfi(src25), x264), "25/1"},
		{"fast.mp4", cat(lavfi(src25), x264, []string{"-movflags", "+faststart"}), "25/1"},
		{"av.mp4", cat(lavfi(src25), tone, x264, []string{"-c:a", "aac"}), "25/1"},
		{"ntsc.mp4", cat(lavfi("testsrc2=s=160x96:r=60000/1001:d=2"), x264), "60000/1001"},
		{"ntsc90k.mp4", cat(lavfi("testsrc2=s=160x96:r=60000/1001:d=2"), x264, []string{"-video_track_timescale", "90000"}), "60000/1001"},
		{"ntsc1k.mp4", cat(lavfi("testsrc2=s=160x96:r=60000/1001:d=2"), x264, []string{"-video_track_timescale", "1000"}), "60000/1001"},
		{"film.mkv", cat(lavfi("testsrc2=s=160x96:r=24000/1001:d=2"), x264), "24000/1001"},
		{"vfr.mp4", cat(lavfi(src25), []string{"-vf", "select='not(mod(n,3))+not(mod(n,5))'", "-vsync", "passthrough"}, x264), ""},
		{"vfr.mkv", cat(lavfi(src25), []string{"-vf", "select='not(mod(n,3))+not(mod(n,5))'", "-vsync", "passthrough"}, x264), ""},
		{"frag.mp4", cat(lavfi(src25), tone, x264, []string{"-movflags", "frag_keyframe+empty_moov"}), "25/1"},
		{"fragdelay.mp4", cat(lavfi(src25), tone, x264, []string{"-movflags", "frag_keyframe+delay_moov"}), "25/1"},
		{"sar.mp4", cat(lavfi(src25), []string{"-vf", "setsar=4/3"}, x264), "25/1"},
		{"sar.mkv", cat(lavfi(src25), []string{"-vf", "setsar=4/3"}, x264), "25/1"},
		{"open.mp4", cat(lavfi(src25), x264, []string{"-x264-params", "open-gop=1:bframes=3"}), "25/1"},
		{"open.mkv", cat(lavfi(src25), x264, []string{"-x264-params", "open-gop=1:bframes=3"}), "25/1"},
		{"inter.mp4", cat(lavfi(src25), x264, []string{"-flags", "+ildct+ilme", "-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv"}), "25/1"},
		{"high422.mp4", cat(lavfi(src25), []string{"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv422p10le"}), "25/1"},
		{"hdr.mp4", cat(lavfi(src25), hdr10), "25/1"},
		{"hdr.mkv", cat(lavfi(src25), hdr10), "25/1"},
		{"av1.mp4", cat(lavfi("testsrc2=s=160x96:r=25:d=0.5"), []string{"-c:v", "libaom-av1", "-cpu-used", "8"}), "25/1"},
		{"av1.mkv", cat(lavfi("testsrc2=s=160x96:r=25:d=0.5"), []string{"-c:v", "libaom-av1", "-cpu-used", "8"}), "25/1"},
		{"vp9.webm", cat(lavfi(src25), tone, []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "10"}), "25/1"},
		{"vp9.mp4", cat(lavfi(src25), []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"}), "25/1"},
		{"prores.mov", cat(lavfi(src25), []string{"-c:v", "prores_ks", "-profile:v", "3", "-c:a", "pcm_s24le"}, []string{"-timecode", "01:00:00:00"}), "25/1"},
		{"live.mkv", cat(lavfi(src25), tone, x264, []string{"-live", "1"}), "25/1"},
		{"late.mp4", cat(lavfi(src25), []string{"-itsoffset", "0.5"}, tone, x264), "25/1"},
		{"late.mkv", cat(lavfi(src25), []string{"-itsoffset", "0.5"}, tone, x264), "25/1"},
		{"pcm.mov", cat(lavfi(src25), tone, x264, []string{"-c:a", "pcm_s16le"}), "25/1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := generate(t, c.name, c.args...)
			compare(t, path, c.rate)
		})
	}
}

var hdr10 = []string{"-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1", "-x265-params",
	"log-level=error:keyint=12:hdr10=1:repeat-headers=0:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:max-cll=1000,400:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"}

// compare holds every field that ffprobe also knows against it.
func compare(t *testing.T, path, rate string) {
	t.Helper()
	info := read(t, path, Options{Frames: true, Keys: true})
	all := ffprobe(t, path, "-show_frames", "-show_packets")
	p := probe{}
	for _, x := range all.Both { // in one call: starting ffprobe costs more than asking
		if num(x["stream_index"]) != 0 {
			continue
		}
		if x["type"] == "frame" {
			p.Frames = append(p.Frames, x)
		} else if x["type"] == "packet" {
			p.Packets = append(p.Packets, x)
		}
	}
	check := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s = %v, ffprobe says %v", what, got, want)
		}
	}
	near := func(what string, got, want, by float64) {
		t.Helper()
		if math.Abs(got-want) > by {
			t.Errorf("%s = %v, ffprobe says %v", what, got, want)
		}
	}
	str := func(m map[string]any, k string) string {
		s, _ := m[k].(string)
		if s == "unknown" || s == "reserved" || s == "unspecified" {
			return ""
		}
		return s
	}
	for _, w := range info.Warnings {
		t.Errorf("warning: %s", w)
	}
	if d := num(all.Format["duration"]); d > 0 {
		near("duration", info.Duration, d, 0.03)
	}
	// ffprobe does not apply an edit list's priming to fragments; players do.
	priming := strings.Contains(path, "fragdelay")
	if priming {
		all.Format["start_time"] = "0"
	}
	near("start", info.StartTime, num(all.Format["start_time"]), 0.0011)
	v, s := info.Video[0], all.Streams[0]
	check("codec", v.Codec, s["codec_name"])
	check("profile", v.Profile, str(s, "profile"))
	check("width", v.Width, s["width"])
	check("height", v.Height, s["height"])
	check("pixel format", v.PixelFormat, s["pix_fmt"])
	if sar := str(s, "sample_aspect_ratio"); sar != "" {
		check("sar", strings.Replace(v.SAR.String(), "/", ":", 1), sar)
	}
	check("primaries", v.Color.Primaries, str(s, "color_primaries"))
	check("transfer", v.Color.Transfer, str(s, "color_transfer"))
	check("matrix", v.Color.Matrix, str(s, "color_space"))
	if r := str(s, "color_range"); r != "" && v.Codec != "prores" { // only its decoder says
		check("range", v.Color.Range, r)
	}
	if f := str(s, "field_order"); f != "" && v.FieldOrder != "" {
		check("field order", v.FieldOrder, f)
	}
	if l := num(s["level"]); l > 0 && v.Codec == "h264" {
		check("level", v.Level, fmt.Sprintf("%d.%d", int(l)/10, int(l)%10))
	}
	check("time base", v.TimeBase, s["time_base"])
	check("frames", v.Frames, len(p.Frames))
	near("video start", v.StartTime, num(s["start_time"]), 0.0006)
	if rate == "" {
		if v.VFR == nil || !*v.VFR || v.FrameRate.Known() {
			t.Errorf("variable rate not seen: %v, %v", v.VFR, v.FrameRate)
		}
	} else if v.FrameRate.String() != rate || v.VFR == nil || *v.VFR {
		t.Errorf("rate = %s, variable = %v, want %s", v.FrameRate, *v.VFR, rate)
	}
	keys := 0
	for i, f := range p.Frames {
		if i >= len(v.FrameList) {
			break
		}
		g := v.FrameList[i]
		if g.PTS != int64(num(f["pts"])) {
			t.Fatalf("frame %d is at %d, ffprobe says %v", i, g.PTS, f["pts"])
		}
		if keys < len(v.GOP.Keys) && v.GOP.Keys[keys].Frame == int64(i) && !g.Key && i == 0 {
			keys++ // cut by an edit list: entered through a key that is not shown
		} else if g.Key {
			k := v.GOP.Keys[keys]
			if k.Frame != int64(i) || k.PTS != g.PTS {
				t.Errorf("key %d = %+v, want frame %d at %d", keys, k, i, g.PTS)
			}
			for _, pk := range p.Packets {
				if pk["pts"] == f["pts"] && !strings.HasPrefix(pk["flags"].(string), "K") {
					t.Errorf("key at %d: ffprobe flags %v", g.PTS, pk["flags"])
				}
				if pk["pts"] == f["pts"] && pk["pos"] != nil && strings.HasSuffix(path, "mp4") && int64(num(pk["pos"])) != k.Bytes {
					t.Errorf("key at %d lies at %d, ffprobe says %v", g.PTS, k.Bytes, pk["pos"])
				}
			}
			keys++
		}
	}
	check("keys", keys, len(v.GOP.Keys))
	b, f := load(t, path)
	pts, _, err := FrameTimes(context.Background(), bytes.NewReader(b), int64(len(b)), f, 0)
	if err != nil || int64(len(pts)) != v.Frames || pts[0] != v.Timing.FirstPTS {
		t.Errorf("FrameTimes: %d times, %v", len(pts), err)
	}
	for i, a := range info.Audio {
		s := all.Streams[a.Index]
		check("audio codec", a.Codec, s["codec_name"])
		check("audio profile", a.Profile, str(s, "profile"))
		check("rate", a.SampleRate, s["sample_rate"])
		check("channels", a.Channels, s["channels"])
		if l := str(s, "channel_layout"); l != "" {
			check("layout", a.Layout, l)
		}
		if priming {
			s["start_time"] = "0"
		}
		near(fmt.Sprint("audio start ", i), a.StartTime, num(s["start_time"]), 0.0011)
		if d := num(s["duration"]); d > 0 {
			near("audio duration", a.Duration, d, 0.025)
		}
	}
}

func TestGOPs(t *testing.T) {
	base := cat(lavfi(src25), []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "10", "-bf", "3", "-x264-params"})
	hevc := cat(lavfi(src25), []string{"-c:v", "libx265", "-preset", "veryfast", "-tag:v", "hvc1", "-x265-params"})
	for _, c := range []struct {
		file   string
		args   []string
		closed bool
	}{
		{"a.mp4", cat(base, []string{"open-gop=0:scenecut=0:b-adapt=0"}), true},
		{"b.mp4", cat(base, []string{"open-gop=1:scenecut=0:b-adapt=0"}), false},
		{"b.mkv", cat(base, []string{"open-gop=1:scenecut=0:b-adapt=0"}), false},
		{"c.mp4", cat(hevc, []string{"log-level=error:keyint=10:open-gop=0"}), true},
		{"d.mp4", cat(hevc, []string{"log-level=error:keyint=10:open-gop=1"}), false},
		{"d.mkv", cat(hevc, []string{"log-level=error:keyint=10:open-gop=1"}), false},
	} {
		v := read(t, generate(t, c.file, c.args...), Options{Keys: true, Frames: true}).Video[0]
		if v.GOP.Closed == nil || *v.GOP.Closed != c.closed || len(v.GOP.Keys) < 4 {
			t.Errorf("%s: closed %v, %d keys; want closed %v", c.file, v.GOP.Closed, len(v.GOP.Keys), c.closed)
		}
	}
	// Periodic intra refresh marks recovery points as keys; only the first is one.
	v := read(t, generate(t, "r.mp4", cat(base, []string{"intra-refresh=1:bframes=0:ref=1"})...), Options{Keys: true}).Video[0]
	if len(v.GOP.Keys) != 1 {
		t.Errorf("intra refresh: %d keys", len(v.GOP.Keys))
	}
}

type counter struct {
	*bytes.Reader
	reads int
}

func (c *counter) ReadAt(b []byte, off int64) (int, error) { c.reads++; return c.Reader.ReadAt(b, off) }

func TestFewReads(t *testing.T) {
	b, f := load(t, generate(t, "a.mp4", cat(lavfi("testsrc2=s=320x180:r=25:d=3"), lavfi("sine=d=3"), []string{"-c:v", "libx264", "-preset", "ultrafast", "-qp", "1"})...))
	c := &counter{Reader: bytes.NewReader(b)}
	if _, err := Read(context.Background(), c, int64(len(b)), f, Options{}); err != nil || c.reads > 2 {
		t.Errorf("%d reads of %d bytes, %v", c.reads, len(b), err)
	}
}

func TestTimecode(t *testing.T) {
	i := read(t, generate(t, "a.mov", cat(lavfi(src25), []string{"-c:v", "prores_ks", "-timecode", "01:02:03:04"})...), Options{})
	if len(i.Other) != 1 || i.Other[0].Type != "timecode" || i.Other[0].Tags["timecode"] != "01:02:03:04" || i.Video[0].Profile == "" || !i.Video[0].GOP.AllIntr {
		t.Errorf("%+v, %+v", i.Other, i.Video[0])
	}
}

func TestHDR10(t *testing.T) {
	for _, name := range []string{"hdr.mp4", "hdr.mkv"} {
		v := read(t, generate(t, name, cat(lavfi("testsrc2=s=160x96:r=25:d=0.4"), hdr10)...), Options{}).Video[0]
		h := v.HDR
		if h == nil || h.Format != "hdr10" || h.MaxLum.String() != "10000000/10000" || h.Primaries[0].X.String() != "34000/50000" || h.Primaries[1].Y.String() != "34500/50000" ||
			h.White.X.String() != "15635/50000" || h.Light == nil || h.Light.MaxCLL != 1000 || h.Light.MaxFALL != 400 {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

func TestTracksTagsAndTurns(t *testing.T) {
	dir := t.TempDir()
	meta := filepath.Join(dir, "m.txt")
	srt := filepath.Join(dir, "s.srt")
	os.WriteFile(meta, []byte(";FFMETADATA1\ntitle=A film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=1000\nEND=2000\ntitle=Two\n"), 0o600)
	os.WriteFile(srt, []byte("1\n00:00:00,000 --> 00:00:01,000\nhello\n"), 0o600)
	args := cat(lavfi(src25), lavfi("sine=d=2"), lavfi("sine=d=2"), []string{"-i", srt, "-i", meta, "-map", "0", "-map", "1", "-map", "2", "-map", "3",
		"-map_metadata", "4", "-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=fra", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"})
	for name, sub := range map[string]string{"a.mp4": "mov_text", "a.mkv": "subrip"} {
		i := read(t, generate(t, name, append(append([]string{}, args...), "-c:s", sub)...), Options{})
		if len(i.Audio) != 2 || i.Audio[0].Language != "deu" && i.Audio[0].Language != "ger" || i.Audio[1].Language == i.Audio[0].Language {
			t.Errorf("%s: audio %+v", name, i.Audio)
		}
		if len(i.Chapters) != 2 || i.Chapters[1].Title != "Two" || math.Abs(i.Chapters[1].Start-1) > 1e-9 || math.Abs(i.Chapters[1].End-2) > 1e-3 {
			t.Errorf("%s: chapters %+v", name, i.Chapters)
		}
		if len(i.Other) == 0 || i.Other[0].Type != "subtitle" || i.Other[0].Codec != sub || i.Tags["title"] != "A film" {
			t.Errorf("%s: other %+v, tags %v", name, i.Other, i.Tags)
		}
	}
	plain := generate(t, "p.mp4", cat(lavfi(src25), []string{"-c:v", "libx264", "-preset", "ultrafast"})...)
	for _, deg := range []int{90, 180, 270} {
		turned := generate(t, "r.mp4", "-i", plain, "-c", "copy", "-metadata:s:v", fmt.Sprintf("rotate=%d", deg))
		if v := read(t, turned, Options{}).Video[0]; v.Rotation != turnOf(t, turned) || v.Flip {
			t.Errorf("rotation %d read as %d, flip %v", deg, v.Rotation, v.Flip)
		}
	}
	if i := read(t, plain, Options{}); *i.FastStart || *i.Fragment || i.HasAudio() {
		t.Errorf("plain: %v %v", *i.FastStart, *i.Fragment)
	}
	cut := generate(t, "c.mp4", "-ss", "0.5", "-i", plain, "-c", "copy")
	compare(t, cut, "25/1")
	if v := read(t, cut, Options{}).Video[0]; !v.Timing.EditList {
		t.Error("a cut by edit list was not seen")
	}
}

// turnOf is ffprobe's rotation, which counts counter-clockwise, as ours.
func turnOf(t *testing.T, path string) int {
	side, _ := ffprobe(t, path).Streams[0]["side_data_list"].([]any)
	for _, d := range side {
		if m := d.(map[string]any); m["rotation"] != nil {
			return (720 - int(num(m["rotation"]))) % 360
		}
	}
	t.Fatal("ffprobe sees no rotation")
	return 0
}

func TestHostile(t *testing.T) {
	for _, name := range []string{"a.mp4", "a.mkv"} {
		b, f := load(t, generate(t, name, cat(lavfi("testsrc2=s=96x64:r=10:d=1"), []string{"-movflags", "+faststart"})[:4]...))
		for n := 0; n < len(b); n += len(b)/97 + 1 {
			_, err := Read(context.Background(), bytes.NewReader(b[:n]), int64(n), f, Options{Frames: true, Keys: true})
			if err != nil && !errs.Is(err, errs.Invalid) {
				t.Fatalf("%s cut to %d: %v", name, n, err)
			}
		}
		if _, err := Read(context.Background(), bytes.NewReader(b), int64(len(b)), f, Options{Frames: true, Limits: Limits{Samples: 3}}); !errs.Is(err, errs.TooLarge) {
			t.Errorf("%s over the limit: %v", name, err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := Read(ctx, bytes.NewReader(b), int64(len(b)), f, Options{}); !errs.Is(err, errs.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	}
	ts, _ := sniff.FormatByName("mpegts")
	if _, err := Read(context.Background(), strings.NewReader("x"), 1, ts, Options{}); !errs.Is(err, errs.Unsupported) {
		t.Errorf("mpegts: %v", err)
	}
}

func fuzz(f *testing.F, name, format string, args ...string) {
	b, kind := load(f, generate(f, name, args...))
	f.Add(b)
	_ = format
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := Read(context.Background(), bytes.NewReader(b), int64(len(b)), kind, Options{Frames: true, Keys: true})
		if k := errs.KindOf(err); err != nil && k != errs.Invalid && k != errs.TooLarge && k != errs.Unsupported {
			t.Fatalf("kind %s: %v", k, err)
		}
	})
}

var tiny = []string{"-f", "lavfi", "-i", "color=s=16x16:r=5:d=1", "-f", "lavfi", "-i", "sine=d=0.2", "-c:v", "libx264"}

func FuzzMP4(f *testing.F) { fuzz(f, "a.mp4", "mp4", tiny...) }
func FuzzFragment(f *testing.F) {
	fuzz(f, "a.mp4", "mp4", cat(tiny, []string{"-movflags", "frag_keyframe+empty_moov"})...)
}
func FuzzMatroska(f *testing.F) { fuzz(f, "a.mkv", "matroska", tiny...) }

func BenchmarkRead(b *testing.B) {
	data, f := load(b, generate(b, "a.mp4", cat(lavfi("testsrc2=s=160x96:r=30:d=60"), lavfi("sine=d=60"), []string{"-c:v", "libx264", "-preset", "ultrafast"})...))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(context.Background(), bytes.NewReader(data), int64(len(data)), f, Options{Keys: true}); err != nil {
			b.Fatal(err)
		}
	}
}
