package inspect

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// made says how ffmpeg makes one file of the table: its arguments, after which
// it is copied into a file of that name where copy is set.
type made struct {
	name string
	args []string
	copy []string
}

func lavfi(graph string) []string { return []string{"-f", "lavfi", "-i", graph} }

func with(parts ...[]string) (all []string) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

var (
	picture = lavfi("testsrc2=s=160x96:r=25:d=1")
	sound   = lavfi("sine=r=44100:d=1")
	still   = with(lavfi("testsrc=s=64x48"), []string{"-frames:v", "1"})
	x264    = []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "10", "-pix_fmt", "yuv420p"}
	vary    = []string{"-vf", "select='not(mod(n,3))+not(mod(n,5))'", "-fps_mode", "passthrough"}
	fields  = []string{"-vf", "tinterlace=interleave_top,fieldorder=tff", "-flags", "+ildct+ilme"}
	hdr10   = []string{"-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1", "-x265-params",
		"log-level=error:keyint=10:hdr10=1:repeat-headers=0:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:max-cll=1000,400:" +
			"master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"}
)

var table = []made{
	{name: "av.mp4", args: with(picture, sound, x264)},
	{name: "av.mov", args: with(picture, sound, x264, []string{"-c:a", "pcm_s16le"})},
	{name: "av.mkv", args: with(picture, sound, x264)},
	{name: "vp8.webm", args: with(picture, sound, []string{"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"})},
	{name: "av.ts", args: with(picture, sound, x264)},
	{name: "av.flv", args: with(picture, sound, x264)},
	{name: "av.avi", args: with(picture, sound, []string{"-c:v", "mpeg4"})},
	{name: "s.mp3", args: sound},
	{name: "s.wav", args: sound},
	{name: "s.ogg", args: sound},
	{name: "s.flac", args: sound},
	{name: "turned.mp4", args: with(picture, x264), copy: []string{"-metadata:s:v", "rotate=90"}},
	{name: "wide.mp4", args: with(picture, []string{"-vf", "setsar=4/3"}, x264)},
	{name: "vary.mp4", args: with(picture, vary, x264)},
	{name: "vary.mkv", args: with(picture, vary, x264)},
	{name: "late.mp4", args: with(picture, []string{"-itsoffset", "0.5"}, sound, x264)},
	{name: "negative.mp4", args: with(picture, sound, x264), copy: []string{"-output_ts_offset", "-0.2", "-avoid_negative_ts", "disabled"}},
	{name: "cut.mp4", args: with(lavfi("testsrc2=s=160x96:r=25:d=2"), x264, []string{"-force_key_frames", "0"}), copy: []string{"-ss", "0.5"}},
	{name: "hdr.mp4", args: with(picture, hdr10)},
	{name: "hdr.mkv", args: with(picture, hdr10)},
	{name: "fields.mkv", args: with(lavfi("testsrc2=s=160x96:r=50:d=1"), x264, fields)},
	{name: "fields.mp4", args: with(lavfi("testsrc2=s=160x96:r=50:d=1"), x264, fields)},
	{name: "fields.ts", args: with(lavfi("testsrc2=s=160x96:r=50:d=1"), x264, fields)},
}

// TestAgainstFFprobe holds what inspect.probe says of each file, keyframes
// included, against FFmpeg's own reading of every packet.
func TestAgainstFFprobe(t *testing.T) {
	ff := newTool(t)
	f := Probe(ff, nil)
	for _, m := range table {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			path := generate(t, m.name, m.args...)
			if m.copy != nil { // -ss is the input's
				args := with([]string{"-i", path, "-c", "copy"}, m.copy)
				if m.copy[0] == "-ss" {
					args = with(m.copy, []string{"-i", path, "-c", "copy"})
				}
				path = generate(t, m.name, args...)
			}
			in := input(t, path)
			got, err := probe(t, f, in, `{"level":"gop","count":true}`)
			if err != nil {
				t.Fatal(err)
			}
			want, err := ff.Probe(context.Background(), ffmpeg.Input{Path: path, Demuxer: in.Demuxer}, ffmpeg.ProbeOptions{Packets: true, Format: in.Format})
			if err != nil {
				t.Fatal(err)
			}
			hidden := m.name == "cut.mp4" || m.name == "negative.mp4"
			if hidden { // we count the entry through a keyframe that is not shown, ffprobe does not
				got.Video[0].GOP = nil
			}
			agree(t, got.Info, want)
			for i := range got.Video { // what slicing needs
				if v := &got.Video[i]; m.name != "av.avi" && !hidden && (v.GOP == nil || v.Timing == nil || v.GOP.Count != len(v.GOP.Keys) || v.GOP.Keys[0].Frame != 0) {
					t.Errorf("entries without frame numbers: %+v %+v", v.GOP, v.Timing)
				}
			}
		})
	}
}

