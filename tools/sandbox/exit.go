package sandbox

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mediafn/mediafn/core/errs"
)

// Reason says why we killed a tool; empty if we did not.
type Reason string

const (
	ReasonMemory   Reason = "memory limit"
	ReasonCPU      Reason = "cpu limit"
	ReasonFileSize Reason = "file size limit"
	ReasonDeadline Reason = "deadline"
	ReasonCanceled Reason = "canceled"
)

// Usage is what a run consumed.
type Usage struct {
	User, System time.Duration
	// MaxRSS is the largest resident size in bytes seen, sampled every 20 ms;
	// 0 for a run shorter than that. (The kernel's own figure starts with the
	// size of the process that forked.)
	MaxRSS int64
}

// ExitError tells how a tool ended.
type ExitError struct {
	Code   int            // exit code, -1 after a signal
	Signal syscall.Signal // 0 if it exited
	Killed Reason         // who ended it, if a limit of ours did
	Stderr string         // its last lines
}

func (e *ExitError) Error() string {
	switch {
	case e.Killed != "":
		return "killed: " + string(e.Killed)
	case e.Signal != 0:
		return fmt.Sprintf("killed by signal %s", unix.SignalName(e.Signal))
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Kind maps the end of a tool to a kind. A plain exit code says nothing about
// whose fault it was: Internal, until someone who knows the tool looks at it.
func (e *ExitError) Kind() errs.Kind {
	switch {
	case e.Killed == ReasonMemory, e.Killed == ReasonFileSize:
		return errs.TooLarge
	case e.Killed == ReasonDeadline, e.Killed == ReasonCPU:
		return errs.Timeout
	case e.Killed == ReasonCanceled:
		return errs.Canceled
	case e.Signal != 0:
		return errs.Transient
	}
	return errs.Internal
}

// classify turns the end of the process into an error. said is what the
// launcher reported before it became the tool.
func (c *Cmd) classify(st *os.ProcessState, said string) error {
	ws, _ := st.Sys().(syscall.WaitStatus)
	e := &ExitError{Code: st.ExitCode(), Killed: c.reason, Stderr: c.tail.String()}
	if ws.Signaled() {
		e.Signal = ws.Signal()
		if e.Killed == "" {
			switch e.Signal {
			case unix.SIGXCPU:
				e.Killed = ReasonCPU
			case unix.SIGXFSZ:
				e.Killed = ReasonFileSize
			case unix.SIGKILL: // the hard limit, for a tool that handles SIGXCPU
				if c.Policy.MaxCPU > 0 && c.usage.User+c.usage.System >= c.Policy.MaxCPU {
					e.Killed = ReasonCPU
				}
			}
		}
	}
	switch {
	case st.Success() && said == string(ackByte):
		return nil
	case e.Killed != "" || e.Signal != 0:
	case said == "":
		return errs.New(errs.Internal, "sandbox", "%s does not call sandbox.MaybeExec first thing in main", c.l.self)
	case said[0] != ackByte:
		return errs.New(errs.Internal, "sandbox", "cannot restrict %s: %s", c.Path, said)
	case len(said) > 1:
		return errs.New(errs.Internal, "sandbox", "%s", said[1:])
	}
	return &errs.Error{Kind: e.Kind(), Op: "sandbox", Tail: e.Stderr, Err: e}
}
