package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/engine"
	"github.com/mediafn/mediafn/tools/engine/wire"
	"github.com/mediafn/mediafn/tools/sandbox"
)

// TestInSandbox runs the engine as it runs in production: no network, no files
// but its libraries.
func TestInSandbox(t *testing.T) {
	l, err := sandbox.New("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var last engine.Process
	p := engine.NewPool(func(ctx context.Context, sock *os.File) (engine.Process, error) {
		cmd := l.Command(ctx, sandbox.Policy{ReadPaths: []string{filepath.Dir(enginePath)}, MaxFiles: 1024}, enginePath)
		cmd.ExtraFiles = []*os.File{sock}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		last = cmd
		return cmd, nil
	}, engine.Options{Size: 1, Timeout: 5 * time.Second})
	defer p.Close()
	png := generate(t, "png", "testsrc2=s=320x180,noise=alls=40") // large enough to pass as memory
	for _, format := range []string{"jpg", "png", "webp", "avif", "gif", "tiff", "bmp"} {
		res := run(t, p, "png", png, wire.Transform{Output: wire.Encoding{Format: format}})
		if back := run(t, p, res.Format, res.Bytes, wire.Transform{Width: 32}); back.Height != 18 {
			t.Errorf("%s: %+v", format, back.Result)
		}
	}
	svg := `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="50"><text x="5" y="30">text</text></svg>`
	if res := run(t, p, "svg", []byte(svg), wire.Transform{}); res.Width != 200 {
		t.Errorf("%+v", res.Result)
	}
	if err := syscall.Kill(last.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.Info(ctx, input("png", png)); !errs.Is(err, errs.Timeout) {
		t.Errorf("%v", err)
	}
	if err := p.Health(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
