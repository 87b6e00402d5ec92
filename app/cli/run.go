package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/app/cli/outputs"
	"github.com/mediafn/mediafn/app/cli/progress"
	"github.com/mediafn/mediafn/app/cli/show"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

type runCmd struct {
	requestFlags
	toolFlags
	JSON  bool `name:"json" env:"-" help:"Print the callback as JSON."`
	Quiet bool `name:"quiet" short:"q" env:"-" help:"No progress, no summary."`
}

// toolFlags say with what a command works on this machine.
type toolFlags struct {
	Temp        string   `name:"temp" env:"-" placeholder:"DIR" help:"Where the temporary folder is made. Default: the system's place."`
	Cores       int      `name:"cores" env:"-" help:"Cores to keep busy. Default: all."`
	Memory      string   `name:"memory" env:"-" help:"Memory running work may be priced at, as 8GiB. Default: three quarters of the machine's."`
	Engine      string   `name:"engine" help:"Path of mediafn-engine. Default: beside this binary, then in PATH."`
	EgressAllow []string `name:"egress-allow" help:"Private addresses that may be fetched: CIDR, host or host:port."`
}

func (t *toolFlags) local() app.LocalConfig {
	return app.LocalConfig{Temp: t.Temp, Cores: t.Cores, Memory: t.Memory, Engine: t.Engine, EgressAllow: t.EgressAllow}
}

// Help explains inputs and outputs.
func (*runCmd) Help() string {
	return `No server is needed. Inputs are files, http(s) URLs or - (standard input). Outputs are files, folders
(ending in / or there already; results keep their names) or - (standard output). Several results for one file name are
numbered. Results appear whole or not at all. Facts of functions that make no file are printed as JSON.

Exit codes: 0 done, 1 failed, 2 wrong request, 3 refused (denied, unsupported, too large), 4 try again.`
}

// Run carries out one request in this process.
func (r *runCmd) Run(ctx context.Context, std *std) (err error) {
	body, err := r.request()
	if err != nil {
		return err
	}
	l, err := app.OpenLocal(ctx, r.local(), logger(std.err, slog.LevelError, "text"))
	if err != nil {
		return err
	}
	defer func() {
		cerr := l.Close()
		if ctx.Err() != nil {
			err = errs.New(errs.Canceled, "run", "stopped; nothing is left")
		} else if err == nil {
			err = cerr
		}
	}()
	for i, in := range r.Inputs {
		ref, err := r.input(l, in, i, std)
		if err != nil {
			return err
		}
		body.Inputs = append(body.Inputs, ref)
	}
	accepted, err := l.Client.Submit(ctx, body, 0)
	if err != nil {
		return err
	}
	ended, err := progress.Follow(ctx, l.Client, accepted.TaskID, progress.New(std.err, r.Quiet))
	if err != nil {
		return err
	}
	return r.finish(ctx, l, show.CallbackOf(ended, body.Extra.UserData), std)
}

// request is what can be said without looking at the inputs.
func (r *runCmd) request() (*api.Submit, error) {
	functions, book, err := app.Offer()
	if err != nil {
		return nil, err
	}
	o := offer{functions, book}
	spec, _, err := o.spec(r.Cmd)
	if err != nil {
		return nil, err
	}
	if spec != nil {
		if _, err := spec.Assign(len(r.Inputs)); err != nil {
			return nil, err
		}
	}
	if err := outputs.Check(spec, r.Outputs); err != nil {
		return nil, err
	}
	body := &api.Submit{Cmd: r.Cmd}
	if body.Params, err = params(spec, r.Params); err != nil {
		return nil, err
	}
	body.Extra, err = extra(r.Extra, time.Now())
	return body, err
}

// input makes one -i readable. Standard input is copied first: functions read
// at random.
func (r *runCmd) input(l *app.Local, text string, i int, std *std) (media.Ref, error) {
	if text != "-" {
		ref, err := l.Input(text)
		return ref, named(err, i)
	}
	path := l.Temp("stdin")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return media.Ref{}, errs.InField("input", "- is there twice")
	}
	if err != nil {
		return media.Ref{}, errs.As(errs.Internal, "input", err)
	}
	_, err = io.Copy(f, std.in)
	if err = errors.Join(err, f.Close()); err != nil {
		return media.Ref{}, errs.As(errs.Internal, "standard input", err)
	}
	return l.Give(path)
}

// finish puts the results in their places and says what there is to say.
func (r *runCmd) finish(ctx context.Context, l *app.Local, c *api.Callback, std *std) error {
	if !c.Success {
		if r.JSON {
			if err := show.JSON(std.out, c); err != nil {
				return err
			}
		}
		return show.Outcome(c)
	}
	paths, err := outputs.Targets(r.Outputs, c.Outputs)
	if err != nil {
		return err
	}
	fetch := func(i int, w io.Writer) error {
		f := c.Outputs[i]
		return l.Fetch(ctx, media.Ref{Cloud: f.Cloud, Bucket: f.Bucket, Key: f.Key}, w)
	}
	if len(paths) == 1 && paths[0] == outputs.Stdout {
		if err := fetch(0, std.out); err != nil {
			return err
		}
	} else if err := outputs.Put(paths, fetch); err != nil {
		return err
	}
	found := show.Facts(c.Result)
	switch {
	case r.JSON:
		if len(paths) == 1 && paths[0] == outputs.Stdout {
			return show.JSON(std.err, c)
		}
		return show.JSON(std.out, c)
	case len(paths) == 0 && found != nil:
		if err := show.JSON(std.out, found); err != nil {
			return err
		}
	}
	if !r.Quiet {
		show.Result(std.err, c, paths)
	}
	return nil
}

// named says which input an error is about.
func named(err error, i int) error {
	if err == nil {
		return nil
	}
	return &errs.Error{Kind: errs.KindOf(err), Msg: "input " + ordinal(i), Err: err}
}
