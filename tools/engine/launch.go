package engine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/mediafn/mediafn/core/errs"
)

// Process is one engine child. *sandbox.Cmd, once started, is one.
type Process interface {
	Pid() int
	Kill()       // the whole group, at once; safe at any time
	Wait() error // until it and its group are gone; called once
}

// Launch starts an engine with sock as its descriptor 3. The child dies when
// ctx ends. sock stays the caller's, who closes it.
type Launch func(ctx context.Context, sock *os.File) (Process, error)

// Exec launches the binary at path with nothing but an own process group and
// death with the parent: no sandbox. It is for tests and benchmarks.
func Exec(path string) Launch {
	return func(ctx context.Context, sock *os.File) (Process, error) {
		p := &process{done: make(chan struct{})}
		started := make(chan error)
		go func() {
			// The parent-death signal follows the thread that forked, so the
			// thread is kept until the child is gone.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			defer close(p.done)
			p.cmd = exec.CommandContext(ctx, path)
			p.cmd.ExtraFiles = []*os.File{sock}
			p.cmd.Stderr = os.Stderr
			p.cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/nonexistent"}
			p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
			p.cmd.Cancel = func() error { return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }
			err := p.cmd.Start()
			started <- err
			if err == nil {
				p.err = p.cmd.Wait()
			}
		}()
		if err := <-started; err != nil {
			return nil, errs.As(errs.Unsupported, op, fmt.Errorf("start: %w", err))
		}
		return p, nil
	}
}

type process struct {
	cmd  *exec.Cmd
	err  error
	done chan struct{}
}

func (p *process) Pid() int { return p.cmd.Process.Pid }

func (p *process) Kill() {
	select {
	case <-p.done: // the id may be another's by now
	default:
		_ = p.cmd.Process.Kill()
	}
}

func (p *process) Wait() error {
	<-p.done
	return p.err
}
