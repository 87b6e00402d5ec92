package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// told is a log handler that passes on each message.
type told struct {
	slog.Handler
	messages chan string
}

func (t told) Handle(_ context.Context, r slog.Record) error { t.messages <- r.Message; return nil }

func TestHangupReadsTheConfigurationAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mediafn.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log-level: info\n")
	level := new(slog.LevelVar)
	messages := make(chan string, 1)
	log := slog.New(told{slog.NewTextHandler(io.Discard, nil), messages})
	stop := reloadOnHangup([]string{"serve", "--config", path}, level, log, func() error { return errors.New("a faulty file") })
	defer stop()
	for _, c := range []struct {
		text string
		want slog.Level
		says string
	}{
		{"log-level: warn\n", slog.LevelWarn, "configuration read again"},
		{"log-level: shout\n", slog.LevelWarn, "configuration not read again"},
		{"log-levle: debug\n", slog.LevelWarn, "configuration not read again"},
		{"log-level: debug\n", slog.LevelDebug, "configuration read again"},
	} {
		write(c.text)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if said := <-messages; said != c.says || level.Level() != c.want {
			t.Errorf("%q: %q, level %s, want %q and %s", c.text, said, level.Level(), c.says, c.want)
		}
		if c.says != "configuration read again" {
			continue
		}
		if said := <-messages; said != "flows not read again" { // they were tried
			t.Errorf("%q: then %q", c.text, said)
		}
	}
}
