// Package e2e_test runs the real binaries as their users do: over HTTP, with
// real files, and with a SIGKILL now and then.
package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"
)

var (
	rounds  = flag.Int("chaos.rounds", 3, "rounds of TestChaos")
	tasks   = flag.Int("chaos.tasks", 60, "tasks of TestChaosOfMany")
	minutes = flag.Int("chaos.minutes", 10, "time TestChaosOfMany gives its tasks")
	logs    = flag.String("chaos.logs", "", "folder for what the processes of TestChaosOfMany say; empty = only the last is shown, of a failure")
	soak    = flag.Int("soak.minutes", 2, "length of the film of TestSoak")
	seed    = flag.Uint64("chaos.seed", 1, "what chance begins with; 0 = another one each time")
)

// bin is the folder of the binaries under test, clips that of generated media.
var bin, clips string

func TestMain(m *testing.M) {
	flag.Parse()
	wide := true
	flag.Visit(func(f *flag.Flag) { wide = wide && f.Name != "test.parallel" })
	if wide { // the tests wait for leases, claims and processes a third of their time
		_ = flag.Set("test.parallel", strconv.Itoa(runtime.GOMAXPROCS(0)+1))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mediafn-e2e-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		bin, clips = filepath.Join(dir, "bin"), filepath.Join(dir, "clips")
		err = build()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build makes the binaries as the Makefile does, mediafn with points to die at.
func build() error {
	if err := os.Mkdir(clips, 0o700); err != nil {
		return err
	}
	for _, b := range []struct{ cgo, tags, name string }{{"0", "failpoint", "mediafn"}, {"1", "", "mediafn-engine"}} {
		cmd := exec.Command("go", "build", "-buildvcs=false", "-tags", b.tags, "-o", filepath.Join(bin, b.name), "../cmd/"+b.name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+b.cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", b.name, err, out)
		}
	}
	return nil
}

// eventually waits until what returns nil. The limit only ends a test that has
// failed; nothing is asserted about how long something takes.
func eventually(t *testing.T, limit time.Duration, what func() error) {
	t.Helper()
	if err := within(limit, what); err != nil {
		t.Fatalf("still after %s: %v", limit, err)
	}
}

func within(limit time.Duration, what func() error) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	over := time.After(limit)
	for {
		err := what()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-over:
			return err
		}
	}
}
