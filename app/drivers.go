package app

import (
	"context"
	"log/slog"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/file"
	blobmem "github.com/mediafn/mediafn/ports/blob/mem"
	"github.com/mediafn/mediafn/ports/blob/s3"
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

// An opener opens what an address of the configuration names. Addresses are
// read first and opened later, so that serve --check can do the one without the
// other.
type opener[T any] func(ctx context.Context) (T, error)

func parseState(c *Config) (opener[*state.Store], error) {
	scheme, rest, _ := strings.Cut(c.State, ":")
	var open func(ctx context.Context) (statedriver.Driver, error)
	switch {
	case scheme == "sqlite" && rest != "":
		open = func(context.Context) (statedriver.Driver, error) { return sqlite.Open(rest) }
	case scheme == "postgres" || scheme == "postgresql":
		if err := postgres.Check(c.State); err != nil {
			return nil, err
		}
		open = func(ctx context.Context) (statedriver.Driver, error) { return postgres.Open(ctx, c.State) }
	default: // it may have a password: only its scheme is shown
		return nil, errs.New(errs.Invalid, "config", "state: %q is no database this build knows (sqlite:PATH, postgres://…)", scheme)
	}
	return func(ctx context.Context) (*state.Store, error) {
		d, err := open(ctx)
		if err != nil {
			return nil, err
		}
		s, err := state.New(ctx, d)
		if err != nil {
			_ = d.Close()
		}
		return s, err
	}, nil
}

func openState(ctx context.Context, c *Config) (*state.Store, error) {
	open, err := parseState(c)
	if err != nil {
		return nil, err
	}
	return open(ctx)
}

// streams are what the roles keep in the queue beside plain messages.
var streams = []queue.Stream{
	{Name: job.StreamAnswers, Subjects: []string{job.StreamAnswers}, MaxAge: 24 * time.Hour, UntilAcked: true, Dedup: 2 * time.Minute},
	{Name: job.StreamAnswered, Subjects: []string{job.StreamAnswered + ".*"}, MaxAge: 24 * time.Hour, UntilAcked: true, Dedup: 2 * time.Minute},
	{Name: job.StreamResults, Subjects: []string{job.StreamResults + ".*"}, MaxAge: 7 * 24 * time.Hour, MaxBytes: 1 << 30, Dedup: 10 * time.Minute},
}

func openQueue(ctx context.Context, c *Config, observe func(string, int, time.Duration, error), log *slog.Logger) (*queue.Queue, error) {
	dial, err := parseQueue(c, log)
	if err != nil {
		return nil, err
	}
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	cfg := queue.Default()
	cfg.MaxPayload, cfg.Observe = maxPayload, observe
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

func parseQueue(c *Config, log *slog.Logger) (opener[queuedriver.Conn], error) {
	switch {
	case c.Queue == "embedded":
		return func(ctx context.Context) (queuedriver.Conn, error) {
			return nats.Embed(ctx, nats.Options{Dir: filepath.Join(c.Data, "queue"), MaxPayload: maxPayload + 8<<10, Log: log})
		}, nil
	case c.Queue == "mem":
		return func(context.Context) (queuedriver.Conn, error) { return queuemem.New(queuemem.Options{}), nil }, nil
	case strings.HasPrefix(c.Queue, "nats://"), strings.HasPrefix(c.Queue, "tls://"):
		for _, address := range strings.Split(c.Queue, ",") {
			if u, err := url.Parse(strings.TrimSpace(address)); err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Host == "" {
				return nil, errs.New(errs.Invalid, "config", "queue: %q is not nats://HOST:PORT or tls://HOST:PORT", redact(address))
			}
		}
		return func(ctx context.Context) (queuedriver.Conn, error) { return dialNATS(ctx, c.Queue, log) }, nil
	}
	return nil, errs.New(errs.Invalid, "config", "queue: %q is none of embedded, mem, nats://HOST:PORT, tls://HOST:PORT", redact(c.Queue))
}

// dialNATS refuses servers that would refuse what is sent to them, some day.
func dialNATS(ctx context.Context, urls string, log *slog.Logger) (queuedriver.Conn, error) {
	conn, err := nats.Open(ctx, urls, log)
	if err != nil {
		return nil, err
	}
	if limit := conn.MaxPayload(); limit < maxPayload {
		_ = conn.Close(ctx)
		return nil, errs.New(errs.Invalid, "config", "queue: the NATS servers take messages of %d bytes only: set max_payload: 8MB in their configuration", limit)
	}
	return conn, nil
}

func parseBlob(text string) (name string, open opener[*blob.Store], err error) {
	name, where, ok := strings.Cut(text, "=")
	scheme, rest, _ := strings.Cut(where, ":")
	switch {
	case ok && scheme == "file" && rest != "":
		folder, cold, tiered := strings.Cut(rest, "?cold=")
		if tiered && (folder == "" || cold == "") {
			return "", nil, errs.New(errs.Invalid, "config", "blobs: %s: %q is not FOLDER?cold=FOLDER", name, rest)
		}
		return name, func(context.Context) (*blob.Store, error) {
			if tiered {
				return file.OpenTiered(folder, cold, blob.Default())
			}
			return file.Open(folder, blob.Default())
		}, nil
	case ok && scheme == "mem":
		return name, func(context.Context) (*blob.Store, error) { return blobmem.Open(1<<30, blob.Default()) }, nil
	case ok && scheme == "s3":
		o, err := s3.Parse(where)
		if err != nil {
			return "", nil, errs.New(errs.Invalid, "config", "blobs: %s: %w", name, err)
		}
		return name, func(context.Context) (*blob.Store, error) { return s3.Open(o, blob.Default()) }, nil
	}
	return "", nil, errs.New(errs.Invalid, "config", "blobs: %q is not NAME=file:FOLDER, NAME=s3://HOST?region=R or NAME=mem:", redact(text))
}

func openBlobs(ctx context.Context, c *Config) (*blob.Stores, error) {
	stores := blob.NewStores()
	for _, text := range c.Blobs {
		name, open, err := parseBlob(text)
		var s *blob.Store
		if err == nil {
			s, err = open(ctx)
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

// redact hides passwords in addresses, which may be several, comma between. They
// may hold a / that should have been percent-encoded.
func redact(addresses string) string { return secrets.ReplaceAllString(addresses, "://…@") }

var secrets = regexp.MustCompile(`://[^,]*@`)
