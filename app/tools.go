package app

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/functions/all"
	"github.com/mediafn/mediafn/functions/service"
	"github.com/mediafn/mediafn/tools/engine"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/sandbox"
)

// tools are what functions hold in their hands on this machine. A missing tool
// leaves its functions declared but not runnable.
type tools struct {
	launcher *sandbox.Launcher
	engine   *engine.Pool
	menu     *fn.Registry
}

func openTools(c *Config, poster service.Poster, log *slog.Logger) (*tools, error) {
	launcher, err := sandbox.New("", log)
	if err != nil {
		return nil, errs.Wrap("tools", err)
	}
	t := &tools{launcher: launcher}
	given := all.Tools{Poster: poster}
	var memory int64 // 0 = no limit: the menu alone is wanted
	if c.Memory != "" {
		if memory, err = parseBytes(c.Memory); err != nil {
			return nil, errs.Wrap("tools", err)
		}
	}
	// No single tool may take more than all running work together.
	if given.FFmpeg, err = ffmpeg.New(launcher, ffmpeg.Options{ReadPaths: fontPaths(), MaxMemory: memory}); err != nil {
		log.Warn("ffmpeg is missing: functions on video and sound can't run", "err", err)
		given.FFmpeg = nil
	}
	if path := findEngine(c.Engine); path == "" {
		log.Warn("mediafn-engine is missing: functions on images can't run")
	} else {
		t.engine = engine.NewPool(t.launchEngine(path), engine.Options{Size: c.Cores})
		given.Engine = t.engine
	}
	t.menu = all.Menu(given)
	return t, nil
}

// launchEngine starts an engine in the sandbox: no network, no files beyond
// its own libraries; everything comes and goes through its socket.
func (t *tools) launchEngine(path string) engine.Launch {
	return func(ctx context.Context, sock *os.File) (engine.Process, error) {
		cmd := t.launcher.Command(ctx, sandbox.Policy{ReadPaths: []string{filepath.Dir(path)}, MaxFiles: 1024}, path)
		cmd.ExtraFiles = []*os.File{sock}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		return cmd, nil
	}
}

func (t *tools) close() {
	if t.engine != nil {
		t.engine.Close()
	}
	t.launcher.Close()
}

// findEngine looks for the engine's binary: where it was said to be, beside
// this binary, in PATH.
func findEngine(said string) string {
	if said != "" {
		return said
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "mediafn-engine")
		if _, err := os.Stat(beside); err == nil {
			return beside
		}
	}
	path, err := exec.LookPath("mediafn-engine")
	if err != nil {
		return ""
	}
	return path
}

// fontPaths are the folders text is drawn from, as far as they exist.
func fontPaths() []string {
	var paths []string
	for _, p := range []string{"/usr/share/fonts", "/usr/local/share/fonts", "/etc/fonts", "/var/cache/fontconfig"} {
		if _, err := os.Stat(p); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}
