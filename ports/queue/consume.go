package queue

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue/driver"
)

// Consumer reads a stream from a durable position. Safe for concurrent use.
type Consumer struct {
	q     *Queue
	inner driver.Consumer
	shut  atomic.Bool
}

// Delivery is a stored message. It comes again until it is acked.
type Delivery struct {
	Data        []byte
	Subject     string
	Seq         uint64 // position in the stream, rising from 1
	Attempt     int    // 1 at the first delivery
	Redelivered bool   // Attempt > 1

	settle func(driver.Answer, time.Duration) error
}

// Ack says the message is done with. Like Nak and Extend it does not wait for
// the store: if the answer gets lost, the message comes again.
func (d Delivery) Ack() error { return errs.Wrap("queue.ack", d.settle(driver.Ack, 0)) }

// Nak hands the message back, to be delivered again after delay.
func (d Delivery) Nak(delay time.Duration) error {
	return errs.Wrap("queue.nak", d.settle(driver.Nak, max(delay, 0)))
}

// Extend says the message is still being worked on: AckWait starts anew.
func (d Delivery) Extend() error { return errs.Wrap("queue.extend", d.settle(driver.Extend, 0)) }

// Consume opens a durable position, creating it at the oldest message of the
// stream. Consumers of the same name, here or in other processes, share the
// messages. AckWait 0 means 30 s (at least 10 ms), MaxUnacked 0 means 4096.
// NotFound: no such stream. Conflict: the stream is UntilAcked and another
// durable takes some of the same subjects.
func (q *Queue) Consume(ctx context.Context, stream string, d Durable) (_ *Consumer, err error) {
	const op = "queue.consume"
	defer q.observe("consume", time.Now(), 0, &err)
	if d.AckWait == 0 {
		d.AckWait = defaultAckWait
	}
	if d.MaxUnacked == 0 {
		d.MaxUnacked = defaultMaxUnacked
	}
	if err := checkName("stream", stream); err != nil {
		return nil, errs.Wrap(op, err)
	}
	if err := checkName("durable.name", d.Name); err != nil {
		return nil, errs.Wrap(op, err)
	}
	if d.Filter != "" {
		if err := checkSubject("durable.filter", d.Filter, true); err != nil {
			return nil, errs.Wrap(op, err)
		}
	}
	if d.AckWait < 10*time.Millisecond || d.MaxUnacked < 1 {
		return nil, errs.Wrap(op, errs.InField("durable", "ack_wait must be ≥ 10 ms and max_unacked ≥ 1"))
	}
	if q.isClosed() {
		return nil, closedError(op)
	}
	inner, err := q.conn.Consume(ctx, stream, d)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return &Consumer{q: q, inner: inner}, nil
}

// Fetch returns 1 to max messages. It blocks until there is at least one, ctx
// ends (Canceled or Timeout) or the consumer is closed (Canceled), and never
// waits for more once it has one.
func (c *Consumer) Fetch(ctx context.Context, max int) (_ []Delivery, err error) {
	const op = "queue.fetch"
	start := time.Now()
	if max < 1 || max > c.q.cfg.MaxBatch {
		return nil, errs.Wrap(op, errs.InField("max", "must be 1 to %d, is %d", c.q.cfg.MaxBatch, max))
	}
	if c.shut.Load() || c.q.isClosed() {
		return nil, errs.New(errs.Canceled, op, "the consumer is closed")
	}
	var got []driver.Delivery
	for try := 1; ; try++ {
		got, err = c.inner.Fetch(ctx, max)
		if !errs.Is(err, errs.Transient) || try >= c.q.cfg.Attempts || !pause(ctx, c.q.cfg.Backoff<<(try-1)) {
			break
		}
	}
	c.q.observe("fetch", start, len(got), &err)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	out := make([]Delivery, len(got))
	for i, d := range got {
		out[i] = Delivery{
			Data: d.Data, Subject: d.Subject, Seq: d.Seq, Attempt: d.Attempt,
			Redelivered: d.Attempt > 1, settle: d.Settle,
		}
	}
	return out, nil
}

// Close gives up this reader; its position and the messages it has not acked
// stay for others. A Fetch in progress fails with Canceled. Closing twice is
// harmless.
func (c *Consumer) Close() error {
	if c.shut.Swap(true) {
		return nil
	}
	return errs.Wrap("queue.consumer.close", c.inner.Close())
}
