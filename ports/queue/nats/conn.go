// Package nats carries messages over NATS: plain ones over core NATS, stored
// ones over JetStream. Open connects to a cluster; Embed starts a server inside
// this process, which needs no port.
package nats

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue/driver"
)

const (
	patience     = 10 * time.Second // for one round trip where ctx sets no deadline
	unanswered   = 5 * time.Second  // until an append counts as lost: another server leads by then
	asyncPending = 16384            // appended entries not yet acknowledged, all callers together
	subMsgs      = 65536            // client-side buffer of a subscription; package queue drains it without waiting
	subBytes     = 64 << 20
)

// Conn implements driver.Conn.
type Conn struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	server *Server // nil unless embedded

	closed  chan struct{}
	once    sync.Once
	gone    chan struct{} // closed when nc is
	dropped atomic.Uint64
}

// Open connects to the servers in urls ("nats://a:4222,nats://b:4222", "tls://…";
// USER:PASSWORD@ or TOKEN@ before a host), and keeps reconnecting for ever once
// it has, to whichever of them, or of those they name, is there. log may be nil.
// Invalid: urls can't be read. Denied: they don't let us in.
func Open(ctx context.Context, urls string, log *slog.Logger, more ...nats.Option) (*Conn, error) {
	for i, text := range strings.Split(urls, ",") {
		if u, err := url.Parse(strings.TrimSpace(text)); err != nil || u.Hostname() == "" { // the error would show the password
			return nil, errs.New(errs.Invalid, "nats.connect", "address %d is no URL", i+1)
		}
	}
	opts := append([]nats.Option{nats.MaxReconnects(-1)}, more...)
	if d, ok := ctx.Deadline(); ok {
		opts = append(opts, nats.Timeout(max(time.Until(d), time.Millisecond)))
	}
	return connect(urls, log, opts...)
}

func connect(url string, log *slog.Logger, more ...nats.Option) (*Conn, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Conn{closed: make(chan struct{}), gone: make(chan struct{})}
	opts := append([]nats.Option{
		nats.Name("mediafn"),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, time.Second),
		nats.ReconnectBufSize(8 << 20),
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(3),
		nats.IgnoreAuthErrorAbort(), // a server that starts may not know us yet
		nats.ClosedHandler(func(*nats.Conn) { close(c.gone) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("connection to nats lost", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { log.Info("connected to nats again", "url", nc.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			// A flood of these is counted, and told at powers of two.
			if n := c.dropped.Add(1); n&(n-1) == 0 {
				subject := ""
				if sub != nil {
					subject = sub.Subject
				}
				log.Warn("nats client", "err", err, "subject", subject, "times", n)
			}
		}),
	}, more...)
	var err error
	if c.nc, err = nats.Connect(url, opts...); err != nil {
		return nil, classify("nats.connect", err)
	}
	c.js, err = jetstream.New(c.nc,
		jetstream.WithPublishAsyncMaxPending(asyncPending),
		jetstream.WithPublishAsyncTimeout(unanswered),
		jetstream.WithDefaultTimeout(patience))
	if err != nil {
		c.nc.Close()
		return nil, classify("nats.jetstream", err)
	}
	return c, nil
}

// within gives ctx a deadline if it has none, and ends it with the Conn.
func (c *Conn) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, patience)
}

// Publish implements driver.Conn. The server answers a message with a reply
// subject that nobody hears with status 503.
func (c *Conn) Publish(ctx context.Context, m driver.Msg) error {
	if err := ctx.Err(); err != nil {
		return errs.Wrap("nats.publish", err)
	}
	return classify("nats.publish", c.nc.PublishMsg(&nats.Msg{Subject: m.Subject, Reply: m.Reply, Data: m.Data}))
}

// Subscribe implements driver.Conn.
func (c *Conn) Subscribe(ctx context.Context, pattern, group string, deliver func(driver.Msg)) (func(), error) {
	const op = "nats.subscribe"
	sub, err := c.nc.QueueSubscribe(pattern, group, func(m *nats.Msg) {
		deliver(driver.Msg{
			Subject: m.Subject, Reply: m.Reply, Data: m.Data,
			NoResponders: len(m.Data) == 0 && m.Header.Get("Status") == "503",
		})
	})
	if err != nil {
		return nil, classify(op, err)
	}
	stop := func() { _ = sub.Unsubscribe() } // fails only where there is nothing left to end
	if err := sub.SetPendingLimits(subMsgs, subBytes); err != nil {
		stop()
		return nil, classify(op, err)
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	if err := c.nc.FlushWithContext(ctx); err != nil {
		stop()
		return nil, classify(op, err)
	}
	return stop, nil
}

// MaxPayload is the most bytes the servers take as one message with its headers.
func (c *Conn) MaxPayload() int64 { return c.nc.MaxPayload() }

// Ping implements driver.Pinger.
func (c *Conn) Ping(ctx context.Context) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	return classify("nats.ping", c.nc.FlushWithContext(ctx))
}

// Close implements driver.Conn: what was published goes out first, then the
// embedded server, if there is one, is shut down and its files are synced.
func (c *Conn) Close(ctx context.Context) error {
	c.once.Do(func() {
		close(c.closed)
		if c.nc.IsConnected() {
			fctx, cancel := c.within(ctx)
			_ = c.nc.FlushWithContext(fctx) // best effort: plain messages may get lost
			cancel()
		}
		c.js.CleanupPublisher()
		c.nc.Close()
	})
	select {
	case <-c.gone:
	case <-ctx.Done():
		return errs.Wrap("nats.close", ctx.Err())
	}
	if c.server != nil {
		return c.server.stop(ctx)
	}
	return nil
}
