package ffmpeg

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/tools/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.MaybeExec()
	goleak.VerifyTestMain(m)
}

func newTool(t testing.TB) *Tool {
	t.Helper()
	l, err := sandbox.New("", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	tool, err := New(l, Options{MaxMemory: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

// generate makes media outside the sandbox and returns its path.
func generate(t testing.TB, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.CommandContext(context.Background(), "ffmpeg", append(append([]string{"-v", "error", "-y"}, args...), path)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// clip is two seconds, 50 frames of 160x120 with sound.
func clip(t testing.TB, name string, more ...string) string {
	t.Helper()
	return generate(t, name, append([]string{
		"-f", "lavfi", "-i", "testsrc=s=160x120:r=25:d=2", "-f", "lavfi", "-i", "sine=r=48000:d=2",
		"-pix_fmt", "yuv420p", "-g", "10"}, more...)...)
}

func fileArgs(t testing.TB, in Input) []string {
	t.Helper()
	args, err := in.Args()
	if err != nil {
		t.Fatal(err)
	}
	return args
}

func write(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
