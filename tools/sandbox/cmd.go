package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mediafn/mediafn/core/errs"
)

// Cmd is one run of a tool. Set the fields before Start; use it once.
type Cmd struct {
	Policy Policy
	Path   string   // the tool; a bare name is looked up in PATH
	Args   []string // its arguments, without argv[0]
	Env    []string // added to a minimal environment: PATH, LANG, HOME, TMPDIR
	Dir    string   // working directory; "" = the policy's first writable directory, or /

	// Stdin, Stdout and Stderr may be *os.File, which is handed over as it is.
	// nil is /dev/null. The end of Stderr is kept for errors in any case
	// unless it is an *os.File.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// ExtraFiles are inherited as descriptors 3, 4, …
	ExtraFiles []*os.File

	l      *Launcher
	ctx    context.Context
	proc   *os.Process
	status *os.File // read end; says whether the launcher became the tool
	tail   Tail
	copies sync.WaitGroup
	ours   []*os.File // our ends of pipes, closed if a stray holds the other end

	mu     sync.Mutex
	reaped bool
	reason Reason
	usage  Usage

	exited chan struct{} // closed when the first process has ended, unreaped
	watch  chan struct{} // closed when the watcher has returned
}

// Command prepares a run of the tool argv0 under the policy p. The tool is
// killed with its whole group when ctx ends.
func (l *Launcher) Command(ctx context.Context, p Policy, argv0 string, args ...string) *Cmd {
	return &Cmd{Policy: p, Path: argv0, Args: args, l: l, ctx: ctx}
}

// Run is Start and Wait.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Start launches the tool and returns without waiting until its restrictions
// are in place; Wait reports if they could not be. A missing tool is
// Unsupported, a missing granted path NotFound. After a nil error Wait must be
// called.
func (c *Cmd) Start() error {
	if c.proc != nil {
		return errs.New(errs.Internal, "sandbox", "command started twice")
	}
	if err := c.ctx.Err(); err != nil {
		return errs.Wrap("sandbox", err)
	}
	path, err := exec.LookPath(c.Path)
	if err != nil {
		return errs.New(errs.Unsupported, "sandbox", "%w", err)
	}
	if c.Path, err = filepath.Abs(path); err != nil {
		return errs.Wrap("sandbox", err)
	}
	pol, err := c.Policy.absolute()
	if err != nil {
		return err
	}
	if err := pol.check(); err != nil {
		return err
	}
	o := order{
		Policy: pol, Path: c.Path, ABI: c.l.caps.Landlock, Filter: c.l.caps.Seccomp,
		StatusFD: 3 + len(c.ExtraFiles),
	}
	raw, err := json.Marshal(o)
	if err != nil {
		return errs.Wrap("sandbox", err)
	}
	work := pol.workDir()
	if c.Dir == "" {
		if c.Dir = work; work == "" {
			c.Dir = "/"
		}
	}
	sys := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	namespaces(sys, c.cloneFlags())

	files, theirs, err := c.descriptors()
	defer closeAll(theirs)
	if err != nil {
		closeAll(c.ours)
		return errs.As(errs.Transient, "sandbox", err) // out of descriptors
	}
	argv := append([]string{"mediafn", execArg, filepath.Base(c.Path)}, c.Args...)
	c.proc, err = c.l.start(argv, &os.ProcAttr{
		Dir: c.Dir, Env: append(environ(work, c.Env), execEnv+"="+string(raw)), Files: files, Sys: sys,
	})
	if err != nil {
		closeAll(c.ours)
		kind := errs.Transient // EAGAIN, ENOMEM: may pass
		switch {
		case errs.Is(err, errs.Canceled):
			kind = errs.Canceled
		case errors.Is(err, unix.E2BIG), errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
			kind = errs.Internal
		}
		return errs.As(kind, "sandbox", err)
	}
	c.exited, c.watch = make(chan struct{}), make(chan struct{})
	c.pump()
	go c.await()
	go c.supervise()
	return nil
}

