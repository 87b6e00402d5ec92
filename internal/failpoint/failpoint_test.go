package failpoint_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const program = `package main

import (
	"fmt"

	"github.com/mediafn/mediafn/internal/failpoint"
)

func main() {
	for i := range 3 {
		failpoint.Reached("here")
		failpoint.Reached("there")
		fmt.Print(i)
	}
}
`

// TestReached builds a program both ways: an ordinary build never dies, one with
// the tag dies at the point and at no other.
func TestReached(t *testing.T) {
	dir, err := os.MkdirTemp(".", "testdata-") // inside the module: the package is internal
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tags, point, out string
		dies             bool
	}{
		{"", "here", "012", false}, {"failpoint", "here", "", true}, {"failpoint", "there:2", "01", true},
		{"failpoint", "nowhere", "012", false}, {"failpoint", "", "012", false},
	} {
		bin := filepath.Join(t.TempDir(), "p")
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", c.tags, "-o", bin, "./"+dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		cmd := exec.CommandContext(t.Context(), bin)
		cmd.Env = append(os.Environ(), "MEDIAFN_FAILPOINT="+c.point)
		out, err := cmd.Output()
		var exit *exec.ExitError
		died := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
		if died != c.dies || string(out) != c.out {
			t.Errorf("%+v: died %v, printed %q, %v", c, died, out, err)
		}
	}
}
