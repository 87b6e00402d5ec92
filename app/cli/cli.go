// Package cli is mediafn's command line: flags in, one command run, an exit
// code out.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/mediafn/mediafn/app/cli/settings"
	"github.com/mediafn/mediafn/core/errs"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1 // the work failed
	exitUsage   = 2 // the command line or the request is wrong
	exitRefused = 3 // denied, unsupported or too large
	exitBusy    = 4 // a server is not there or has no room: try again
)

// commands are all of mediafn's commands.
type commands struct {
	Config kong.ConfigFlag `name:"config" help:"Configuration file (YAML or JSON)." placeholder:"FILE"`

	Serve  serveCmd  `cmd:"" help:"Play roles of mediafn; all of them by default."`
	Run    runCmd    `cmd:"" help:"Run one function or flow here, without a server."`
	Submit submitCmd `cmd:"" help:"Submit a task to a server."`
	Upload uploadCmd `cmd:"" help:"Upload a file to a server, and go on after breaks."`
	Plan   planCmd   `cmd:"" help:"Show how a video would be sliced, and how long that takes on 1 … 1,000 cores."`
	Tasks  tasksCmd  `cmd:"" help:"List a server's tasks."`
	Task   taskCmd   `cmd:"" help:"Show one task."`
	Cancel cancelCmd `cmd:"" help:"Stop a task."`
	Retry  retryCmd  `cmd:"" help:"Start a failed or canceled task again, or a part of it."`

	Priority priorityCmd `cmd:"" help:"Change how urgent a waiting task is."`
	Results  resultsCmd  `cmd:"" help:"Take results from a tenant's result queue."`

	Pools       poolsCmd       `cmd:"" help:"Show what waits in each pool, for whom, and why."`
	Workers     workersCmd     `cmd:"" help:"Show workers, their room and load."`
	Controllers controllersCmd `cmd:"" help:"Show controllers and their duties."`
	Prices      pricesCmd      `cmd:"" help:"Show what functions were learned to take."`
	Pause       pauseCmd       `cmd:"" help:"Keep a pool's work waiting."`
	Resume      resumeCmd      `cmd:"" help:"Let a pool's work go on."`
	Drain       drainCmd       `cmd:"" help:"Give a worker no more work."`
	Undrain     undrainCmd     `cmd:"" help:"Give a worker work again."`

	Functions functionsCmd `cmd:"" help:"List functions, or show one."`
	Flow      flowCmd      `cmd:"" help:"Check and show flows."`
	Probe     probeCmd     `cmd:"" help:"Show what a file is."`
	Migrate   migrateCmd   `cmd:"" help:"Bring the database up to date."`
	Version   versionCmd   `cmd:"" help:"Show what build this is."`
	Bench     benchCmd     `cmd:"" help:"Measure this machine."`
	WaitReady waitReadyCmd `cmd:"" help:"Wait until a server takes tasks."`
}

// std are the streams of one invocation.
type std struct {
	in       io.Reader
	out, err io.Writer
	args     []string
	settings settings.File // of the configuration file
}

// parser reads a command line into c. exited is called instead of ending the
// process, after --help.
func (s *std) parser(ctx context.Context, c *commands, exited func(code int)) (*kong.Kong, error) {
	return kong.New(c, kong.Name("mediafn"), kong.Description("media = fn(media, params)"),
		kong.Writers(s.out, s.err), kong.Exit(exited), kong.DefaultEnvars("MEDIAFN"),
		kong.Configuration(s.settings.Load), kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(s))
}

// Main runs one command line and returns the exit code.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	streams := &std{in: in, out: out, err: errOut, args: args, settings: settings.File{}}
	var c commands
	exited := -1
	parser, err := streams.parser(ctx, &c, func(code int) { exited = code })
	if err != nil {
		fmt.Fprintln(errOut, "mediafn:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited // --help
	}
	if err != nil {
		fmt.Fprintln(errOut, "mediafn:", err)
		return exitUsage
	}
	return report(errOut, parsed.Run())
}

// report prints an error and derives the exit code from its kind.
func report(out io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	if !errors.Is(err, errSilent) {
		fmt.Fprintf(out, "mediafn: %v\n", err)
		if tail := errs.TailOf(err); tail != "" {
			fmt.Fprintln(out, tail)
		}
	}
	switch errs.KindOf(err) {
	case errs.Invalid, errs.NotFound, errs.Conflict:
		return exitUsage
	case errs.Denied, errs.Unsupported, errs.TooLarge:
		return exitRefused
	case errs.Busy, errs.Transient, errs.Timeout:
		return exitBusy
	}
	return exitFailed
}

// errSilent ends a command that has already said what is wrong.
var errSilent = errors.New("said already")
