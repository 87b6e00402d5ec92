// Package fnrig gives functions' tests real tools and real inputs: the
// sandbox, ffmpeg, and files opened as the executor opens them. Its Open and
// Probe are the hooks of core/fn/fntest.
//
// A package that uses it needs, because the sandbox starts the test binary:
//
//	func TestMain(m *testing.M) { fnrig.Main(m) }
package fnrig

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/sandbox"
	"github.com/mediafn/mediafn/tools/sniff"
)

// Main is a test binary's main: it becomes a tool's launcher when asked to,
// runs the tests otherwise, and fails if a goroutine is left behind.
func Main(m *testing.M) {
	sandbox.MaybeExec()
	goleak.VerifyTestMain(closing{m}, goleak.Cleanup(func(code int) {
		shared.remove()
		os.Exit(code)
	}))
}

// Run runs the tests and lets go of the tools, for binaries with a main of their
// own.
func Run(m *testing.M) int {
	defer func() {
		if tools.launcher != nil {
			tools.launcher.Close()
		}
	}()
	return m.Run()
}

// closing is Run as goleak wants it.
type closing struct{ m *testing.M }

func (c closing) Run() int { return Run(c.m) }

// tools are started once: what ffmpeg can do is asked once then, too.
var tools struct {
	once     sync.Once
	launcher *sandbox.Launcher
	ffmpeg   *ffmpeg.Tool
	err      error
}

// shared holds what Shared made, for all tests of the binary.
var shared sources

// sources are generated files by their command lines.
type sources struct {
	mu   sync.Mutex
	dir  string
	made map[string]func() (string, error)
}

func (s *sources) remove() {
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// get returns the file the command makes, made by whoever asks first.
func (s *sources) get(name string, args []string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "fnrig")
		if err != nil {
			return "", err
		}
		s.dir, s.made = dir, map[string]func() (string, error){}
	}
	key := strings.Join(append([]string{name}, args...), "\x00")
	if s.made[key] == nil {
		dir := filepath.Join(s.dir, strconv.Itoa(len(s.made)))
		s.made[key] = sync.OnceValues(func() (string, error) {
			path := filepath.Join(dir, name)
			if err := os.Mkdir(dir, 0o700); err != nil {
				return "", err
			}
			out, err := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-y"}, args...), path)...).CombinedOutput()
			if err != nil {
				err = errs.New(errs.Internal, "fnrig", "ffmpeg %q: %w\n%s", args, err, out)
			}
			return path, err
		})
	}
	once := s.made[key]
	s.mu.Unlock()
	defer s.mu.Lock()
	return once()
}

// Shared is Generate for files that several tests read: the same command runs
// once in a test binary. Nobody may change the file. Needs Main.
func Shared(t testing.TB, name string, args ...string) string {
	t.Helper()
	path, err := shared.get(name, args)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Rig holds the tools.
type Rig struct {
	FFmpeg *ffmpeg.Tool
}

// New is the tools, which all tests of the binary share. Needs Main or Run.
func New(t testing.TB) *Rig {
	t.Helper()
	tools.once.Do(func() {
		if tools.launcher, tools.err = sandbox.New("", slog.New(slog.DiscardHandler)); tools.err == nil {
			tools.ffmpeg, tools.err = ffmpeg.New(tools.launcher, ffmpeg.Options{MaxMemory: 2 << 30})
		}
	})
	if tools.err != nil {
		t.Fatal(tools.err)
	}
	return &Rig{FFmpeg: tools.ffmpeg}
}

// Open sniffs the file and makes it an input for the slot. The file is closed
// with the test.
func (r *Rig) Open(t testing.TB, slot, path string) (fn.Input, error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		return fn.Input{}, errs.New(errs.NotFound, "fnrig", "%w", err)
	}
	t.Cleanup(func() { _ = f.Close() })
	st, err := f.Stat()
	if err != nil {
		return fn.Input{}, errs.New(errs.Internal, "fnrig", "%w", err)
	}
	head, _ := io.ReadAll(io.NewSectionReader(f, 0, sniff.HeadSize))
	format, err := sniff.Sniff(head, st.Size())
	if err != nil {
		return fn.Input{}, err
	}
	return fn.Input{Slot: slot, Kind: format.Kind, Format: format.Name, Demuxer: format.Demuxer, Size: st.Size(), Location: path, Data: f}, nil
}

// Probe reads a file's facts with every packet looked at. Images are described
// from their first bytes only.
func (r *Rig) Probe(t testing.TB, path string) (*media.Info, error) {
	t.Helper()
	in, err := r.Open(t, "", path)
	if err != nil {
		return nil, err
	}
	if in.Demuxer == "" {
		return &media.Info{Kind: in.Kind, Format: in.Format, Size: in.Size, Image: &media.ImageInfo{}}, nil
	}
	return r.FFmpeg.Probe(context.Background(), ffmpeg.Input{Path: path, Demuxer: in.Demuxer},
		ffmpeg.ProbeOptions{Packets: true, Format: in.Format})
}

// Run checks params and runs f once with two threads. Inputs are paths, which
// fill the function's slots in order.
func (r *Rig) Run(t testing.TB, f fn.Function, params string, part *fn.Part, paths ...string) (*fn.Result, error) {
	t.Helper()
	return r.RunWith(t, f, params, part, nil, paths...)
}

// RunWith is Run with more inputs, of internal slots.
func (r *Rig) RunWith(t testing.TB, f fn.Function, params string, part *fn.Part, more []fn.Input, paths ...string) (*fn.Result, error) {
	t.Helper()
	slots, err := f.Spec().Assign(len(paths))
	if err != nil {
		return nil, err
	}
	call := &fn.Call{Trace: "test", Dir: t.TempDir(), Threads: 2, Part: part}
	var kinds []media.Kind
	for i, path := range paths {
		in, err := r.Open(t, slots[i], path)
		if err != nil {
			return nil, err
		}
		call.Inputs, kinds = append(call.Inputs, in), append(kinds, in.Kind)
	}
	if call.Params, err = f.Check(json.RawMessage(params), kinds); err != nil {
		return nil, err
	}
	call.Inputs = append(call.Inputs, more...)
	return f.Run(t.Context(), call)
}

// Generate runs ffmpeg outside the sandbox and returns the path of the file it
// made.
func Generate(t testing.TB, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	Shell(t, "ffmpeg", append(append([]string{"-v", "error", "-y"}, args...), path)...)
	return path
}

// Shell runs a program outside the sandbox and returns its standard output.
func Shell(t testing.TB, name string, args ...string) string {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, said.String())
	}
	return string(out)
}

// Said is Shell for what a program says on standard error.
func Said(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, said.String())
	}
	return said.String()
}
