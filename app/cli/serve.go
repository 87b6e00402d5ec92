package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/app/cli/settings"
)

type serveCmd struct {
	app.Config `embed:""`

	Check bool `name:"check" env:"-" help:"Read the configuration, say what would be opened, and end: 0 = it is sound, 2 = it is not."`
}

// Run plays the roles until it is told to stop.
func (s *serveCmd) Run(ctx context.Context, std *std) (err error) {
	if s.Tenants, err = std.settings.Tenants(); err != nil {
		return err
	}
	if s.Check {
		lines, err := s.Config.Check()
		for _, line := range lines {
			fmt.Fprintln(std.out, line)
		}
		return err
	}
	level := new(slog.LevelVar)
	_ = level.UnmarshalText([]byte(s.LogLevel)) // an enum flag: always a level
	log := logger(std.err, level, s.LogFormat)
	var running atomic.Pointer[app.App]
	defer reloadOnHangup(std.args, level, log, func() error {
		if a := running.Load(); a != nil {
			return a.ReloadFlows(ctx)
		}
		return nil
	})()
	a, err := app.Open(ctx, s.Config, log)
	if err != nil {
		return err
	}
	running.Store(a)
	defer func() {
		if cerr := a.Close(); err == nil {
			err = cerr
		}
	}()
	if address := a.Address(); address != "" {
		fmt.Fprintf(std.out, "mediafn listens on http://%s\n", address)
	}
	if address := a.OpsAddress(); address != "" {
		fmt.Fprintf(std.out, "metrics and health on http://%s\n", address)
	}
	return a.Run(ctx)
}

// reloadOnHangup reads the configuration and the folder of flows again at every
// SIGHUP, until stop is called. The level of the log and the flows change at
// once; the rest is read at a start, since what runs was opened with it.
func reloadOnHangup(args []string, level *slog.LevelVar, log *slog.Logger, flows func() error) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	var done sync.WaitGroup
	done.Go(func() {
		for range hangups {
			fresh, err := parseServe(args)
			if err != nil {
				log.Error("configuration not read again", "err", err)
				continue
			}
			_ = level.UnmarshalText([]byte(fresh.LogLevel))
			log.Info("configuration read again", "log-level", fresh.LogLevel)
			if err := flows(); err != nil {
				log.Error("flows not read again", "err", err)
			}
		}
	})
	return func() {
		signal.Stop(hangups)
		close(hangups)
		done.Wait()
	}
}

// parseServe reads the command line, the environment and the file anew.
func parseServe(args []string) (*serveCmd, error) {
	var c commands
	s := &std{in: strings.NewReader(""), out: io.Discard, err: io.Discard, args: args, settings: settings.File{}}
	parser, err := s.parser(context.Background(), &c, func(int) {})
	if err != nil {
		return nil, err
	}
	_, err = parser.Parse(args)
	return &c.Serve, err
}

func logger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	opt := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opt))
	}
	return slog.New(slog.NewTextHandler(w, opt))
}
