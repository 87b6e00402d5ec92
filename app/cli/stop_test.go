package cli

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStop interrupts a run in the middle of its work: it ends at once, and
// nothing is left.
func TestStop(t *testing.T) {
	dir := t.TempDir()
	temp, out := filepath.Join(dir, "tmp"), filepath.Join(dir, "out")
	for _, d := range []string{temp, out} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	film := filepath.Join(dir, "film.mp4")
	if err := makeClip(film, "20"); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Slow enough to take minutes if it is not stopped.
	cmd := exec.CommandContext(t.Context(), self, "run", "video.transcode", "-i", film, "-o", filepath.Join(out, "new", "x.mp4"),
		"-p", "width=1920", "-p", "preset=veryslow", "--temp", temp)
	cmd.Args[0] = "mediafn" // which makes the test binary be it
	cmd.WaitDelay = time.Minute
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if lines.Text() == "Whole: running" {
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // its exit code says it
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(said.String(), "mediafn: run: stopped; nothing is left") {
		t.Errorf("exit code %d:\n%s", code, said.String())
	}
	if strings.Contains(said.String(), "Whole: succeeded") {
		t.Error("it was done before it was stopped: the test shows nothing")
	}
	for _, d := range []string{temp, out} {
		if left, err := listing(d); err != nil || len(left) > 0 {
			t.Errorf("%s holds %v %v", d, left, err)
		}
	}
}
