package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/mediafn/mediafn/app"
)

type serveCmd struct {
	app.Config `embed:""`
}

// Run plays the roles until it is told to stop.
func (s *serveCmd) Run(ctx context.Context, std *std) (err error) {
	if s.Tenants, err = std.settings.Tenants(); err != nil {
		return err
	}
	log := logger(std.err, s.LogLevel, s.LogFormat)
	a, err := app.Open(ctx, s.Config, log)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := a.Close(); err == nil {
			err = cerr
		}
	}()
	if address := a.Address(); address != "" {
		fmt.Fprintf(std.out, "mediafn listens on http://%s\n", address)
	}
	return a.Run(ctx)
}

func logger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // an enum flag: always a level
	opt := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opt))
	}
	return slog.New(slog.NewTextHandler(w, opt))
}
