package video

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

var update = flag.Bool("update", false, "rewrite goldens")

func TestMain(m *testing.M) { fnrig.Main(m) }

// clip is small h264 with sound.
func clip(t testing.TB, name string, more ...string) string {
	t.Helper()
	return fnrig.Shared(t, name, append([]string{"-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=2", "-f", "lavfi", "-i", "sine=r=44100:d=2",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "12", "-c:a", "aac"}, more...)...)
}

// golden compares text with testdata/name.golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s:\nwant %s\ngot  %s", name, want, got)
	}
}

// argvText is an order's command line, an option a line.
func argvText(t *testing.T, o render.Order) string {
	t.Helper()
	args, err := o.Argv(ffmpeg.Input{Path: "/in/source", Demuxer: "mov"}, "/scratch")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i, a := range args {
		switch {
		case i == 0:
		case strings.HasPrefix(a, "-") && len(a) > 1 && (a[1] < '0' || a[1] > '9'), strings.HasPrefix(a, "file:/scratch"):
			b.WriteByte('\n')
		default:
			b.WriteByte(' ')
		}
		b.WriteString(a)
	}
	return b.String() + "\n"
}

// source is what the goldens are planned for: 1080p, 29.97 fps, with sound.
func source1080() *media.Info {
	no := false
	return &media.Info{Kind: media.Video, Format: "mp4", Duration: 120,
		Video: []media.VideoStream{{Index: 0, Codec: "h264", Width: 1920, Height: 1080, PixelFormat: "yuv420p", BitDepth: 8, FieldOrder: "progressive",
			SAR: media.Rational{Num: 1, Den: 1}, TimeBase: media.Rational{Num: 1, Den: 30000}, FrameRate: media.Rational{Num: 30000, Den: 1001},
			AvgRate: media.Rational{Num: 30000, Den: 1001}, VFR: &no, Frames: 3596,
			Color: media.Color{Range: "tv", Primaries: "bt709", Transfer: "bt709", Matrix: "bt709"}}},
		Audio: []media.AudioStream{{Index: 1, Codec: "aac", SampleRate: 48000, Channels: 2}}}
}

// hashes are the MD5 sums of a file's decoded pictures, in order.
func hashes(t testing.TB, path string) []string {
	t.Helper()
	return fnrig.Decoded(t, path).Sums
}

// times are the timestamps in seconds of a file's pictures, as decoded, in order.
func times(t testing.TB, path string) []float64 {
	t.Helper()
	return fnrig.Decoded(t, path).At
}

// heard are the timestamps in seconds of a file's sound frames, in order.
func heard(t testing.TB, path string) []float64 {
	t.Helper()
	return fnrig.Once("heard", path, func() (all []float64) {
		for _, l := range strings.Fields(fnrig.Shell(t, "ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries", "frame=best_effort_timestamp_time", "-of", "csv=p=0", path)) {
			if f, err := strconv.ParseFloat(strings.Trim(l, ","), 64); err == nil {
				all = append(all, f)
			}
		}
		return all
	})
}

// cut makes parts of a probed source at every n-th keyframe.
func cut(t testing.TB, info *media.Info, n int) []fn.Part {
	t.Helper()
	v := info.MainVideo()
	if v.GOP == nil || len(v.GOP.Keys) < 2*n {
		t.Fatalf("%d keyframes", len(v.GOP.Keys))
	}
	var parts []fn.Part
	for i := 0; i < len(v.GOP.Keys); i += n {
		k := v.GOP.Keys[i]
		p := fn.Part{Stream: fn.Pictures, Order: len(parts), TimeBase: v.TimeBase, Start: k.PTS, Entry: k.PTS, Scale: 90000,
			Frames: v.Frames - k.Frame, End: v.Timing.LastPTS + max(v.Timing.LastDur, 1)}
		if i+n < len(v.GOP.Keys) {
			p.Frames, p.End = v.GOP.Keys[i+n].Frame-k.Frame, v.GOP.Keys[i+n].PTS
		}
		parts = append(parts, p)
	}
	for i := range parts {
		parts[i].Of = len(parts)
	}
	return parts
}

func near(a, b, by float64) bool { return math.Abs(a-b) <= by }

// extents is the smallest rectangle that holds all pixels brighter than limit
// in one gray picture of a file.
func extents(t testing.TB, path string, w, h int, at float64, limit byte) (x0, y0, x1, y1, n int) {
	t.Helper()
	raw := []byte(fnrig.Shell(t, "ffmpeg", "-v", "error", "-ss", fmt.Sprint(at), "-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"))
	if len(raw) != w*h {
		t.Fatalf("%d bytes for %dx%d", len(raw), w, h)
	}
	x0, y0 = w, h
	for i, b := range raw {
		if b > limit {
			n++
			x0, x1, y0, y1 = min(x0, i%w), max(x1, i%w), min(y0, i/w), max(y1, i/w)
		}
	}
	return x0, y0, x1, y1, n
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// marks is what ffmpeg says of frames a filter shows it: their times, and the
// value of a field.
var marks = regexp.MustCompile(`pts_time:(\S+)(?:.* mean:\[(\d+)\])?`)

// onset is the second, on the file's own time line, where the sound is first
// loud: the first sound frame's time and the samples decoded before.
func onset(t testing.TB, path string) float64 {
	t.Helper()
	return fnrig.Once("onset", path, func() float64 {
		var said bytes.Buffer
		cmd := exec.Command("ffmpeg", "-v", "info", "-copyts", "-i", path, "-map", "0:a:0", "-af", "ashowinfo", "-ar", "48000", "-ac", "1", "-f", "s16le", "-")
		cmd.Stderr = &said
		raw, err := cmd.Output()
		first := marks.FindStringSubmatch(said.String())
		if err != nil || first == nil {
			t.Fatalf("%s: %v\n%s", path, err, &said)
		}
		for i := 0; i+1 < len(raw); i += 2 {
			if v := int16(uint16(raw[i]) | uint16(raw[i+1])<<8); v > 6000 || v < -6000 {
				return seconds(t, first[1]) + float64(i/2)/48000
			}
		}
		t.Fatalf("%s is silent", path)
		return 0
	})
}

// flash is the second where pictures turn white.
func flash(t testing.TB, path string) float64 {
	t.Helper()
	return fnrig.Once("flash", path, func() float64 {
		said := fnrig.Said(t, "ffmpeg", "-v", "info", "-copyts", "-i", path, "-map", "0:v:0", "-vsync", "passthrough", "-vf", "scale=1:1:flags=area,format=gray,showinfo", "-f", "null", "-")
		for _, m := range marks.FindAllStringSubmatch(said, -1) {
			if luma, err := strconv.Atoi(m[2]); err == nil && luma > 128 {
				return seconds(t, m[1])
			}
		}
		t.Fatalf("%s stays black\n%s", path, said)
		return 0
	})
}

func seconds(t testing.TB, text string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
