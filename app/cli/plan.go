package cli

import (
	"context"
	"log/slog"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/app/cli/sending"
	"github.com/mediafn/mediafn/app/cli/show"
	"github.com/mediafn/mediafn/core/task"
)

type planCmd struct {
	toolFlags
	File    string            `arg:"" help:"The video: a file or an http(s) URL; with a server also BUCKET/KEY there."`
	Others  []string          `name:"input" short:"i" sep:"none" env:"-" placeholder:"IN" help:"Further input of the function; may be repeated."`
	Fn      string            `name:"fn" env:"-" default:"video.transcode" help:"The function."`
	Params  map[string]string `name:"param" short:"p" mapsep:"none" env:"-" placeholder:"NAME=VALUE" help:"Parameter of the function; may be repeated."`
	Slice   string            `name:"slice" env:"-" enum:"auto,force,off" default:"auto" help:"As extra.slice of a request: auto, force or off."`
	Workers []int             `name:"workers" env:"-" default:"1,2,4,8,16,32,64,128,256,512,1000" help:"Numbers of cores to predict for."`
	Server  string            `name:"server" env:"-" help:"Ask this server, which knows its cores and has learned prices. Default: this machine, with declared prices."`
	Key     string            `name:"key" help:"API key, where the server asks for one."`
	JSON    bool              `name:"json" env:"-" help:"Print JSON."`
}

// Help says what is told.
func (*planCmd) Help() string {
	return `Nothing is carried out. Shown are whether the video would be sliced now and why, the slices, what is predicted for
the cores there are, and the same model's curve for other numbers of them, with slicing forced. A file that a server is
asked about is uploaded to the bucket "inputs".`
}

// Run asks for the plan of one request.
func (p *planCmd) Run(ctx context.Context, std *std) (err error) {
	functions, book, err := app.Offer()
	if err != nil {
		return err
	}
	o := offer{functions, book}
	spec, _, err := o.spec(p.Fn)
	if err != nil {
		return err
	}
	ask := &api.PlanRequest{Cmd: p.Fn, Slice: p.Slice, Workers: p.Workers}
	if ask.Params, err = params(spec, p.Params); err != nil {
		return err
	}
	body, inputs := &api.Submit{MsgID: task.NewID()}, append([]string{p.File}, p.Others...)
	var c *client.Client
	if p.Server != "" {
		if c, err = client.New(p.Server, p.Key, nil); err != nil {
			return err
		}
		s := submitCmd{requestFlags: requestFlags{Inputs: inputs}}
		files := sending.Files{Client: c}
		defer files.Close()
		err := s.inputs(ctx, &files, body)
		if err == nil {
			err = files.Send(ctx, sending.Quietly(std.err), std.err)
		}
		if err != nil {
			files.Undo(ctx, err)
			return err
		}
	} else {
		l, err := app.OpenLocal(ctx, p.local(), logger(std.err, slog.LevelError, "text"))
		if err != nil {
			return err
		}
		defer func() {
			if cerr := l.Close(); err == nil {
				err = cerr
			}
		}()
		c, ask.Cores = l.Client, l.Cores()
		for i, in := range inputs {
			ref, err := l.Input(in)
			if err != nil {
				return named(err, i)
			}
			body.Inputs = append(body.Inputs, ref)
		}
	}
	ask.Inputs = body.Inputs
	plan, err := c.Plan(ctx, ask)
	if err != nil {
		return err
	}
	if p.JSON {
		return show.JSON(std.out, plan)
	}
	show.Plan(std.out, plan)
	return nil
}
