package derive

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/sandbox"
	"github.com/mediafn/mediafn/tools/sniff"
)

var update = flag.Bool("update", false, "rewrite goldens")

func TestMain(m *testing.M) { fnrig.Main(m) }

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

// generate makes media outside the sandbox and returns its path.
func generate(t testing.TB, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-y"}, args...), path)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// ticker is six seconds of 29.97 fps with sound; B frames, a keyframe a second.
func ticker(t testing.TB, name string, more ...string) string {
	t.Helper()
	return generate(t, name, append([]string{
		"-f", "lavfi", "-i", "testsrc2=s=160x90:r=30000/1001:d=6", "-f", "lavfi", "-i", "sine=r=44100:d=6",
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "3", "-x264-params", "b-adapt=0", "-g", "30", "-pix_fmt", "yuv420p", "-c:a", "aac"}, more...)...)
}

// input is the file at path as the executor hands it over.
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

// run checks params and runs f on one input with two threads.
func run(t testing.TB, f fn.Function, in fn.Input, params string) (*fn.Result, error) {
	t.Helper()
	checked, err := f.Check(json.RawMessage(params), []media.Kind{in.Kind})
	if err != nil {
		return nil, err
	}
	return f.Run(context.Background(), &fn.Call{Trace: "t", Params: checked, Inputs: []fn.Input{in}, Dir: t.TempDir(), Threads: 2})
}

// golden compares got, rendered as JSON, with a file in testdata.
func golden(t *testing.T, name string, got any) {
	t.Helper()
	body, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(body, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(body)+"\n"); d != "" {
		t.Errorf("%s: (-want +got)\n%s", name, d)
	}
}
