package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/goccy/go-yaml"

	"github.com/alecthomas/kong"

	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/core/errs"
)

type serveCmd struct {
	app.Config `embed:""`
}

// Run plays the roles until it is told to stop.
func (s *serveCmd) Run(ctx context.Context, std *std) (err error) {
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

// configFile reads a YAML or JSON file as one more source of flags.
func configFile(r io.Reader) (kong.Resolver, error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(body, &values); err != nil {
		return nil, errs.New(errs.Invalid, "config", "%s", yaml.FormatError(err, false, true))
	}
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if len(flag.Envs) == 0 {
			return nil, nil // what is no setting has neither a variable nor a key
		}
		return values[flag.Name], nil
	}), nil
}
