package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mediafn/mediafn/core/errs"
)

func newLauncher(t testing.TB) *Launcher {
	t.Helper()
	l, err := New("", slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// query runs this binary as a sandboxed tool and returns what it said.
func query(t testing.TB, l *Launcher, p Policy, mode string, args ...string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := l.Command(t.Context(), p, self, args...)
	c.Env = []string{toolEnv + "=" + mode}
	c.Stdout = &out
	err = c.Run()
	return strings.TrimSpace(out.String()), err
}

func listen(t testing.TB) (addr string, port uint16) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String(), uint16(ln.Addr().(*net.TCPAddr).Port)
}

func TestRights(t *testing.T) {
	l := newLauncher(t)
	t.Logf("%+v", l.Caps())
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, other} {
		if err := os.WriteFile(filepath.Join(d, "f"), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	granted, port := listen(t)
	foreign, foreignPort := listen(t)
	read := Policy{ReadPaths: []string{filepath.Join(dir, "f")}}
	write := Policy{WritePaths: []string{dir}}
	tcp := Policy{ConnectPorts: []uint16{port}}
	in, out := filepath.Join(dir, "f"), filepath.Join(other, "f")
	for _, c := range []struct {
		name   string
		policy Policy
		mode   string
		args   []string
		can    bool
	}{
		{"read granted", read, "read", []string{in}, true},
		{"read outside", read, "read", []string{out}, false},
		{"read sibling", read, "read", []string{filepath.Join(dir, "g")}, false},
		{"read passwd", Policy{}, "read", []string{"/etc/passwd"}, false},
		{"read a parent's memory map", Policy{}, "read", []string{fmt.Sprintf("/proc/%d/maps", os.Getpid())}, false},
		{"write what may be read", read, "write", []string{in}, false},
		{"write granted", write, "write", []string{filepath.Join(dir, "new")}, true},
		{"write outside", write, "write", []string{filepath.Join(other, "new")}, false},
		{"write tmp", Policy{}, "write", []string{filepath.Join(os.TempDir(), "sandbox-test-escape")}, false},
		{"connect granted", tcp, "connect", []string{"tcp", granted}, true},
		{"connect other port", tcp, "connect", []string{"tcp", foreign}, false},
		{"connect without ports", Policy{}, "connect", []string{"tcp", granted}, false},
		{"connect network", Policy{}, "connect", []string{"tcp", "192.0.2.1:80"}, false},
		{"udp", tcp, "connect", []string{"udp", granted}, false},
		{"udp without ports", Policy{}, "connect", []string{"udp", granted}, false},
		{"unix socket", tcp, "connect", []string{"unix", "/run/any.sock"}, false},
		{"listen", tcp, "listen", nil, false},
		{"mptcp", tcp, "mptcp", nil, false},
		{"fast open", tcp, "fastopen", []string{strconv.Itoa(int(foreignPort))}, false},
		{"fork", Policy{}, "fork", nil, false},
		{"signal us", Policy{}, "signal", []string{strconv.Itoa(os.Getpid())}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := query(t, l, c.policy, c.mode, c.args...)
			if err != nil {
				t.Fatal(err)
			}
			if can := got == "yes"; can != c.can {
				t.Errorf("tool said %q, want allowed = %v", got, c.can)
			}
		})
	}
}

func TestEnvironmentAndDescriptors(t *testing.T) {
	l := newLauncher(t)
	t.Setenv("SECRET_TOKEN", "s3cret")
	dir := t.TempDir()
	got, err := query(t, l, Policy{WritePaths: []string{dir}}, "environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"TMPDIR=" + dir, "LANG=C.UTF-8", "HOME=/nonexistent"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "SECRET") || strings.Contains(got, execEnv) {
		t.Errorf("leaked:\n%s", got)
	}
	// A descriptor somebody left open without close-on-exec must not get through.
	leak, err := unix.Dup(1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(leak) }()
	got, err = query(t, l, Policy{}, "fds")
	if err != nil || got != "fd 0\nfd 1\nfd 2" {
		t.Errorf("descriptors %q, %v", got, err)
	}
}

func TestStdinAndExtraFiles(t *testing.T) {
	l := newLauncher(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll([]*os.File{r})
	var out bytes.Buffer
	c := l.Command(t.Context(), Policy{}, "sh", "-c", `read -r x; echo "got $x"; echo extra >&3; echo bad >&2; exit 7`)
	c.Stdin, c.Stdout, c.ExtraFiles = strings.NewReader("line\n"), &out, []*os.File{w}
	err = c.Run()
	_ = w.Close()
	extra, _ := io.ReadAll(r)
	var e *ExitError
	if !errors.As(err, &e) || e.Code != 7 || e.Stderr != "bad" || errs.TailOf(err) != "bad" {
		t.Errorf("error %#v", err)
	}
	if out.String() != "got line\n" || string(extra) != "extra\n" {
		t.Errorf("stdout %q, extra %q", out.String(), extra)
	}
}

func TestLimits(t *testing.T) {
	l := newLauncher(t)
	dir := t.TempDir()
	for _, c := range []struct {
		name   string
		policy Policy
		mode   string
		args   []string
		want   Reason
		kind   errs.Kind
	}{
		{"memory", Policy{MaxMemory: 64 << 20}, "alloc", []string{"200"}, ReasonMemory, errs.TooLarge},
		{"file size", Policy{MaxFileSize: 1000, WritePaths: []string{dir}}, "bigfile", []string{filepath.Join(dir, "b")}, ReasonFileSize, errs.TooLarge},
		{"cpu", Policy{MaxCPU: time.Second}, "spin", nil, ReasonCPU, errs.Timeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			said, err := query(t, l, c.policy, c.mode, c.args...)
			var e *ExitError
			if c.name == "file size" && strings.Contains(said, "file too large") {
				return // a tool that handles the signal sees the error instead
			}
			if !errors.As(err, &e) || e.Killed != c.want || errs.KindOf(err) != c.kind {
				t.Errorf("got %v (said %q), want %s", err, said, c.want)
			}
		})
	}
}

// TestMemoryOfGroup holds memory in a child of the tool.
func TestMemoryOfGroup(t *testing.T) {
	l := newLauncher(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := l.Command(t.Context(), Policy{Subprocesses: true, ExecPaths: []string{self}, MaxMemory: 64 << 20},
		"sh", "-c", toolEnv+"=alloc "+self+" 200 & wait")
	err = c.Run()
	if !errs.Is(err, errs.TooLarge) {
		t.Errorf("got %v, tail %s", err, c.Tail())
	}
	if c.Usage().MaxRSS < 64<<20 {
		t.Errorf("usage %+v", c.Usage())
	}
}

func startShell(t *testing.T, l *Launcher, ctx context.Context, script string) (*Cmd, []int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll([]*os.File{r, w})
	c := l.Command(ctx, shellPolicy(), "sh", "-c", script)
	c.Stdout = w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(r).ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("%q %v %s", line, err, c.Tail())
	}
	return c, livingGroup(c.Pid())
}

func gone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
			if p, ok := parseStat(pid, b); ok && !p.dead {
				t.Errorf("process %d is still there: %s", pid, b)
			}
		}
	}
}

