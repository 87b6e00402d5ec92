package assemble

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/sandbox"
	"github.com/mediafn/mediafn/tools/sniff"
)

func TestMain(m *testing.M) {
	sandbox.MaybeExec()
	goleak.VerifyTestMain(m)
}

func newTool(t testing.TB) *ffmpeg.Tool {
	t.Helper()
	l, err := sandbox.New("", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	tool, err := ffmpeg.New(l, ffmpeg.Options{MaxMemory: 2 << 30})
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

// bench is a test's workplace.
type bench struct {
	*testing.T
	ff  *ffmpeg.Tool
	dir string
	url string // inputs are read from here instead of from disk, if set
}

func newBench(t *testing.T) *bench { return &bench{T: t, ff: newTool(t), dir: t.TempDir()} }

// run is plain ffmpeg, for making media.
func (b *bench) run(args ...string) {
	b.Helper()
	args = append([]string{"-hide_banner", "-nostdin", "-v", "error", "-y"}, args...)
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		b.Fatalf("ffmpeg %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// input opens a file as an executor would.
func (b *bench) input(slot, path string) fn.Input {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	st, _ := f.Stat()
	head := make([]byte, min(sniff.HeadSize, st.Size()))
	if _, err := f.ReadAt(head, 0); err != nil {
		b.Fatal(err)
	}
	format, err := sniff.Sniff(head, st.Size())
	if err != nil {
		b.Fatal(err)
	}
	in := fn.Input{Slot: slot, Kind: format.Kind, Format: format.Name, Demuxer: format.Demuxer, Size: st.Size(), Location: path, Data: f}
	if b.url != "" && strings.HasPrefix(path, b.dir) {
		u, _ := url.Parse(b.url)
		port, _ := strconv.ParseUint(u.Port(), 10, 16)
		in.Location, in.Port = b.url+strings.TrimPrefix(path, b.dir), uint16(port)
	}
	return in
}

func (b *bench) facts(path string) *media.Info { return b.look(path, source.Want{Keys: true}) }

func (b *bench) look(path string, want source.Want) *media.Info {
	b.Helper()
	in := b.input("source", path)
	info, err := source.Facts(b.Context(), b.ff, nil, &in, want)
	if err != nil {
		b.Fatal(err)
	}
	return info
}

// call runs a function in a fresh directory.
func (b *bench) call(f fn.Function, params string, inputs ...fn.Input) (*fn.Result, error) {
	b.Helper()
	kinds := make([]media.Kind, len(inputs))
	for i := range inputs {
		kinds[i] = inputs[i].Kind
	}
	p, err := f.Check(json.RawMessage(params), kinds)
	if err != nil {
		b.Fatal(err)
	}
	return f.Run(b.Context(), &fn.Call{Trace: "t", Params: p, Inputs: inputs, Dir: b.TempDir(), Threads: 1})
}

// work is a sliced run up to the merge.
type work struct {
	source string
	plan   slice.Plan
	slices []string
	sound  string
}

var x264 = []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-crf", "30"}

// slice plans and cuts the source into four, and encodes pieces and sound.
func (b *bench) slice(src string, a fn.Assembly, codec []string) *work {
	b.Helper()
	info := b.facts(src)
	plan := func() slice.Plan {
		return slice.Document(slice.Request{Source: info, Spec: fn.Slicing{Mode: fn.Independent},
			Price: fn.Price{CPUSeconds: info.Duration, Cores: 1}, Assembly: a, Mode: slice.Force, Workers: 4})
	}
	w := &work{source: src, plan: plan()}
	if w.plan.Code == slice.NoKeyframes { // Matroska at a variable rate: cues alone do not tell
		info = b.look(src, source.Want{Frames: true})
		w.plan = plan()
	}
	if !w.plan.Sliced {
		b.Fatalf("%s", w.plan.Reason)
	}
	for _, p := range w.plan.Segments {
		w.slices = append(w.slices, b.cut(w, info, p, codec, ""))
	}
	if w.plan.Sound != nil {
		w.sound = b.path("sound.m4a")
		b.run("-copyts", "-i", src, "-vn", "-map", "0:a", "-c:a", "aac", "-avoid_negative_ts", "disabled", "-movie_timescale", "48000", w.sound)
	}
	return w
}

// cut encodes one part as a function does.
func (b *bench) cut(w *work, info *media.Info, p fn.Part, codec []string, suffix string, more ...string) string {
	b.Helper()
	out := b.path(fmt.Sprintf("slice%03d%s.mp4", p.Order, suffix))
	args := []string{"-ss", fmt.Sprintf("%.6f", p.TimeBase.Seconds(p.Start)-info.StartTime), "-i", w.source, "-map", "0:v:0", "-an", "-sn",
		"-map_chapters", "-1", "-vsync", "passthrough", "-enc_time_base", "-1", "-threads", "1"}
	args = append(append(args, codec...), more...)
	b.run(append(args, "-frames:v", fmt.Sprint(p.Frames), "-video_track_timescale", fmt.Sprint(p.Scale), "-movflags", "+faststart", out)...)
	return out
}

func (b *bench) document(w *work) fn.Input {
	raw, err := json.Marshal(w.plan)
	if err != nil {
		b.Fatal(err)
	}
	return fn.Input{Slot: "plan", Kind: media.Text, Doc: raw}
}

// merge runs assemble.merge.
func (b *bench) merge(w *work) (string, MergeFacts) {
	b.Helper()
	var inputs []fn.Input
	for _, s := range w.slices {
		inputs = append(inputs, b.input("slices", s))
	}
	if w.sound != "" {
		inputs = append(inputs, b.input("sound", w.sound))
	}
	inputs = append(inputs, b.input("source", w.source), b.document(w))
	res, err := b.call(Merge(b.ff), "", inputs...)
	if err != nil {
		b.Fatal(err)
	}
	var facts MergeFacts
	if err := json.Unmarshal(res.Facts, &facts); err != nil {
		b.Fatal(err)
	}
	return res.Outputs[0].Path, facts
}

// certify runs assemble.certify.
func (b *bench) certify(w *work, result string) slice.Certificate {
	b.Helper()
	res, err := b.call(Certify(b.ff), "", b.input("result", result), b.input("source", w.source), b.document(w))
	if err != nil {
		b.Fatal(err)
	}
	var c slice.Certificate
	if err := json.Unmarshal(res.Facts, &c); err != nil {
		b.Fatal(err)
	}
	return c
}

// text lists the checks for a failure's message.
func text(c slice.Certificate) string {
	var s strings.Builder
	for _, k := range c.Checks {
		fmt.Fprintf(&s, "%-22s %-5v want %s got %s (%s)\n", k.Name, k.OK, k.Want, k.Got, k.Detail)
	}
	return s.String()
}

// clip makes a source of seven seconds with sound that changes all the time.
func (b *bench) clip(name, rate, filter string, more ...string) string {
	b.Helper()
	out := b.path(name)
	args := []string{"-f", "lavfi", "-i", "mandelbrot=s=160x90:end_scale=0.01:maxiter=300:rate=" + rate, "-f", "lavfi", "-i", "aevalsrc=sin(440*2*PI*t*(1+t/9)):s=48000", "-t", "7"}
	if filter != "" {
		args = append(args, "-vf", filter)
	}
	args = append(args, "-vsync", "passthrough", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "20", "-pix_fmt", "yuv420p", "-c:a", "aac")
	b.run(append(append(args, more...), out)...)
	return out
}

// turn marks a file as lying on its side; it returns another file.
func (b *bench) turn(path, degrees string) string {
	b.Helper()
	out := strings.TrimSuffix(path, ".mp4") + "-" + degrees + ".mp4"
	b.run("-i", path, "-c", "copy", "-video_track_timescale", "12800", "-metadata:s:v", "rotate="+degrees, out)
	return out
}
