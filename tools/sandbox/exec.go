package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	execArg = "sandbox-exec"    // the hidden first argument
	execEnv = "MEDIAFN_SANDBOX" // the order, JSON; its presence is what counts
	// ackByte precedes nothing: once the launcher has written it, only execve
	// itself can still fail.
	ackByte = '+'
)

// order is what the parent tells the launcher. Ports, Net and the like are
// decided by the parent, so that the launcher asks the kernel nothing twice.
type order struct {
	Policy
	ABI      int    `json:"abi"`     // Landlock ABI to use, 0 = none
	Filter   bool   `json:"seccomp"` // install the system call filter
	StatusFD int    `json:"status"`
	Path     string `json:"path"` // the tool
	Probe    bool   `json:"probe,omitempty"`
}

// MaybeExec turns this process into a sandboxed tool if it was started to be
// one, and then never returns. Otherwise it does nothing. Call it first thing
// in main and in TestMain.
func MaybeExec() {
	if len(os.Args) < 2 || os.Args[1] != execArg {
		return
	}
	raw, ok := os.LookupEnv(execEnv)
	if !ok {
		return
	}
	var o order
	if err := json.Unmarshal([]byte(raw), &o); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox: policy:", err)
		os.Exit(127)
	}
	if o.Probe {
		os.Exit(0)
	}
	// Rights and the parent-death signal belong to a thread; execve carries
	// over those of the thread that calls it and ends all others.
	runtime.LockOSThread()
	status := os.NewFile(uintptr(o.StatusFD), "status")
	err := o.become(status)
	fmt.Fprint(status, err)
	os.Exit(127)
}

func (o *order) become(status *os.File) error {
	env := make([]string, 0, 16)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, execEnv+"=") {
			env = append(env, kv)
		}
	}
	// Nothing above the descriptors we were handed survives, whatever our
	// parent's parent left open. ENOSYS (before 5.11): Go marks its own.
	unix.CloseOnExec(o.StatusFD)
	_ = unix.CloseRange(uint(o.StatusFD), math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)

	// If the machine runs out of memory, the kernel should take a decoder and
	// not the server. Raising the score needs no right; failing costs nothing.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)

	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("parent-death signal: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	dropCapabilities()
	if o.ABI > 0 {
		if err := o.landlock(); err != nil {
			return fmt.Errorf("landlock: %w", err)
		}
	}
	if o.Filter {
		if err := installFilter(len(o.ConnectPorts) > 0, o.Subprocesses); err != nil {
			return fmt.Errorf("seccomp: %w", err)
		}
	}
	if _, err := status.Write([]byte{ackByte}); err != nil {
		return err
	}
	// Last, because they bind this Go process too.
	if err := o.limits(); err != nil {
		return err
	}
	return fmt.Errorf("exec %s: %w", o.Path, syscall.Exec(o.Path, os.Args[2:], env))
}

// dropCapabilities leaves a tool started by root only CAP_DAC_OVERRIDE, within
// what Landlock grants. For anyone else there is nothing to drop, and EPERM.
func dropCapabilities() {
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	for c := uintptr(0); c <= 63; c++ {
		if c == unix.CAP_DAC_OVERRIDE {
			continue
		}
		if unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0) != nil {
			return // EPERM: not root; EINVAL: past the last capability
		}
	}
}

func (o *order) limits() error {
	files := uint64(DefaultMaxFiles)
	if o.MaxFiles > 0 {
		files = uint64(o.MaxFiles)
	}
	set := []struct {
		name     string
		res      int
		cur, max uint64
	}{
		{"core", unix.RLIMIT_CORE, 0, 0},
		{"nofile", unix.RLIMIT_NOFILE, files, files},
	}
	add := func(name string, res int, cur, max uint64) {
		set = append(set, struct {
			name     string
			res      int
			cur, max uint64
		}{name, res, cur, max})
	}
	if o.MaxFileSize > 0 {
		add("fsize", unix.RLIMIT_FSIZE, uint64(o.MaxFileSize), uint64(o.MaxFileSize))
	}
	if o.MaxCPU > 0 {
		s := uint64((o.MaxCPU + time.Second - 1) / time.Second)
		add("cpu", unix.RLIMIT_CPU, s, s+1) // SIGXCPU first, so that it can be told from a kill
	}
	if o.MaxMemory > 0 {
		// Address space is no measure (thread stacks, arenas, mapped inputs).
		// Private writable memory is reserved generously too, hence the factor;
		// this only stops what outruns the watch.
		add("data", unix.RLIMIT_DATA, uint64(o.MaxMemory)*4+1<<30, uint64(o.MaxMemory)*4+1<<30)
	}
	for _, l := range set {
		lim := syscall.Rlimit{Cur: l.cur, Max: l.max}
		var now syscall.Rlimit
		if syscall.Getrlimit(l.res, &now) == nil && now.Max < lim.Max {
			lim.Max, lim.Cur = now.Max, min(lim.Cur, now.Max) // never try to raise
		}
		if err := syscall.Setrlimit(l.res, &lim); err != nil {
			return fmt.Errorf("limit %s to %s: %w", l.name, strconv.FormatUint(l.cur, 10), err)
		}
	}
	return nil
}

// systemRead is what every dynamically linked tool reads: libraries, fonts,
// locale and time zone data, the shape of the processor and which part of it is
// ours (libnuma reads that from status). Absent ones are skipped.
var systemRead = []string{
	"/usr", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload",
	"/etc/fonts", "/var/cache/fontconfig", "/etc/localtime", "/etc/alternatives",
	"/etc/nsswitch.conf", "/etc/host.conf", "/etc/hosts", "/etc/ssl/openssl.cnf", "/etc/gnutls",
	"/dev/zero", "/dev/urandom", "/dev/random", "/dev/null",
	"/sys/devices/system/cpu", "/sys/devices/system/node", "/proc/cpuinfo", "/proc/meminfo", "/proc/self/status",
}

// interpreters load dynamically linked tools; the kernel executes them itself.
var interpreters = []string{"/lib64/ld-*.so*", "/lib/ld-*.so*", "/usr/lib64/ld-*.so*"}

func (o *order) landlock() error {
	r, err := newRuleset(o.ABI)
	if err != nil {
		return err
	}
	defer r.close()
	optional := func(err error) error {
		if e := err; e != nil && (errors.Is(e, fs.ErrNotExist) || errors.Is(e, fs.ErrPermission)) {
			return nil
		}
		return err
	}
	for _, p := range systemRead {
		if err := optional(r.grant(p, accessRead)); err != nil {
			return err
		}
	}
	if err := optional(r.grant("/dev/null", accessRead|accessWriteFile)); err != nil {
		return err
	}
	for _, pattern := range interpreters {
		found, _ := filepath.Glob(pattern)
		for _, p := range found {
			if err := optional(r.grant(p, accessRead|accessExec)); err != nil {
				return err
			}
		}
	}
	for _, p := range append([]string{o.Path}, o.ExecPaths...) {
		if err := r.grant(p, accessRead|accessExec); err != nil {
			return err
		}
	}
	for _, p := range o.ReadPaths {
		if err := r.grant(p, accessRead); err != nil {
			return err
		}
	}
	for _, p := range o.WritePaths {
		if err := r.grant(p, accessRead|accessWrite); err != nil {
			return err
		}
	}
	for _, port := range o.ConnectPorts {
		if o.ABI < 4 {
			break // no rules for ports yet: New has warned
		}
		if err := r.connect(port); err != nil {
			return err
		}
	}
	return r.restrict()
}
