package fntest

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// patience is how long a canceled call may take to return. It is no figure of
// merit: only a call that does not stop at all runs into it.
const patience = 30 * time.Second

// cancel stops a call before it starts, and one on its way, as soon as it has
// started a process that works in its directory.
func (s Suite) cancel(t *testing.T) {
	c := s.Cases[0]
	for _, other := range s.Cases {
		if s.Slow != "" && other.Name == s.Slow {
			c = other
		}
	}
	t.Run("before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Call(ctx, t, c, t.TempDir()); err != nil && !errs.Is(err, errs.Canceled) {
			t.Errorf("kind %s: %v", errs.KindOf(err), err)
		}
	})
	t.Run("during", func(t *testing.T) {
		root := t.TempDir()
		dir := filepath.Join(root, "scratch")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() {
			_, err := s.Call(ctx, t, c, dir)
			done <- err
		}()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for running := true; running; {
			select {
			case err := <-done:
				done <- err
				running = false
			case <-tick.C:
				running = len(users(dir)) == 0
			}
		}
		cancel()
		select {
		case err := <-done:
			if err != nil && !errs.Is(err, errs.Canceled) {
				t.Errorf("kind %s: %v", errs.KindOf(err), err)
			}
		case <-time.After(patience):
			t.Fatal("does not stop")
		}
		if left := users(dir); len(left) > 0 {
			t.Errorf("processes left behind: %v", left)
		}
		entries, err := os.ReadDir(root)
		if err != nil || len(entries) != 1 {
			t.Errorf("files outside the call's directory: %v %v", entries, err)
		}
	})
}

// users lists the processes that work in dir or name it on their command line.
func users(dir string) []string {
	var found []string
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		pid, _ := strconv.Atoi(filepath.Base(p))
		if pid == os.Getpid() {
			continue
		}
		cwd, _ := os.Readlink(p + "/cwd")
		line, _ := os.ReadFile(p + "/cmdline")
		if cwd == dir || strings.HasPrefix(cwd, dir+"/") || strings.Contains(string(line), dir) {
			found = append(found, filepath.Base(p)+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}
