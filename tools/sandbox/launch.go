package sandbox

import (
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/mediafn/mediafn/core/errs"
)

// Caps says what this kernel lets a [Launcher] enforce.
type Caps struct {
	Landlock int  // ABI version; 0 = no file rules
	Ports    bool // TCP ports are enforced (ABI ≥ 4)
	Seccomp  bool // no other sockets, no forks
	NetNS    bool // an own network namespace is used where Landlock or seccomp cannot close the network
	PIDNS    bool // subprocesses get an own process namespace and cannot outlive the tool
}

// Launcher starts tools. It is safe for concurrent use.
type Launcher struct {
	self  string
	caps  Caps // PIDNS is filled in by Caps
	pidns func() bool
	asks  chan ask
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once
}

type ask struct {
	argv []string
	attr *os.ProcAttr
	got  chan<- started
}

type started struct {
	proc *os.Process
	err  error
}

// New returns a launcher that starts tools through the binary self, which must
// call [MaybeExec] first thing in main; "" is the running binary. It warns once
// through log about every protection this kernel lacks. Close it.
func New(self string, log *slog.Logger) (*Launcher, error) {
	if _, ok := os.LookupEnv(execEnv); ok {
		return nil, errs.New(errs.Internal, "sandbox", "%s does not call sandbox.MaybeExec first thing in main", os.Args[0])
	}
	if self == "" {
		self = "/proc/self/exe" // survives a replaced binary, unlike its name
	}
	if _, err := os.Stat(self); err != nil {
		return nil, errs.New(errs.Internal, "sandbox", "launcher binary: %w", err)
	}
	l := &Launcher{self: self, asks: make(chan ask), stop: make(chan struct{}), done: make(chan struct{})}
	go l.spawn()
	l.caps = Caps{Landlock: landlockABI(), Seccomp: filterKnown()}
	l.caps.Ports = l.caps.Landlock >= 4
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log = log.With("component", "sandbox")
	if !l.caps.Ports || !l.caps.Seccomp { // otherwise there is nothing left for a namespace to close
		l.caps.NetNS = l.probe(unix.CLONE_NEWNET)
	}
	l.warn(log)
	l.pidns = sync.OnceValue(func() bool { // asked for by few tools, so tried only when needed
		ok := l.probe(unix.CLONE_NEWPID)
		if !ok {
			log.Warn("subprocesses that leave their process group can outlive their tool: no process namespace")
		}
		return ok
	})
	return l, nil
}

// Caps reports what is enforced.
func (l *Launcher) Caps() Caps {
	c := l.caps
	c.PIDNS = l.pidns()
	return c
}

// Close ends the launching thread; tools still running are killed with it.
// Commands already started can still be waited for.
func (l *Launcher) Close() {
	l.once.Do(func() { close(l.stop) })
	<-l.done
}

func (l *Launcher) warn(log *slog.Logger) {
	if l.caps.Landlock == 0 {
		log.Warn("DECODERS CAN READ AND WRITE FILES: this kernel has no Landlock")
	}
	switch {
	case l.caps.Ports && l.caps.Seccomp:
	case l.caps.Ports:
		log.Warn("decoders that read over the network can use UDP and fork: no system call filter for this machine")
	case l.caps.NetNS || l.caps.Seccomp:
		log.Warn("decoders that read over the network can connect to any port: Landlock is older than ABI 4",
			"abi", l.caps.Landlock)
	default:
		log.Warn("DECODERS CAN USE THE NETWORK: no Landlock ABI 4, no seccomp, no network namespace", "abi", l.caps.Landlock)
	}
}

// spawn makes every launch on one thread that lives as long as the launcher,
// because the parent-death signal follows the thread. Returning while locked
// ends the thread.
func (l *Launcher) spawn() {
	defer close(l.done)
	runtime.LockOSThread()
	for {
		select {
		case <-l.stop:
			return
		case a := <-l.asks:
			p, err := os.StartProcess(l.self, a.argv, a.attr)
			a.got <- started{p, err}
		}
	}
}

func (l *Launcher) start(argv []string, attr *os.ProcAttr) (*os.Process, error) {
	got := make(chan started, 1)
	select {
	case l.asks <- ask{argv, attr, got}:
		s := <-got
		return s.proc, s.err
	case <-l.done:
		return nil, errs.New(errs.Canceled, "sandbox", "launcher is closed")
	}
}

// probe tries whether a process can be started in a fresh namespace.
func (l *Launcher) probe(flag uintptr) bool {
	attr := &os.ProcAttr{
		Env: []string{execEnv + `={"probe":true}`},
		Sys: &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL},
	}
	namespaces(attr.Sys, flag)
	p, err := l.start([]string{"mediafn", execArg}, attr)
	if err != nil {
		return false
	}
	st, err := p.Wait()
	return err == nil && st.Success()
}

// namespaces asks for fresh ones; without root that takes a user namespace in
// which we stay who we are.
func namespaces(sys *syscall.SysProcAttr, flags uintptr) {
	if flags == 0 {
		return
	}
	sys.Cloneflags |= flags
	if os.Geteuid() != 0 {
		sys.Cloneflags |= unix.CLONE_NEWUSER
		sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	}
}

// environ is the whole environment of a tool: nothing of ours leaks into it.
// extra wins over the defaults.
func environ(work string, extra []string) []string {
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/nonexistent"}
	if work != "" {
		env = append(env, "TMPDIR="+work, "XDG_CACHE_HOME="+work)
	}
	for _, kv := range extra {
		key, _, _ := strings.Cut(kv, "=")
		kept := env[:0]
		for _, have := range env {
			if !strings.HasPrefix(have, key+"=") {
				kept = append(kept, have)
			}
		}
		env = append(kept, kv)
	}
	return env
}
