// Package sandbox starts the tools that touch hostile media.
//
// A decoder never starts directly. The running binary starts itself with a
// hidden first argument; that fresh process (the launcher, see [MaybeExec])
// takes rights away from itself and then becomes the tool by execve. What the
// tool keeps:
//
//   - files: system libraries, fonts and what [Policy] grants (Landlock)
//   - network: TCP connections to the granted ports, nothing else (Landlock
//     for the port, seccomp for every other kind of socket). Landlock knows
//     ports, not addresses: a granted port is granted on any host.
//   - no new processes unless [Policy].Subprocesses, no privileges that a
//     set-uid file would add, no capability but reading past file modes, which
//     a service run by root already relies on
//   - limits: resident memory (watched from outside), private memory as a
//     backstop, file size, CPU time, open files, no core dumps
//   - a life no longer than ours: an own process group, killed as a whole, and
//     SIGKILL from the kernel when we die
//
// # Cost
//
// One more execve of this binary: 4 ms in a small one on a busy machine
// (BenchmarkLaunch prints it beside a bare start). Every
// package with variables to initialise at start-up adds to it, because that
// comes before main. [MaybeExec] must therefore be the first statement of main,
// and New accepts another, smaller binary that calls it.
//
// # Death with the parent
//
// The kernel sends the parent-death signal when the thread that forked ends,
// not when the process ends, and Go ends threads at will. All launches are
// therefore made by one goroutine that is locked to its thread for the life of
// the [Launcher]. [Launcher.Close] ends that thread and with it what still
// runs.
package sandbox

import (
	"os"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// Policy is what one tool may do. The zero Policy grants system libraries and
// fonts for reading, no writing, no network and no limit but the defaults.
type Policy struct {
	// ReadPaths are files, or directories with everything beneath, the tool may
	// read. WritePaths are files or directories it may read, write, create in
	// and delete from. Both must exist when the tool is started.
	ReadPaths  []string `json:"read,omitempty"`
	WritePaths []string `json:"write,omitempty"`
	// ExecPaths are files the tool may execute beside itself. Without
	// Subprocesses it could only become them.
	ExecPaths []string `json:"exec,omitempty"`
	// ConnectPorts are the TCP ports it may connect to. Empty: no network.
	ConnectPorts []uint16 `json:"ports,omitempty"`
	// Subprocesses lets the tool fork.
	Subprocesses bool `json:"fork,omitempty"`

	// MaxMemory is resident bytes of the whole group. The tool is killed when
	// a sample (every 20 ms) is above it; allocation far above fails at once.
	MaxMemory int64 `json:"memory,omitempty"`
	// MaxFileSize is the largest file in bytes it may write.
	MaxFileSize int64 `json:"fsize,omitempty"`
	// MaxCPU is user and system time, rounded up to seconds.
	MaxCPU time.Duration `json:"cpu,omitempty"`
	// MaxFiles is how many descriptors it may hold open. 0 means 256.
	MaxFiles int `json:"files,omitempty"`
}

// DefaultMaxFiles is the limit of open files where a policy names none.
const DefaultMaxFiles = 256

// check finds what would otherwise fail inside the launcher, where only text
// can be handed back.
func (p *Policy) check() error {
	for _, list := range [][]string{p.ReadPaths, p.WritePaths, p.ExecPaths} {
		for _, path := range list {
			if _, err := os.Stat(path); os.IsNotExist(err) {
				return errs.New(errs.NotFound, "sandbox", "granted path: %w", err)
			} else if err != nil {
				return errs.New(errs.Denied, "sandbox", "granted path: %w", err)
			}
		}
	}
	if p.MaxMemory < 0 || p.MaxFileSize < 0 || p.MaxCPU < 0 || p.MaxFiles < 0 {
		return errs.New(errs.Internal, "sandbox", "negative limit in policy")
	}
	return nil
}

// workDir is the directory a tool may use for temporary files: the first
// granted directory for writing.
func (p *Policy) workDir() string {
	for _, path := range p.WritePaths {
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			return path
		}
	}
	return ""
}
