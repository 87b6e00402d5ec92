package testparts

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// holdDir makes this test binary a process that is killed while it has a folder
// and a server.
const holdDir = "MEDIAFN_TEST_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(holdDir) != "" {
		dir, err := makeDir("held")
		if err != nil {
			panic(err)
		}
		cmd := exec.Command("sleep", "600")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Println(dir, cmd.Process.Pid)
		select {}
	}
	goleak.VerifyTestMain(m)
}

func TestProcess(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p := Launch(t, "shell", exec.Command("sh", "-c", `trap 'echo asked; exit' TERM; echo up; sleep 600 & wait`), log)
	p.EndWith(t)
	p.Await(t, func() error {
		if !strings.Contains(p.Tail(), "up") {
			return errors.New("silent")
		}
		return nil
	})
	group, err := syscall.Getpgid(p.cmd.Process.Pid)
	if err != nil || group != p.cmd.Process.Pid {
		t.Errorf("group %d of process %d, %v", group, p.cmd.Process.Pid, err)
	}
	p.Stop(syscall.SIGTERM)
	if p.Running() || !strings.Contains(p.Tail(), "asked") {
		t.Errorf("running %v after stop: %s", p.Running(), p.Tail())
	}
	p.Kill() // again is harmless
}

// TestOutlived kills a process that has a folder and a server: both go.
func TestOutlived(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), holdDir+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	var pid int
	if _, err := fmt.Fscan(out, &dir, &pid); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	_ = child.Process.Kill()
	_ = child.Wait() // it was killed
	until(t, "the folder is removed", func() bool { _, err := os.Stat(dir); return errors.Is(err, os.ErrNotExist) })
	until(t, "the server ends", func() bool { return !alive(pid) })
}

func TestPort(t *testing.T) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", Port(t)))
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}
