package e2e_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api/client"
)

// secret signs the webhooks of every server under test.
const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// hooksAllowed lets webhooks reach the receivers of this package.
const hooksAllowed = "--egress-allow=127.0.0.1"

// server is one run of "mediafn serve". A data folder may see several.
type server struct {
	*client.Client
	t      *testing.T
	data   string
	url    string
	cmd    *exec.Cmd
	log    *tail
	exited chan struct{} // closed when state is set
	state  *os.ProcessState
}

// serve starts mediafn on a data folder and waits until it is ready. A point
// that is not empty is where it will kill itself.
func serve(t *testing.T, data, point string, flags ...string) *server {
	t.Helper()
	return serveBy(t, today(), data, point, flags...)
}

// serveBy is serve with another binary.
func serveBy(t *testing.T, binary, data, point string, flags ...string) *server {
	t.Helper()
	s := &server{t: t, data: data, log: &tail{}, exited: make(chan struct{})}
	args := append([]string{
		"serve", "--data", data, "--listen", "127.0.0.1:0", "--lease", "5s", "--tick", "200ms", "--cores", "2",
		"--webhook-secret", secret, "--webhook-schedule", "200ms,500ms,1s,1s,2s",
	}, flags...)
	s.cmd = exec.Command(binary, args...)
	s.cmd.Env = append(os.Environ(), "MEDIAFN_FAILPOINT="+point)
	// A session of its own: whatever it starts can be found by it.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	s.cmd.Stderr = s.log
	s.cmd.WaitDelay = 5 * time.Second
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout = in
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	go func() {
		_ = s.cmd.Wait()
		s.state = s.cmd.ProcessState
		close(s.exited)
	}()
	t.Cleanup(s.cleanup)
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, out); _ = out.Close() }()
	_, address, ok := strings.Cut(strings.TrimSpace(line), "listens on ")
	if !ok {
		t.Fatalf("server said %q (%v)\n%s", line, err, s.log)
	}
	s.url = address
	s.ready()
	return s
}

// ready connects to the server and waits until it takes requests.
func (s *server) ready() {
	s.t.Helper()
	var err error
	if s.Client, err = client.New(s.url, "", &http.Client{Transport: &http.Transport{}}); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, time.Minute, func() error {
		select {
		case <-s.exited:
			s.t.Fatalf("server ended before it was ready: %s\n%s", s.state, s.log)
		default:
		}
		resp, err := http.Get(s.url + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode != 200 {
				err = errors.New(resp.Status)
			}
		}
		return err
	})
}

func (s *server) cleanup() {
	s.kill()
	s.Close()
	for _, p := range s.session() {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
	if s.t.Failed() {
		s.t.Logf("last lines of server %d (%s):\n%s", s.cmd.Process.Pid, s.state, s.log)
	}
}

// Close lets idle connections go; a server that never was ready has none.
func (s *server) Close() {
	if s.Client != nil {
		s.Client.Close()
	}
}

// kill ends the process as a power failure would, and nothing beside it.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// died waits for the process to kill itself at its failpoint.
func (s *server) died(limit time.Duration) {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(limit):
		s.t.Fatal("the failpoint was not reached")
	}
	status, ok := s.state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		s.t.Fatalf("the server ended with %s, not at its failpoint", s.state)
	}
	s.Close()
}

// stop asks the process to end and checks that it does so in order, leaving
// no child behind.
func (s *server) stop() {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(time.Minute):
		s.t.Fatal("the server does not end")
	}
	if code := s.state.ExitCode(); code != 0 {
		s.t.Errorf("the server ended with %s", s.state)
	}
	s.orphans()
	s.Close()
}

// orphans fails if anything the ended server started is still there.
func (s *server) orphans() {
	s.t.Helper()
	eventually(s.t, 10*time.Second, func() error {
		if left := s.session(); len(left) > 0 {
			return fmt.Errorf("processes outlive the server: %v", left)
		}
		return nil
	})
}

// process is a line of the process table.
type process struct {
	pid  int
	args string
}

func (p process) String() string { return fmt.Sprintf("%d %q", p.pid, p.args) }

// session lists what the server has started and what still runs.
func (s *server) session() []process { return session(s.cmd.Process.Pid) }

// session lists the processes of a session without the one that began it.
func session(id int) (all []process) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == id {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		// pid (comm) state ppid pgrp session …
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 4 || fields[3] != strconv.Itoa(id) || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		args, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		all = append(all, process{pid, strings.ReplaceAll(strings.TrimRight(string(args), "\x00"), "\x00", " ")})
	}
	return all
}

// busy is session without the engines that wait for work.
func (s *server) busy() (all []process) {
	for _, p := range s.session() {
		if p.args != "mediafn-engine" {
			all = append(all, p)
		}
	}
	return all
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	if over := len(l.buf) - 16<<10; over > 0 {
		l.buf = l.buf[over:]
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}
