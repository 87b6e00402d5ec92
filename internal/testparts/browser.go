package testparts

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Browser opens a page in Chromium. The channel has the end of what it said, once
// all its processes are gone; they are stopped with ctx.
func Browser(ctx context.Context, t testing.TB, page string) <-chan string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is missing; make setup-test installs it")
	}
	home := t.TempDir()
	// Without a sandbox: it shows what a test made, and containers may not nest.
	cmd := exec.CommandContext(ctx, path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-extensions", "--disable-background-networking", "--mute-audio", "--autoplay-policy=no-user-gesture-required",
		"--user-data-dir="+home, page)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan string, 1)
	go func() {
		_ = cmd.Wait()
		text := said.String()
		ended <- text[max(len(text)-2000, 0):]
	}()
	return ended
}

// Script is a file of an npm package that setup-test.sh has fetched; root is the
// folder of the repository.
func Script(t testing.TB, root, name string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(root, "bin/tests/players", name+"-*.js"))
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: %v; make setup-test fetches it", name, all)
	}
	return all[0]
}
