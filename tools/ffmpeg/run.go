package ffmpeg

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/sandbox"
)

// Job is one run of ffmpeg.
type Job struct {
	// Args is the command line after the global flags, which Run adds: inputs
	// (see [Input]), filters, outputs. Nothing of it is interpreted.
	Args []string

	// What the run may touch; see [sandbox.Policy].
	ReadPaths, WritePaths []string
	ConnectPorts          []uint16
	MaxMemory             int64 // resident bytes; 0 = the tool's default
	MaxFileSize           int64 // bytes of one output file; 0 = no limit
	Dir                   string
	Stdin                 io.Reader
	Stdout                io.Writer // what ffmpeg writes to pipe:1

	Duration float64 // expected seconds of output, for percent
	Frames   int64   // expected frames, for percent when Duration is unknown
	// Stall is how long frames, time and size may all stand still before the
	// run is killed. It covers opening the input and finishing the output, so
	// it must be generous for large files. 0 = no such limit.
	Stall time.Duration
	// Tolerant accepts an input that ends early with an error (a truncated
	// file): what was read before it counts as the whole.
	Tolerant bool
	// Progress is called from one goroutine, at most four times a second; it
	// should not block.
	Progress func(Progress)
}

// Stats is what a run cost and what it said.
type Stats struct {
	Wall, User, System time.Duration
	MaxRSS             int64 // bytes; 0 for very short runs
	Frames             int64
	OutTime            time.Duration
	Size               int64
	Warnings           []string // the first 20 lines of level warning or worse
}

const (
	maxWarnings = 20
	maxErrors   = 200
)

var errStalled = errors.New("no progress")

// Run runs ffmpeg to its end. The error's kind says whose fault it was (see
// the table in classify.go) and its Tail holds the last lines of ffmpeg's
// messages. Stats are filled in as far as they are known, error or not. When
// ctx ends the process is killed, and gone when Run returns.
func (t *Tool) Run(ctx context.Context, j Job) (s Stats, err error) {
	ctx, traced := began(ctx, t.ffmpeg, j.Args)
	defer func() {
		s.spent(traced)
		traced.End(err)
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, w, err := os.Pipe()
	if err != nil {
		return Stats{}, errs.As(errs.Transient, "ffmpeg", err)
	}
	defer func() { _ = r.Close() }()

	args := append([]string{"-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+warning",
		"-progress", "pipe:3", "-stats_period", "0.25", "-y"}, j.Args...)
	var log messages
	c := t.command(ctx, t.ffmpeg, args, j)
	c.Stderr = log.writer()
	c.ExtraFiles = []*os.File{w}
	begun := time.Now()
	err = c.Start()
	_ = w.Close()
	if err != nil {
		return Stats{}, errs.Wrap("ffmpeg", err)
	}

	var last Progress
	var reading sync.WaitGroup
	moved := make(chan struct{}, 1)
	reading.Go(func() {
		readProgress(r, func(p Progress) {
			p.Percent = max(last.Percent, p.percent(j.Duration, j.Frames))
			if p.advanced(last) {
				select {
				case moved <- struct{}{}:
				default:
				}
			}
			last = p
			if j.Progress != nil {
				j.Progress(p)
			}
		})
	})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchStall(ctx, j.Stall, moved, func() { cancel(errStalled) })
	}()
	err = c.Wait()
	reading.Wait()
	stalled := errors.Is(context.Cause(ctx), errStalled)
	cancel(nil)
	<-watched

	u := c.Usage()
	s = Stats{Wall: time.Since(begun), User: u.User, System: u.System, MaxRSS: u.MaxRSS,
		Frames: last.Frames, OutTime: last.OutTime, Size: last.Size, Warnings: log.warnings}
	if err = log.verdict(err, stalled, j); err != nil {
		return s, err
	}
	if last.Percent, last.End = 100, true; j.Progress != nil {
		j.Progress(last)
	}
	return s, nil
}

// watchStall calls stalled once if moved is silent for limit.
func watchStall(ctx context.Context, limit time.Duration, moved <-chan struct{}, stalled func()) {
	if limit <= 0 {
		return
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-moved:
			timer.Reset(limit)
		case <-timer.C:
			stalled()
			return
		}
	}
}

// messages collects what a run says on standard error, bounded.
type messages struct {
	tail     sandbox.Tail
	warnings []string
	errors   []string // the first ones; the rest of a flood is in the tail
	broken   string   // the first line that tells of a broken connection
}

func (m *messages) writer() io.Writer {
	m.tail.Line = func(l string) {
		if len(m.warnings) < maxWarnings && !chatter(l) {
			m.warnings = append(m.warnings, l)
		}
		if m.broken == "" && (strings.Contains(l, "Will reconnect at") || strings.Contains(l, "Stream ends prematurely")) {
			m.broken = l
		}
		if serious(l) && len(m.errors) < maxErrors {
			m.errors = append(m.errors, l)
		}
	}
	return &m.tail
}

// verdict turns the end of the process and its messages into Run's error.
func (m *messages) verdict(err error, stalled bool, j Job) error {
	_ = m.tail.Close()
	tail := m.tail.String()
	var exit *sandbox.ExitError
	switch {
	case err == nil:
		if said := m.all(tail); silentFailure(said, inputsOf(j.Args)) {
			kind, line := classify(said)
			if j.Tolerant && kind == errs.Invalid {
				return nil
			}
			return &errs.Error{Kind: kind, Op: "ffmpeg", Msg: message(line), Tail: tail}
		}
		return nil
	case stalled:
		return &errs.Error{Kind: errs.Timeout, Op: "ffmpeg", Msg: "stalled: no progress for " + j.Stall.String(), Tail: tail, Err: err}
	case !errors.As(err, &exit):
		return errs.Wrap("ffmpeg", err)
	case exit.Killed != "" || exit.Signal != 0:
		return &errs.Error{Kind: exit.Kind(), Op: "ffmpeg", Tail: tail, Err: exit}
	}
	kind, line := classify(m.all(tail))
	return &errs.Error{Kind: kind, Op: "ffmpeg", Msg: message(line), Tail: tail, Err: exit}
}

// all are the serious lines kept: the first of the run and the last.
func (m *messages) all(tail string) []string {
	all := append([]string{}, m.errors...)
	for _, l := range lines(tail) {
		if serious(l) && l != "" && !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	return all
}

// inputsOf lists the names behind -i.
func inputsOf(args []string) []string {
	var in []string
	for i := 0; i+1 < len(args); i++ {
		if args[i] == "-i" {
			i++
			in = append(in, args[i])
		}
	}
	return in
}
