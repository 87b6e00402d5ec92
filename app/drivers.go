package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/file"
	blobmem "github.com/mediafn/mediafn/ports/blob/mem"
	"github.com/mediafn/mediafn/ports/queue"
	queuedriver "github.com/mediafn/mediafn/ports/queue/driver"
	queuemem "github.com/mediafn/mediafn/ports/queue/mem"
	"github.com/mediafn/mediafn/ports/queue/nats"
	"github.com/mediafn/mediafn/ports/state"
	statedriver "github.com/mediafn/mediafn/ports/state/driver"
	"github.com/mediafn/mediafn/ports/state/postgres"
	"github.com/mediafn/mediafn/ports/state/sqlite"
)

// maxPayload bounds one message: facts with a list of every keyframe fit. NATS
// advises against more than 8 MiB, headers included.
const maxPayload = 8<<20 - 16<<10

func openState(ctx context.Context, c *Config) (*state.Store, error) {
	scheme, rest, _ := strings.Cut(c.State, ":")
	var d statedriver.Driver
	var err error
	switch scheme {
	case "sqlite":
		d, err = sqlite.Open(rest)
	case "postgres", "postgresql":
		d, err = postgres.Open(ctx, c.State)
	default: // it may have a password: only its scheme is shown
		err = errs.New(errs.Invalid, "config", "state: %q is no database this build knows (sqlite:PATH, postgres://…)", scheme)
	}
	if err != nil {
		return nil, err
	}
	s, err := state.New(ctx, d)
	if err != nil {
		_ = d.Close()
	}
	return s, err
}

// streams are what the roles keep in the queue beside plain messages.
var streams = []queue.Stream{
	{Name: job.StreamAnswers, Subjects: []string{job.StreamAnswers}, MaxAge: 24 * time.Hour, UntilAcked: true, Dedup: 2 * time.Minute},
	{Name: job.StreamAnswered, Subjects: []string{job.StreamAnswered + ".*"}, MaxAge: 24 * time.Hour, UntilAcked: true, Dedup: 2 * time.Minute},
	{Name: job.StreamResults, Subjects: []string{job.StreamResults + ".*"}, MaxAge: 7 * 24 * time.Hour, MaxBytes: 1 << 30, Dedup: 10 * time.Minute},
}

func openQueue(ctx context.Context, c *Config, log *slog.Logger) (*queue.Queue, error) {
	conn, err := dialQueue(ctx, c, log)
	if err != nil {
		return nil, err
	}
	cfg := queue.Default()
	cfg.MaxPayload = maxPayload
	q, err := queue.New(conn, cfg)
	if err != nil {
		return nil, err
	}
	for _, s := range streams {
		s.Replicas = max(c.QueueReplicas, 1)
		if err := q.Declare(ctx, s); err != nil {
			_ = q.Close(ctx)
			return nil, err
		}
	}
	return q, nil
}

func dialQueue(ctx context.Context, c *Config, log *slog.Logger) (queuedriver.Conn, error) {
	switch {
	case c.Queue == "embedded":
		return nats.Embed(ctx, nats.Options{Dir: filepath.Join(c.Data, "queue"), MaxPayload: maxPayload + 8<<10, Log: log})
	case c.Queue == "mem":
		return queuemem.New(queuemem.Options{}), nil
	case strings.HasPrefix(c.Queue, "nats://"):
		return nats.Open(ctx, c.Queue, log)
	}
	return nil, errs.New(errs.Invalid, "config", "queue: %q is none of embedded, mem, nats://HOST:PORT", c.Queue)
}

func openBlobs(c *Config) (*blob.Stores, error) {
	stores := blob.NewStores()
	for _, text := range c.Blobs {
		name, where, ok := strings.Cut(text, "=")
		scheme, rest, _ := strings.Cut(where, ":")
		var s *blob.Store
		var err error
		switch {
		case ok && scheme == "file" && rest != "":
			s, err = file.Open(rest, blob.Default())
		case ok && scheme == "mem":
			s, err = blobmem.Open(1<<30, blob.Default())
		default:
			err = errs.New(errs.Invalid, "config", "blobs: %q is not NAME=file:FOLDER or NAME=mem:", text)
		}
		if err == nil {
			err = stores.Add(name, s)
		}
		if err != nil {
			_ = stores.Close()
			return nil, err
		}
	}
	return stores, nil
}