func TestCancelKillsGroup(t *testing.T) {
	l := newLauncher(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, pids := startShell(t, l, ctx, "sleep 1000 & sleep 1000 & echo up; wait")
	if len(pids) < 3 {
		t.Fatalf("group %v", pids)
	}
	cancel()
	err := c.Wait()
	if !errs.Is(err, errs.Canceled) {
		t.Errorf("got %v", err)
	}
	gone(t, pids)
}

// TestLeftovers: a tool that ends well but leaves children behind takes them
// along, and Wait does not hang on the pipe they hold.
func TestLeftovers(t *testing.T) {
	l := newLauncher(t)
	c, pids := startShell(t, l, t.Context(), "sleep 1000 & sleep 1000 & echo up; read x; exit 0")
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	gone(t, pids)
}

func TestDeadline(t *testing.T) {
	l := newLauncher(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c := l.Command(ctx, Policy{}, "sleep", "1000")
	if err := c.Run(); !errs.Is(err, errs.Timeout) {
		t.Errorf("got %v", err)
	}
}

func TestSignalFromOutside(t *testing.T) {
	l := newLauncher(t)
	for _, sig := range []unix.Signal{unix.SIGKILL, unix.SIGSEGV} {
		c := l.Command(t.Context(), Policy{}, "sh", "-c", fmt.Sprintf("kill -%d $$", sig))
		err := c.Run()
		var e *ExitError
		if !errors.As(err, &e) || e.Killed != "" || !errs.Is(err, errs.Transient) {
			t.Errorf("%v: got %v", sig, err)
		}
	}
}

// TestDiesWithParent kills a process that runs a sandboxed shell with a
// child. Both are gone when the kernel says so through the pipe they hold.
func TestDiesWithParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self, "x")
	parent.Env = append(os.Environ(), toolEnv+"=parent")
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(line, err)
	}
	var handles []unix.PollFd
	pids := strings.Fields(line)
	if len(pids) < 2 {
		t.Fatalf("parent said %q", line)
	}
	for _, f := range pids {
		pid, _ := strconv.Atoi(f)
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(pid, err)
		}
		defer func() { _ = unix.Close(fd) }()
		handles = append(handles, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	for i := range handles {
		if n, err := unix.Poll(handles[i:i+1], 10_000); n != 1 {
			t.Errorf("process %s outlived the parent: %v", pids[i], err)
		}
	}
}

