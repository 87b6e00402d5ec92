package inspect

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/sandbox"
	"github.com/mediafn/mediafn/tools/sniff"
)

func TestMain(m *testing.M) { fnrig.Main(m) }

func newTool(t testing.TB) *ffmpeg.Tool {
	t.Helper()
	l, err := sandbox.New("", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	tool, err := ffmpeg.New(l, ffmpeg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

func generate(t testing.TB, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-y"}, args...), path)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// clip is two seconds of 25 fps with a keyframe every ten frames, and sound.
func clip(t testing.TB, name string, more ...string) string {
	t.Helper()
	return generate(t, name, append([]string{"-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=2", "-f", "lavfi", "-i", "sine=r=48000:d=2",
		"-c:v", "libx264", "-preset", "veryfast", "-x264-params", "scenecut=0", "-g", "10", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2"}, more...)...)
}

func input(t testing.TB, path string) fn.Input {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	head, _ := io.ReadAll(io.NewSectionReader(f, 0, sniff.HeadSize))
	format, err := sniff.Sniff(head, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	return fn.Input{Slot: "source", Kind: format.Kind, Format: format.Name, Demuxer: format.Demuxer, Size: st.Size(), Location: path, Data: f}
}

func probe(t testing.TB, f fn.Function, in fn.Input, params string) (ProbeFacts, error) {
	t.Helper()
	var facts ProbeFacts
	checked, err := f.Check(json.RawMessage(params), []media.Kind{in.Kind})
	if err != nil {
		return facts, err
	}
	res, err := f.Run(context.Background(), &fn.Call{Params: checked, Inputs: []fn.Input{in}, Dir: t.TempDir(), Threads: 1})
	if err != nil {
		return facts, err
	}
	if err := json.Unmarshal(res.Facts, &facts); err != nil {
		t.Fatal(err)
	}
	return facts, nil
}

// Every container gives the same answers to what they all can tell.
func TestProbeContainers(t *testing.T) {
	f := Probe(newTool(t), nil)
	mp4 := clip(t, "a.mp4")
	for _, name := range []string{"a.mp4", "a.mkv", "a.ts", "a.flv", "a.mov"} {
		path := mp4
		if name != "a.mp4" {
			path = generate(t, name, "-i", mp4, "-c", "copy")
		}
		for _, level := range []string{"stream", "gop", "frame"} {
			p, err := probe(t, f, input(t, path), `{"count":true,"level":"`+level+`"}`)
			if err != nil {
				t.Fatalf("%s %s: %v\n%s", name, level, err, errs.TailOf(err))
			}
			v := p.MainVideo()
			if v == nil || v.Codec != "h264" || v.Width != 160 || p.DisplayHeight != 90 || !p.HasVideo || !p.HasAudio || p.ResolutionClass != "480" {
				t.Fatalf("%s %s: %+v", name, level, p)
			}
			if p.Audio[0].Codec != "aac" || p.Audio[0].Channels != 2 || p.Audio[0].SampleRate != 48000 {
				t.Errorf("%s %s: %+v", name, level, p.Audio[0])
			}
			if p.Duration < 1.9 || p.Duration > 2.1 {
				t.Errorf("%s %s: %v s", name, level, p.Duration)
			}
			if level == "stream" {
				continue
			}
			if v.GOP == nil || len(v.GOP.Keys) != 5 || v.GOP.MaxLen != 10 || v.Timing == nil || v.Timing.Repeated != 0 {
				t.Errorf("%s %s: %+v %+v", name, level, v.GOP, v.Timing)
			}
			if n := len(v.FrameList); level == "frame" && n != 50 || level == "gop" && n != 0 {
				t.Errorf("%s %s: %d frames listed", name, level, n)
			}
		}
	}
}

func TestProbeDecode(t *testing.T) {
	f := Probe(newTool(t), nil)
	p, err := probe(t, f, input(t, clip(t, "a.mp4", "-bf", "2")), `{"level":"frame","decode":true}`)
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.TailOf(err))
	}
	count := map[string]int{}
	for _, fr := range p.MainVideo().FrameList {
		count[fr.Type]++
	}
	if count["I"] != 5 || count["B"] == 0 || count["P"] == 0 || count[""] != 0 {
		t.Errorf("types: %v", count)
	}
}

// An index names the entry points of Matroska; only counting tells the rest.
func TestProbeIndex(t *testing.T) {
	p, err := probe(t, Probe(newTool(t), nil), input(t, generate(t, "a.mkv", "-i", clip(t, "a.mp4"), "-c", "copy")), `{"level":"gop"}`)
	if err != nil {
		t.Fatal(err)
	}
	if v := p.MainVideo(); v.GOP == nil || len(v.GOP.Keys) == 0 || v.GOP.Keys[0].Frame != -1 || v.Timing != nil || v.VFR != nil || v.Frames != 0 || v.GOP.MaxLen != 0 {
		t.Errorf("%+v %+v", v, v.GOP)
	}
}

// Rotation, aspect and a rate that varies.
func TestProbeOddities(t *testing.T) {
	f := Probe(newTool(t), nil)
	p, err := probe(t, f, input(t, clip(t, "a.mp4", "-vf", "setsar=2")), `{}`)
	if err != nil || p.DisplayWidth != 320 || p.DisplayHeight != 90 {
		t.Errorf("aspect: %d×%d %v", p.DisplayWidth, p.DisplayHeight, err)
	}
	vfr := clip(t, "v.mkv", "-vf", "select='not(mod(n,7))+not(mod(n,3))'", "-fps_mode", "passthrough")
	if p, err = probe(t, f, input(t, vfr), `{"level":"gop","count":true}`); err != nil || p.MainVideo().VFR == nil || !*p.MainVideo().VFR {
		t.Errorf("varying rate: %+v %v", p.MainVideo(), err)
	}
	if p, err = probe(t, f, input(t, generate(t, "s.mp3", "-f", "lavfi", "-i", "sine=d=1")), `{}`); err != nil || p.HasVideo || !p.HasAudio || p.Audio[0].Codec != "mp3" {
		t.Errorf("sound: %+v %v", p, err)
	}
}

func TestProbeRefuses(t *testing.T) {
	ff := newTool(t)
	broken := filepath.Join(t.TempDir(), "b.mp4")
	whole, err := os.ReadFile(clip(t, "a.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := probe(t, Probe(ff, nil), input(t, broken), `{}`); !errs.Is(err, errs.Invalid) {
		t.Errorf("half a file: %v", err)
	}
	if _, err := probe(t, Probe(ff, nil), input(t, clip(t, "c.mp4")), `{"level":"deep"}`); errs.FieldOf(err) != "params.level" {
		t.Errorf("level: %v", err)
	}
	png := generate(t, "p.png", "-f", "lavfi", "-i", "testsrc=s=8x8", "-frames:v", "1")
	if _, err := probe(t, Probe(ff, nil), input(t, png), `{}`); !errs.Is(err, errs.Unsupported) || !strings.Contains(err.Error(), "engine") {
		t.Errorf("an image without the engine: %v", err)
	}
}