// agree compares what both readers say. Silence on one side is agreement.
func agree(t *testing.T, got, want *media.Info) {
	t.Helper()
	same := func(what string, a, b any) {
		t.Helper()
		if x, y := fmt.Sprint(a), fmt.Sprint(b); x != y && y != "" && y != "0" && y != "0/0" {
			t.Errorf("%s: %v, ffprobe says %v", what, a, b)
		}
	}
	near := func(what string, a, b, by float64) {
		t.Helper()
		if math.Abs(a-b) > by {
			t.Errorf("%s: %v, ffprobe says %v", what, a, b)
		}
	}
	same("kind", got.Kind, want.Kind)
	same("tracks", fmt.Sprint(len(got.Video), len(got.Audio), len(got.Other)), fmt.Sprint(len(want.Video), len(want.Audio), len(want.Other)))
	near("duration", got.Duration, want.Duration, 0.03)
	near("start", got.StartTime, want.StartTime, 0.0011)
	for i := range min(len(got.Video), len(want.Video)) {
		a, b := got.Video[i], want.Video[i]
		same("index", a.Index, b.Index)
		same("codec", a.Codec, b.Codec)
		same("profile", a.Profile, b.Profile)
		same("size", fmt.Sprint(a.Width, a.Height), fmt.Sprint(b.Width, b.Height))
		same("aspect", a.SAR, b.SAR)
		same("rotation", a.Rotation, b.Rotation)
		same("pixels", a.PixelFormat, b.PixelFormat)
		same("fields", a.FieldOrder, b.FieldOrder)
		same("colour", a.Color, b.Color)
		same("time base", a.TimeBase, b.TimeBase)
		same("rate", a.FrameRate, b.FrameRate)
		same("frames", a.Frames, b.Frames)
		near("start of the picture", a.StartTime, b.StartTime, 0.0011)
		if (a.HDR == nil) != (b.HDR == nil) || a.HDR != nil && (a.HDR.Format != b.HDR.Format || a.HDR.MaxLum.Float() != b.HDR.MaxLum.Float() || fmt.Sprint(a.HDR.Light) != fmt.Sprint(b.HDR.Light)) {
			t.Errorf("HDR: %+v, ffprobe says %+v", a.HDR, b.HDR)
		}
		if a.VFR != nil && b.VFR != nil {
			same("variable", *a.VFR, *b.VFR)
		}
		if a.GOP != nil && b.GOP != nil {
			same("GOPs", fmt.Sprint(a.GOP.Count, a.GOP.MinLen, a.GOP.MaxLen), fmt.Sprint(b.GOP.Count, b.GOP.MinLen, b.GOP.MaxLen))
		}
	}
	for i := range min(len(got.Audio), len(want.Audio)) {
		a, b := got.Audio[i], want.Audio[i]
		same("sound codec", a.Codec, b.Codec)
		same("sound profile", a.Profile, b.Profile)
		same("sound rate", a.SampleRate, b.SampleRate)
		same("channels", a.Channels, b.Channels)
		same("layout", a.Layout, b.Layout)
		near("start of the sound", a.StartTime, b.StartTime, 0.0011)
		if b.Duration > 0 {
			near("length of the sound", a.Duration, b.Duration, 0.03)
		}
	}
}

// Images are the engine's; ffprobe agrees on what it knows of them.
func TestImagesAgainstFFprobe(t *testing.T) {
	ff := newTool(t)
	f := Probe(ff, newPool(t))
	for name, args := range map[string][]string{
		"a.jpg": still, "a.png": with(still, []string{"-pix_fmt", "rgba"}), "a.webp": still, "a.gif": lavfi("testsrc=s=64x48:r=5:d=1"),
		"a.avif": with(still, []string{"-c:v", "libaom-av1", "-still-picture", "1", "-cpu-used", "8"}), "a.tiff": still, "a.bmp": still,
	} {
		path := generate(t, name, args...)
		in := input(t, path)
		got, err := probe(t, f, in, `{}`)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		size, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0", path).Output()
		if want := fmt.Sprintf("%d,%d\n", got.Image.Width, got.Image.Height); err != nil || string(size) != want && name != "a.avif" || got.Image.Width != 64 {
			t.Errorf("%s: %q, ffprobe says %q %v", name, want, size, err)
		}
		if got.Kind != media.Image || got.Mime == "" || got.Image.HasAlpha != (name == "a.png" || name == "a.gif" && got.Image.HasAlpha) || name == "a.gif" && got.Image.Pages != 5 {
			t.Errorf("%s: %s %+v", name, got.Mime, got.Image)
		}
	}
}

func seconds(f func()) float64 {
	start := time.Now()
	f()
	return time.Since(start).Seconds()
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// BenchmarkFacts takes the facts of a 60 s 1080p MP4 of about 63 MB and of the
// same as Matroska, and prints how many times faster than ffprobe that is.
func BenchmarkFacts(b *testing.B) {
	short := generate(b, "s.mp4", with(lavfi("testsrc2=s=1920x1080:r=30:d=2,noise=alls=14:allf=t"), lavfi("sine=d=2"),
		[]string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-b:v", "8.4M", "-maxrate", "8.6M", "-bufsize", "4M", "-pix_fmt", "yuv420p"})...)
	f := Probe(newTool(b), nil)
	for _, name := range []string{"long.mp4", "long.mkv"} {
		long := generate(b, name, "-stream_loop", "29", "-i", short, "-c", "copy")
		if st, err := os.Stat(long); err != nil || st.Size() < 55<<20 || st.Size() > 75<<20 {
			b.Fatalf("%v %v", st, err)
		}
		in := input(b, long)
		for _, level := range []string{"stream", "gop"} {
			b.Run(name+"/"+level, func(b *testing.B) {
				var ours, theirs []float64
				for b.Loop() {
					ours = append(ours, seconds(func() {
						if _, err := probe(b, f, in, `{"level":"`+level+`"}`); err != nil {
							b.Fatal(err)
						}
					}))
					if len(theirs) < 20 {
						theirs = append(theirs, seconds(func() {
							if err := exec.Command("ffprobe", "-v", "error", "-show_format", "-show_streams", long).Run(); err != nil {
								b.Fatal(err)
							}
						}))
					}
				}
				b.ReportMetric(median(ours)*1000, "p50-ms")
				b.ReportMetric(median(theirs)/median(ours), "x-ffprobe")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
