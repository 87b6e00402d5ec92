// Package ffmpeg runs ffmpeg and ffprobe: command lines, supervision, progress
// and the meaning of their messages.
//
// [Input] builds what stands before an -i so that hostile media cannot make
// FFmpeg open anything else; [Tool.Run] supervises one ffmpeg in the sandbox;
// [Tool.Probe] turns ffprobe's answer into [media.Info]. Filter graphs are
// built by the package graph beneath.
package ffmpeg

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/sandbox"
)

// Options configures a [Tool]. The zero value finds both programs in PATH.
type Options struct {
	FFmpeg, FFprobe string   // names or paths
	MaxMemory       int64    // resident bytes of a run that names none; 0 = no limit
	ReadPaths       []string // read by every run: fonts, models, libraries in odd places
}

// Tool is an installed FFmpeg. It is safe for concurrent use.
type Tool struct {
	l               *sandbox.Launcher
	opt             Options
	ffmpeg, ffprobe string

	version func() string
	mu      sync.Mutex
	lists   map[string]map[string]bool // "-encoders" → names; asked once
	built   string                     // see Build
}

// New finds ffmpeg and ffprobe; either missing is Unsupported. It starts
// neither: the version and the lists are asked for when first needed.
func New(l *sandbox.Launcher, opt Options) (*Tool, error) {
	t := &Tool{l: l, opt: opt, lists: map[string]map[string]bool{}}
	for _, p := range []struct {
		dst       *string
		name, def string
	}{{&t.ffmpeg, opt.FFmpeg, "ffmpeg"}, {&t.ffprobe, opt.FFprobe, "ffprobe"}} {
		name := p.name
		if name == "" {
			name = p.def
		}
		path, err := exec.LookPath(name)
		if err != nil {
			return nil, errs.New(errs.Unsupported, "ffmpeg", "%w", err)
		}
		*p.dst = path
	}
	t.version = sync.OnceValue(func() string {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		out, _ := t.output(ctx, t.ffmpeg, []string{"-version"}, Job{})
		return parseVersion(string(out))
	})
	return t, nil
}

// Version is what ffmpeg says it is: "5.1.9-0+deb12u1". Empty if it does not
// start. The first call starts it.
func (t *Tool) Version() string { return t.version() }

// parseVersion reads "ffmpeg version 5.1.9 Copyright …".
func parseVersion(out string) string {
	f := strings.Fields(out)
	if len(f) < 3 || f[1] != "version" {
		return ""
	}
	return f[2]
}

// HasEncoder reports whether this build has the encoder.
func (t *Tool) HasEncoder(ctx context.Context, name string) (bool, error) {
	return t.has(ctx, "-encoders", name)
}

// HasDecoder reports whether this build has the decoder.
func (t *Tool) HasDecoder(ctx context.Context, name string) (bool, error) {
	return t.has(ctx, "-decoders", name)
}

// HasFilter reports whether this build has the filter.
func (t *Tool) HasFilter(ctx context.Context, name string) (bool, error) {
	return t.has(ctx, "-filters", name)
}

func (t *Tool) has(ctx context.Context, list, name string) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lists[list] == nil {
		out, err := t.output(ctx, t.ffmpeg, []string{"-hide_banner", list}, Job{})
		if err != nil {
			return false, errs.Wrap("ffmpeg "+list, err)
		}
		t.lists[list] = parseList(string(out))
	}
	return t.lists[list][name], nil
}

// parseList reads the second column of ffmpeg's lists: " V....D libx264  …".
// Legend lines have "=" there.
func parseList(out string) map[string]bool {
	names := map[string]bool{}
	for _, l := range lines(out) {
		if f := strings.Fields(l); len(f) >= 2 && strings.HasPrefix(l, " ") && f[1] != "=" {
			names[f[1]] = true
		}
	}
	return names
}

func lines(s string) []string { return strings.Split(s, "\n") }

func (t *Tool) command(ctx context.Context, path string, args []string, j Job) *sandbox.Cmd {
	p := sandbox.Policy{
		ReadPaths:  append(append([]string{}, t.opt.ReadPaths...), j.ReadPaths...),
		WritePaths: j.WritePaths, ConnectPorts: j.ConnectPorts,
		MaxMemory: j.MaxMemory, MaxFileSize: j.MaxFileSize,
	}
	if p.MaxMemory == 0 {
		p.MaxMemory = t.opt.MaxMemory
	}
	c := t.l.Command(ctx, p, path, args...)
	c.Dir, c.Stdin, c.Stdout = j.Dir, j.Stdin, j.Stdout
	c.Env = append(c.Env, "OMP_NUM_THREADS=1") // libraries that start threads nobody counts: vid.stab
	return c
}

// maxOutput bounds what is kept of an answer.
const maxOutput = 64 << 20

// output runs a program and returns its standard output.
func (t *Tool) output(ctx context.Context, path string, args []string, j Job) ([]byte, error) {
	out := limited{max: maxOutput}
	j.Stdout = &out
	if err := t.stream(ctx, path, args, j); err != nil {
		return nil, err
	}
	if out.over {
		return nil, errs.New(errs.TooLarge, "ffmpeg", "answer is longer than %d bytes", maxOutput)
	}
	return out.Bytes(), nil
}

// stream runs a program whose standard output goes to j.Stdout. ffprobe says
// nothing when reading ends early, so a connection that broke even once spoils
// the answer; a file cut short does not.
func (t *Tool) stream(ctx context.Context, path string, args []string, j Job) (err error) {
	ctx, traced := began(ctx, path, args)
	defer func() { traced.End(err) }()
	var log messages
	c := t.command(ctx, path, args, j)
	c.Stderr = log.writer()
	if err := log.verdict(c.Run(), false, Job{Tolerant: true}); err != nil {
		return err
	}
	if log.broken != "" {
		return &errs.Error{Kind: errs.Transient, Op: "ffmpeg", Msg: message(log.broken), Tail: log.tail.String()}
	}
	return nil
}

// limited is a buffer that drops what is over max, and says so.
type limited struct {
	bytes.Buffer
	max  int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > l.max {
		l.over = true
		return len(p), nil
	}
	return l.Buffer.Write(p)
}