// absolute resolves granted paths here, because the tool starts elsewhere.
func (p Policy) absolute() (Policy, error) {
	for _, list := range []*[]string{&p.ReadPaths, &p.WritePaths, &p.ExecPaths} {
		out := make([]string, len(*list))
		for i, path := range *list {
			abs, err := filepath.Abs(path)
			if err != nil {
				return p, errs.Wrap("sandbox", err)
			}
			out[i] = abs
		}
		*list = out
	}
	return p, nil
}

func (c *Cmd) cloneFlags() (flags uintptr) {
	if len(c.Policy.ConnectPorts) == 0 && c.l.caps.NetNS {
		flags |= unix.CLONE_NEWNET
	}
	if c.Policy.Subprocesses && c.l.pidns() {
		flags |= unix.CLONE_NEWPID
	}
	return flags
}

// Pid is the id of the tool's process, which is also its group's.
func (c *Cmd) Pid() int { return c.proc.Pid }

// Kill ends the tool and its group as if ctx had been cancelled. Wait still
// has to be called.
func (c *Cmd) Kill() { c.kill(ReasonCanceled) }

// kill is safe against a recycled id: until Wait has reaped the first process,
// its id cannot be given to another.
func (c *Cmd) kill(why Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reaped {
		return
	}
	if c.reason == "" {
		select {
		case <-c.exited: // it ended by itself; this only sweeps the group
		default:
			c.reason = why
		}
	}
	_ = unix.Kill(-c.proc.Pid, unix.SIGKILL)
}

// await waits for the first process to end and leaves it unreaped, so that its
// group can still be named.
func (c *Cmd) await() {
	defer close(c.exited)
	for {
		err := unix.Waitid(unix.P_PID, c.proc.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// supervise watches the context and the group's memory.
func (c *Cmd) supervise() {
	defer close(c.watch)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c.exited:
			return
		case <-c.ctx.Done():
			why := ReasonCanceled
			if errors.Is(c.ctx.Err(), context.DeadlineExceeded) {
				why = ReasonDeadline
			}
			c.kill(why)
			<-c.exited
			return
		case <-tick.C:
			rss := residentBytes(c.proc.Pid, c.Policy.Subprocesses)
			c.mu.Lock()
			c.usage.MaxRSS = max(c.usage.MaxRSS, rss)
			c.mu.Unlock()
			if c.Policy.MaxMemory > 0 && rss > c.Policy.MaxMemory {
				c.kill(ReasonMemory)
			}
		}
	}
}

// Wait returns when the tool has ended, its whole group is gone and its output
// is copied. The error is an *errs.Error around an [*ExitError].
func (c *Cmd) Wait() error {
	<-c.exited
	<-c.watch
	if c.Policy.Subprocesses {
		c.sweep()
	}
	c.mu.Lock()
	st, err := c.proc.Wait()
	c.reaped = true
	c.mu.Unlock()
	c.drain()
	said, _ := io.ReadAll(io.LimitReader(c.status, 4096))
	_ = c.status.Close()
	_ = c.tail.Close()
	if err != nil {
		return errs.Wrap("sandbox", err)
	}
	c.usage.User, c.usage.System = st.UserTime(), st.SystemTime()
	return c.classify(st, string(said))
}

// sweep kills what is left of the group and waits until it is gone.
func (c *Cmd) sweep() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for tries := 0; tries < 5000; tries++ { // SIGKILL acts at once unless a disk hangs
		_ = unix.Kill(-c.proc.Pid, unix.SIGKILL)
		if len(livingGroup(c.proc.Pid)) == 0 {
			return
		}
		<-tick.C
	}
}

// drain waits for the copying goroutines. Only a process that left the group
// (possible without a process namespace) can hold a pipe open now.
func (c *Cmd) drain() {
	done := make(chan struct{})
	go func() { c.copies.Wait(); close(done) }()
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		closeAll(c.ours)
		<-done
	}
	closeAll(c.ours)
}

// Usage is what the tool consumed. Complete after Wait.
func (c *Cmd) Usage() Usage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.usage
}

// Tail returns the last lines of standard error.
func (c *Cmd) Tail() string { return c.tail.String() }
