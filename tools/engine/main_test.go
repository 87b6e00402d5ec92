package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/tools/engine"
	"github.com/mediafn/mediafn/tools/engine/wire"
	"github.com/mediafn/mediafn/tools/sandbox"
)

var enginePath string // the real engine, built once

func TestMain(m *testing.M) {
	sandbox.MaybeExec()
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		panic(err)
	}
	enginePath = filepath.Join(dir, "mediafn-engine")
	if out, err := exec.Command("go", "build", "-o", enginePath, "github.com/mediafn/mediafn/cmd/mediafn-engine").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s\n%v\n", out, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// children remembers every process a pool started.
type children struct {
	mu    sync.Mutex
	procs []engine.Process
}

func (k *children) launch(ctx context.Context, sock *os.File) (engine.Process, error) {
	p, err := engine.Exec(enginePath)(ctx, sock)
	if err == nil {
		k.mu.Lock()
		k.procs = append(k.procs, p)
		k.mu.Unlock()
	}
	return p, err
}

func (k *children) last() engine.Process {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.procs[len(k.procs)-1]
}

// newPool returns a pool whose children must all be gone after the test.
func newPool(t testing.TB, opt engine.Options) (*engine.Pool, *children) {
	k := &children{}
	p := engine.NewPool(k.launch, opt)
	t.Cleanup(func() {
		p.Close()
		if n := p.Stats().Children; n != 0 {
			t.Errorf("%d children after Close", n)
		}
		for _, c := range k.procs {
			if _, err := os.Stat(fmt.Sprintf("/proc/%d", c.Pid())); err == nil {
				t.Errorf("process %d is left", c.Pid())
			}
		}
	})
	return p, k
}

// pool returns a pool of one child.
func pool(t testing.TB) *engine.Pool {
	t.Helper()
	p, _ := newPool(t, engine.Options{Size: 1})
	return p
}

// made caches what ffmpeg generated.
var made sync.Map

// generate makes an image with ffmpeg: filter is a lavfi source, args come
// before the output.
func generate(t testing.TB, format, filter string, args ...string) []byte {
	t.Helper()
	key := fmt.Sprint(format, filter, args)
	if b, ok := made.Load(key); ok {
		return bytes.Clone(b.([]byte))
	}
	name := filepath.Join(t.TempDir(), "image."+format)
	full := append([]string{"-v", "error", "-f", "lavfi", "-i", filter}, args...)
	if len(args) == 0 {
		full = append(full, "-frames:v", "1")
	}
	if out, err := exec.Command("ffmpeg", append(full, "-y", name)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", full, err, out)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	made.Store(key, b)
	return bytes.Clone(b)
}

func input(format string, b []byte) engine.Input { return engine.Input{Format: format, Bytes: b} }

// run transforms and fails the test on an error.
func run(t testing.TB, p *engine.Pool, format string, in []byte, tr wire.Transform) engine.TransformResult {
	t.Helper()
	res, err := p.Transform(t.Context(), engine.TransformRequest{
		Input: engine.Input{Format: format, Bytes: in}, Transform: tr,
	})
	if err != nil {
		t.Fatalf("%+v: %v", tr, err)
	}
	return res
}
