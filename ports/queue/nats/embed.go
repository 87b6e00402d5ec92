package nats

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/mediafn/mediafn/core/errs"
)

// SyncAlways, as Options.Sync, keeps acknowledged messages through power loss.
const SyncAlways time.Duration = -1

// Options describes an embedded server.
type Options struct {
	Dir string // where streams are kept; created if missing, used by one process at a time

	// Sync says how often stored messages are forced to the disk; 0 means every
	// second. An acknowledged message survives a kill of the process in any case;
	// power loss takes at most the last interval, and messages can be derived from
	// rows again. SyncAlways syncs before each acknowledgement, at about a tenth of
	// the speed.
	Sync time.Duration

	MaxStore   int64 // bytes of all streams, 0 means 4 GiB
	MaxPayload int32 // bytes of one message with its headers, 0 means 1 MiB + 8 KiB
	MaxPending int64 // bytes the server buffers for one slow connection, 0 means 64 MiB

	Host  string // listen here for other processes; "" means no listener at all
	Port  int    // with Host: 0 means any free port
	Token string // what clients must present: Open(ctx, "nats://token@host:port", …); "" means nothing

	Log *slog.Logger // nil means silence
}

// Server is the part of a Conn that runs in this process.
type Server struct {
	s       *server.Server
	lock    *os.File
	started chan struct{}
	dead    chan struct{}
}

// Embed starts a server with its streams under o.Dir and connects to it in
// memory. Closing the Conn shuts the server down. Conflict: another process uses
// o.Dir. Invalid: an option is out of range. ctx bounds the start only.
func Embed(ctx context.Context, o Options) (*Conn, error) {
	const op = "nats.embed"
	if o.Dir == "" {
		return nil, errs.Wrap(op, errs.InField("queue.dir", "is empty"))
	}
	if o.MaxStore < 0 || o.MaxPayload < 0 || o.MaxPending < 0 || o.Sync < SyncAlways || o.Port < 0 || o.Port > 65535 {
		return nil, errs.Wrap(op, errs.InField("queue", "sizes and port must not be negative, port at most 65535"))
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	opts := serverOptions(o)
	s, err := server.NewServer(opts)
	if err != nil {
		lock.Close()
		return nil, errs.As(errs.Invalid, op, err)
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if ip := net.ParseIP(o.Host); o.Host != "" && o.Host != "localhost" && (ip == nil || !ip.IsLoopback()) && o.Token == "" {
		log.Warn("the embedded queue listens for other machines and asks for no token", "host", o.Host)
	}
	fatal := make(chan string, 1)
	s.SetLoggerV2(&slogger{log: log, fatal: fatal}, false, false, false)
	srv := &Server{s: s, lock: lock, started: make(chan struct{}), dead: make(chan struct{})}
	go func() {
		s.Start()
		close(srv.started)
		s.WaitForShutdown()
		close(srv.dead)
	}()
	if err := srv.ready(ctx, fatal); err != nil {
		_ = srv.stop(context.WithoutCancel(ctx)) // the first error says more
		return nil, errs.Wrap(op, err)
	}
	conn, err := connect("", log, nats.InProcessServer(s), nats.MaxReconnects(-1), nats.Token(o.Token))
	if err != nil {
		_ = srv.stop(context.WithoutCancel(ctx))
		return nil, errs.Wrap(op, err)
	}
	conn.server = srv
	if err := srv.answers(ctx, conn); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx)) // the first error says more
		return nil, errs.Wrap(op, err)
	}
	return conn, nil
}

// Address is where an embedded server listens ("nats://host:port"), or "".
func (c *Conn) Address() string {
	if c.server == nil || c.server.s.Addr() == nil {
		return ""
	}
	return c.server.s.ClientURL()
}

func serverOptions(o Options) *server.Options {
	opts := &server.Options{
		ServerName: fmt.Sprintf("mediafn-%d", os.Getpid()),
		DontListen: o.Host == "", Host: o.Host, Port: o.Port,
		NoSigs: true, NoLog: true, DisableJetStreamBanner: true,
		MaxPayload: o.MaxPayload, MaxPending: o.MaxPending, Authorization: o.Token,
		JetStream: true, StoreDir: o.Dir, JetStreamMaxStore: o.MaxStore,
		JetStreamMaxMemory: 64 << 20, // no stream of ours is kept in memory
		SyncAlways:         o.Sync == SyncAlways, SyncInterval: o.Sync,
		LameDuckDuration: time.Second, LameDuckGracePeriod: 100 * time.Millisecond,
	}
	if opts.Host != "" && opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	switch o.Sync {
	case 0:
		opts.SyncInterval = time.Second
	case SyncAlways:
		opts.SyncInterval = 2 * time.Minute // for what is not a message
	}
	if opts.JetStreamMaxStore == 0 {
		opts.JetStreamMaxStore = 4 << 30
	}
	if opts.MaxPayload == 0 {
		opts.MaxPayload = 1<<20 + 8<<10 // room for headers beside the data
	}
	if opts.MaxPending == 0 {
		opts.MaxPending = 64 << 20
	}
	return opts
}

// ready waits until Start has returned. The server calls itself running, and its API
// answers, before all streams are recovered: until then they seem not to exist.
func (s *Server) ready(ctx context.Context, fatal <-chan string) error {
	select {
	case <-ctx.Done():
		return errs.New(errs.KindOf(ctx.Err()), "nats.start", "the embedded server did not come up: %w", ctx.Err())
	case msg := <-fatal:
		return errs.New(errs.Internal, "nats.start", "%s", msg)
	case <-s.dead:
		return errs.New(errs.Internal, "nats.start", "the embedded server stopped at once")
	case <-s.started:
	}
	select {
	case msg := <-fatal: // said before Start returned
		return errs.New(errs.Internal, "nats.start", "%s", msg)
	default:
	}
	if !s.s.JetStreamEnabled() {
		return errs.New(errs.Internal, "nats.start", "the embedded server came up without its store")
	}
	return nil
}

// answers makes sure that the streams' API is served.
func (s *Server) answers(ctx context.Context, c *Conn) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := c.js.AccountInfo(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errs.New(errs.KindOf(ctx.Err()), "nats.start", "the embedded server does not answer: %w", err)
		case <-s.dead:
			return errs.New(errs.Internal, "nats.start", "the embedded server stopped at once")
		case <-tick.C:
		}
	}
}

func (s *Server) stop(ctx context.Context) error {
	s.s.Shutdown()
	select {
	case <-s.dead:
		s.lock.Close()
		return nil
	case <-ctx.Done():
		return errs.Wrap("nats.stop", ctx.Err())
	}
}

// lockDir keeps a second process away from the same files. The lock goes with
// the process, however that ends.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, errs.As(errs.Invalid, "nats.dir", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, errs.As(errs.Invalid, "nats.dir", err)
	}
	if err := flock(f); err != nil {
		f.Close()
		return nil, errs.New(errs.Conflict, "nats.dir", "another process uses %s: %w", dir, err)
	}
	return f, nil
}