func TestStartErrors(t *testing.T) {
	l := newLauncher(t)
	for _, c := range []struct {
		name string
		cmd  *Cmd
		want errs.Kind
	}{
		{"no tool", l.Command(t.Context(), Policy{}, "no-such-tool-here"), errs.Unsupported},
		{"no path", l.Command(t.Context(), Policy{ReadPaths: []string{"/no/such"}}, "true"), errs.NotFound},
		{"bad limit", l.Command(t.Context(), Policy{MaxMemory: -1}, "true"), errs.Internal},
	} {
		if err := c.cmd.Run(); !errs.Is(err, c.want) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Command(done, Policy{}, "true").Run(); !errs.Is(err, errs.Canceled) {
		t.Errorf("canceled: got %v", err)
	}
	closed, err := New("", nil)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if err := closed.Command(t.Context(), Policy{}, "true").Run(); !errs.Is(err, errs.Canceled) {
		t.Errorf("closed: got %v", err)
	}
}

// TestForeignBinary: a launcher binary that does not call MaybeExec is noticed.
func TestForeignBinary(t *testing.T) {
	l, err := New("/bin/true", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Command(t.Context(), Policy{}, "true").Run(); !errs.Is(err, errs.Internal) || !strings.Contains(err.Error(), "MaybeExec") {
		t.Errorf("got %v", err)
	}
}

// TestManyAtOnce: launches from many goroutines share one thread and must not
// mix up their files or exit codes.
func TestManyAtOnce(t *testing.T) {
	l := newLauncher(t)
	var wg sync.WaitGroup
	for n := range 24 {
		wg.Go(func() {
			var out bytes.Buffer
			c := l.Command(t.Context(), Policy{}, "sh", "-c", fmt.Sprintf("echo %d; exit %d", n, n))
			c.Stdout = &out
			err := c.Run()
			var e *ExitError
			if out.String() != fmt.Sprintln(n) || n == 0 && err != nil || n > 0 && (!errors.As(err, &e) || e.Code != n) {
				t.Errorf("%d: %q %v", n, out.String(), err)
			}
		})
	}
	wg.Wait()
}

func TestNoDescriptorLeak(t *testing.T) {
	l := newLauncher(t)
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	run := func() {
		var out bytes.Buffer
		c := l.Command(t.Context(), Policy{}, "true")
		c.Stdin, c.Stdout, c.Stderr = strings.NewReader(""), &out, io.Discard
		if err := c.Run(); err != nil {
			t.Fatal(err)
		}
	}
	run()
	before := count()
	for range 20 {
		run()
		_ = l.Command(t.Context(), Policy{ReadPaths: []string{"/no/such"}}, "true").Run()
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

func TestTail(t *testing.T) {
	var tail Tail
	for i := range 100_000 {
		fmt.Fprintf(&tail, "line %d %s\n", i, strings.Repeat("x", i%3000))
	}
	s := tail.String()
	if len(s) > tailBytes || strings.Count(s, "\n") >= tailLines || !strings.Contains(s, "line 99999 ") {
		t.Errorf("%d bytes, %d lines", len(s), strings.Count(s, "\n"))
	}
	tail = Tail{}
	fmt.Fprint(&tail, "a\r\n\nb\rc")
	if s := tail.String(); s != "a\nb\nc" {
		t.Errorf("%q", s)
	}
}

func FuzzTail(f *testing.F) {
	f.Add([]byte("a\nb\r\n\xff"), 3)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		var tail Tail
		cut = min(max(cut, 0), len(b))
		_, _ = tail.Write(b[:cut])
		_, _ = tail.Write(b[cut:])
		if s := tail.String(); len(s) > tailBytes+4*lineBytes {
			t.Errorf("%d bytes", len(s))
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("12 (a) b) S 1 12 12 0"))
	f.Fuzz(func(t *testing.T, b []byte) { parseStat(1, b) })
}

// BenchmarkLaunch compares a sandboxed start with a bare one.
func BenchmarkLaunch(b *testing.B) {
	l := newLauncher(b)
	var bare, boxed time.Duration
	for b.Loop() {
		t0 := time.Now()
		if err := exec.Command("/bin/true").Run(); err != nil {
			b.Fatal(err)
		}
		t1 := time.Now()
		if err := l.Command(b.Context(), Policy{}, "/bin/true").Run(); err != nil {
			b.Fatal(err)
		}
		bare, boxed = bare+t1.Sub(t0), boxed+time.Since(t1)
	}
	b.ReportMetric(float64(boxed)/float64(bare), "ratio")
	b.ReportMetric(float64(boxed-bare)/float64(b.N)/1e6, "ms-added")
}
