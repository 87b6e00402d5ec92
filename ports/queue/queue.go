// Package queue carries mediafn's messages: wake-ups and progress that may get
// lost, requests with an answer, and streams that are kept until they are
// consumed. Messages are disposable, rows are the truth: everything sent here
// can be derived from the database again.
//
// A Queue checks names and sizes, retries, and bounds what waits in memory; a
// driver (packages mem and nats) moves the bytes.
package queue

import (
	"context"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue/driver"
)

// Queue is a connection to one messaging system, safe for concurrent use.
// Byte slices given to it may be reused as soon as the call has returned.
type Queue struct {
	conn driver.Conn
	cfg  Config

	mu     sync.Mutex
	closed bool
	subs   map[*Subscription]struct{}
	inbox  *inbox // of Request, opened at the first one
}

// New puts a Queue on top of a driver. It owns conn from now on.
func New(conn driver.Conn, cfg Config) (*Queue, error) {
	if err := cfg.Validate(); err != nil {
		return nil, errs.As(errs.Invalid, "queue.new", err)
	}
	return &Queue{conn: conn, cfg: cfg, subs: map[*Subscription]struct{}{}}, nil
}

// Publish sends data to whoever listens on subject now, at most once. Nobody
// listening is no error. To answer a Message, publish to its Reply.
func (q *Queue) Publish(ctx context.Context, subject string, data []byte) (err error) {
	defer q.observe("publish", time.Now(), 1, &err)
	if err := q.check("queue.publish", subject, data); err != nil {
		return err
	}
	return errs.Wrap("queue.publish", q.conn.Publish(ctx, driver.Msg{Subject: subject, Data: data}))
}

// Ping reports whether the messaging system answers.
func (q *Queue) Ping(ctx context.Context) error {
	if q.isClosed() {
		return closedError("queue.ping")
	}
	if p, ok := q.conn.(driver.Pinger); ok {
		return errs.Wrap("queue.ping", p.Ping(ctx))
	}
	return nil
}

// Close ends every subscription, consumer and request, waits for running
// handlers until ctx ends, and closes the driver. Later calls on the Queue fail
// with Canceled. Closing twice is harmless.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	subs := make([]*Subscription, 0, len(q.subs))
	for s := range q.subs {
		subs = append(subs, s)
	}
	in := q.inbox
	q.mu.Unlock()
	if in != nil {
		in.stop()
	}
	for _, s := range subs {
		s.Close()
	}
	var late error
	for _, s := range subs {
		select {
		case <-s.Done():
		case <-ctx.Done():
			late = errs.New(errs.KindOf(ctx.Err()), "queue.close", "a handler of %q still runs", s.Pattern)
		}
	}
	if err := q.conn.Close(ctx); err != nil {
		return errs.Wrap("queue.close", err)
	}
	return late
}

func (q *Queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

func closedError(op string) error { return errs.New(errs.Canceled, op, "the queue is closed") }

func (q *Queue) check(op, subject string, data []byte) error {
	if err := checkSubject("subject", subject, false); err != nil {
		return errs.Wrap(op, err)
	}
	if len(data) > q.cfg.MaxPayload {
		return errs.New(errs.TooLarge, op, "%d bytes for %q, at most %d", len(data), subject, q.cfg.MaxPayload)
	}
	if q.isClosed() {
		return closedError(op)
	}
	return nil
}

func (q *Queue) observe(op string, start time.Time, msgs int, err *error) {
	if q.cfg.Observe != nil {
		q.cfg.Observe(op, msgs, time.Since(start), *err)
	}
}
