package cli

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/nats"
)

type resultsCmd struct {
	Queue   string        `name:"queue" required:"" help:"NATS servers: nats://HOST:PORT,nats://HOST:PORT."`
	Tenant  string        `name:"tenant" env:"-" default:"default" help:"Tenant whose results to take."`
	Durable string        `name:"durable" env:"-" help:"Name of the position in the queue; readers of one name share the results. Default: cli and the tenant's name."`
	Follow  bool          `name:"follow" short:"f" env:"-" help:"Wait for more, until interrupted."`
	Idle    time.Duration `name:"idle" env:"-" default:"1s" help:"Without --follow: stop when nothing came for so long."`
}

// Help says what is printed.
func (*resultsCmd) Help() string {
	return `Each result is one line of JSON, the body a webhook would have had. It is acknowledged when it is printed, and does not
come again to readers of the same name.`
}

// Run takes results from a tenant's result queue.
func (r *resultsCmd) Run(ctx context.Context, std *std) error {
	conn, err := nats.Open(ctx, r.Queue, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	q, err := queue.New(conn, queue.Default())
	if err != nil {
		return err
	}
	defer func() { _ = q.Close(context.WithoutCancel(ctx)) }()
	name := r.Durable
	if name == "" {
		name = "cli-" + strings.Map(nameRune, r.Tenant)
	}
	c, err := q.Consume(ctx, job.StreamResults, queue.Durable{Name: name, Filter: job.ResultSubject(r.Tenant)})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for ctx.Err() == nil {
		wait, cancel := ctx, context.CancelFunc(func() {})
		if !r.Follow {
			wait, cancel = context.WithTimeout(ctx, r.Idle)
		}
		got, err := c.Fetch(wait, 100)
		cancel()
		if err != nil && wait.Err() == nil {
			return err
		}
		for _, d := range got {
			if _, err := std.out.Write(append(bytes.TrimSpace(d.Data), '\n')); err != nil {
				return errs.As(errs.Internal, "output", err) // it comes again
			}
			if err := d.Ack(); err != nil {
				return err
			}
		}
		if len(got) == 0 && !r.Follow {
			return nil
		}
	}
	return nil
}

// nameRune keeps what may stand in a durable's name.
func nameRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
		return r
	}
	return '_'
}
