package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/app/cli/show"
)

// viewFlags are those of commands that show one thing of a server.
type viewFlags struct {
	serverFlags
	JSON bool `name:"json" env:"-" help:"Print JSON."`
}

// view asks a server for something and shows it.
func view[T any](v *viewFlags, std *std, ask func(*client.Client) (T, error), print func(io.Writer, T)) error {
	c, err := v.client()
	if err != nil {
		return err
	}
	got, err := ask(c)
	if err != nil {
		return err
	}
	if v.JSON {
		return show.JSON(std.out, got)
	}
	print(std.out, got)
	return nil
}

type poolsCmd struct{ viewFlags }

// Run shows what waits, for whom, and why.
func (p *poolsCmd) Run(ctx context.Context, std *std) error {
	return view(&p.viewFlags, std, func(c *client.Client) (*api.Pools, error) { return c.Pools(ctx) }, show.Pools)
}

type workersCmd struct{ viewFlags }

// Run shows the workers that offer themselves.
func (w *workersCmd) Run(ctx context.Context, std *std) error {
	return view(&w.viewFlags, std, func(c *client.Client) (*api.Workers, error) { return c.Workers(ctx) }, show.Workers)
}

type controllersCmd struct{ viewFlags }

// Run shows who is there and who has which duty.
func (k *controllersCmd) Run(ctx context.Context, std *std) error {
	return view(&k.viewFlags, std, func(c *client.Client) (*api.Controllers, error) { return c.Controllers(ctx) }, show.Controllers)
}

type pricesCmd struct{ viewFlags }

// Run shows what functions were learned to take.
func (p *pricesCmd) Run(ctx context.Context, std *std) error {
	return view(&p.viewFlags, std, func(c *client.Client) (*api.Prices, error) { return c.Prices(ctx) }, show.Prices)
}

// poolFlags name a pool to switch.
type poolFlags struct {
	viewFlags
	Pool string `arg:"" name:"pool" help:"Pool: cpu or gpu."`
}

func (p *poolFlags) set(std *std, change func(*client.Client) (*api.PoolSwitch, error)) error {
	return view(&p.viewFlags, std, change, func(w io.Writer, s *api.PoolSwitch) {
		state := "open"
		if s.Paused {
			state = "paused"
		}
		fmt.Fprintf(w, "pool %s: %s\n", s.Pool, state)
	})
}

type pauseCmd struct{ poolFlags }

// Run keeps a pool's work from being granted.
func (p *pauseCmd) Run(ctx context.Context, std *std) error {
	return p.set(std, func(c *client.Client) (*api.PoolSwitch, error) { return c.PausePool(ctx, p.Pool) })
}

type resumeCmd struct{ poolFlags }

// Run lets a pool's work go on.
func (p *resumeCmd) Run(ctx context.Context, std *std) error {
	return p.set(std, func(c *client.Client) (*api.PoolSwitch, error) { return c.ResumePool(ctx, p.Pool) })
}

// workerFlags name a worker to switch.
type workerFlags struct {
	viewFlags
	Worker string `arg:"" name:"worker" help:"Name of the worker, as mediafn workers shows it."`
}

func (f *workerFlags) set(std *std, change func(*client.Client) (*api.WorkerSwitch, error)) error {
	return view(&f.viewFlags, std, change, func(w io.Writer, s *api.WorkerSwitch) {
		state := "open"
		if s.Draining {
			state = "draining"
		}
		fmt.Fprintf(w, "worker %s: %s\n", s.Name, state)
	})
}

type drainCmd struct{ workerFlags }

// Run keeps work from a worker; what it runs it finishes.
func (d *drainCmd) Run(ctx context.Context, std *std) error {
	return d.set(std, func(c *client.Client) (*api.WorkerSwitch, error) { return c.Drain(ctx, d.Worker) })
}

type undrainCmd struct{ workerFlags }

// Run gives a worker work again.
func (d *undrainCmd) Run(ctx context.Context, std *std) error {
	return d.set(std, func(c *client.Client) (*api.WorkerSwitch, error) { return c.Undrain(ctx, d.Worker) })
}
