// Package testparts starts the servers that tests talk to: real ones, as
// processes of their own, so that they can be killed and started again. What
// is missing fails the test; nothing is skipped.
//
// A part ends with the test it was started for. One that is shared ends with
// the test process, however that ends.
package testparts

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds what a part may take to start or to stop.
const patience = 60 * time.Second

// Process is a server in a process group of its own. It dies when the test
// process does.
type Process struct {
	Name string
	cmd  *exec.Cmd
	log  string
}

// Launch starts cmd, whose output is added to the file log. The caller ends it
// by Stop or Kill, or has EndWith do that.
func Launch(t testing.TB, name string, cmd *exec.Cmd, log string) *Process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out // a file needs no goroutine that copies
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if cmd.SysProcAttr.Pdeathsig == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return &Process{Name: name, cmd: cmd, log: log}
}

// EndWith kills the process when the test ends, and shows the end of its log if
// the test failed.
func (p *Process) EndWith(t testing.TB) {
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s said last:\n%s", p.Name, p.Tail())
		}
	})
}

// Running reports whether the process has not ended yet.
func (p *Process) Running() bool {
	if p == nil || p.cmd.ProcessState != nil {
		return false
	}
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo == 0
}

// Kill ends the process and its children with SIGKILL and waits for it.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Stop asks the process to end by a signal and waits; one that does not end in
// time is killed.
func (p *Process) Stop(by syscall.Signal) {
	if !p.Running() {
		return
	}
	_ = p.cmd.Process.Signal(by) // it may be ending just now
	for end := time.Now().Add(patience); p.Running() && time.Now().Before(end); {
		<-time.After(2 * time.Millisecond)
	}
	p.Kill() // what is left of the group
}

// Signal sends a signal to the process alone, SIGSTOP for example.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

func (p *Process) end(by syscall.Signal) {
	if p == nil || p.cmd.ProcessState != nil {
		return
	}
	pid := p.cmd.Process.Pid
	children := childrenOf(pid) // PostgreSQL's are in groups of their own
	_ = syscall.Kill(-pid, by)  // not waited for yet, so the number is still its own
	for _, child := range children {
		_ = syscall.Kill(child, by)
	}
	_ = p.cmd.Wait() // it was killed: the error says so
	for end := time.Now().Add(patience); slices.ContainsFunc(children, alive) && time.Now().Before(end); {
		<-time.After(2 * time.Millisecond)
	}
}

func childrenOf(pid int) (children []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) // none, if it has ended
	for _, field := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			children = append(children, child)
		}
	}
	return children
}

// alive is false for a zombie too: where nobody collects orphans they stay.
func alive(pid int) bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(state), ") Z ")
}

// Tail returns the last lines of the log.
func (p *Process) Tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// Await asks ready until it returns nil, the process ends or the patience does.
func (p *Process) Await(t testing.TB, ready func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		err := ready()
		if err == nil {
			return
		}
		if !p.Running() || time.Now().After(end) {
			t.Fatalf("%s did not come up: %v\n%s", p.Name, err, p.Tail())
		}
	}
}

// Dir makes a folder with a short path, as unix sockets need one, that others
// may pass through. It is removed when the test ends, or with the test process.
func Dir(t testing.TB, name string) string {
	t.Helper()
	dir, err := makeDir(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func makeDir(name string) (string, error) {
	dir, err := os.MkdirTemp("", "mediafn-"+name+"-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	keeper, err := keep()
	if err != nil {
		return "", err
	}
	_, err = fmt.Fprintln(keeper, dir)
	return dir, err
}

// keep starts a child that is told folders and removes them when this process
// has ended: a test that runs out of time or is killed runs no cleanup. The
// pipe must stay referenced, or a finalizer closes it.
var keep = sync.OnceValues(func() (*os.File, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	keeper := exec.Command("sh", "-c", `all=; while read -r dir; do all="$all $dir"; done; sleep 1; rm -rf -- $all`)
	keeper.Stdin = theirs
	keeper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return ours, keeper.Start()
})

// Port finds a free port of 127.0.0.1, below those the kernel gives to outgoing
// connections, so that it is still free when a server is started again.
func Port(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 12000 + rand.IntN(20000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// Binary finds a program that make setup-test installs: in bin/tests of this
// repository, in one of the folders, or on the PATH.
func Binary(t testing.TB, name string, folders ...string) string {
	t.Helper()
	root, err := root()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range append([]string{filepath.Join(root, "bin", "tests")}, folders...) {
		path := filepath.Join(folder, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing; make setup-test installs it", name)
	}
	return path
}

// root finds the repository from the folder of the test.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// until asks done until it says yes or the patience ends.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come to pass that %s", what)
		}
	}
}
