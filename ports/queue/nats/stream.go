package nats

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/driver"
)

// Times of persist.
const (
	persistTry   = 2 * time.Second
	persistPause = 200 * time.Millisecond
	persistAll   = 30 * time.Second
)

// persist repeats what is idempotent while it fails for a passing reason. A
// cluster leaves requests unanswered where several processes make the same
// stream at once, as at a first start of everything, and refuses them while it
// elects: each try is short, and there are many.
func persist(ctx context.Context, do func(context.Context) error) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, persistAll)
		defer cancel()
	}
	for {
		once, end := context.WithTimeout(ctx, persistTry)
		err := do(once)
		end()
		if err == nil || !errs.KindOf(err).Retryable() {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(persistPause):
		}
	}
}

// Declare implements driver.Conn.
func (c *Conn) Declare(ctx context.Context, s driver.Stream) error {
	const op = "nats.declare"
	return persist(ctx, func(ctx context.Context) error {
		_, err := c.js.CreateOrUpdateStream(ctx, streamConfig(s))
		var api *jetstream.APIError
		if errors.As(err, &api) && (api.ErrorCode == codeConfigRefused || !kindOfAPI(api).Retryable()) {
			// The configuration was checked before: what the server refuses now clashes
			// with what it has.
			return errs.As(errs.Conflict, op, err)
		}
		return classify(op, err)
	})
}

func streamConfig(s driver.Stream) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name: s.Name, Subjects: s.Subjects, Storage: jetstream.FileStorage,
		MaxAge: s.MaxAge, MaxBytes: orUnlimited(s.MaxBytes), MaxMsgs: orUnlimited(s.MaxMsgs),
		Duplicates: s.Dedup, Replicas: s.Replicas,
	}
	if s.Reject {
		cfg.Discard = jetstream.DiscardNew
	}
	if s.UntilAcked {
		cfg.Retention = jetstream.WorkQueuePolicy
	}
	return cfg
}

func orUnlimited(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

// Append implements driver.Conn: all entries go out before the first answer is
// waited for. The server keeps one publisher's order.
func (c *Conn) Append(ctx context.Context, stream string, entries []driver.Entry) []error {
	const op = "nats.append"
	ctx, cancel := c.within(ctx)
	defer cancel()
	var failed []error
	fail := func(i int, err error) {
		if failed == nil {
			failed = make([]error, len(entries))
		}
		failed[i] = classify(op, err)
	}
	acks := make([]jetstream.PubAckFuture, len(entries))
	for i, e := range entries {
		if err := ctx.Err(); err != nil {
			fail(i, err)
			continue
		}
		m := &nats.Msg{Subject: e.Subject, Data: e.Data, Header: nats.Header{jetstream.ExpectedStreamHeader: {stream}}}
		if e.DedupID != "" {
			m.Header[jetstream.MsgIDHeader] = []string{e.DedupID}
		}
		var err error
		if acks[i], err = c.js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0), jetstream.WithStallWait(patience)); err != nil {
			fail(i, err)
		}
	}
	for i, ack := range acks {
		if ack == nil {
			continue
		}
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			fail(i, err)
		case <-ctx.Done():
			fail(i, ctx.Err())
		case <-c.closed:
			fail(i, nats.ErrConnectionClosed)
		}
	}
	if failed != nil {
		c.explain(ctx, stream, entries, failed)
	}
	return failed
}

// explain tells a subject that belongs to no stream, or to another one, from a
// stream that does not exist and from one that has no leader at the moment: the
// server's answer to an append is the same.
func (c *Conn) explain(ctx context.Context, stream string, entries []driver.Entry, failed []error) {
	var known error
	var subjects []string
	asked := false
	for i, err := range failed {
		if !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Invalid) {
			continue
		}
		if !asked {
			asked = true
			var s jetstream.Stream
			if s, known = c.js.Stream(ctx, stream); known == nil {
				subjects = s.CachedInfo().Config.Subjects
			}
		}
		ours := slices.ContainsFunc(subjects, func(p string) bool { return queue.Match(p, entries[i].Subject) })
		switch {
		case ours && errs.Is(err, errs.NotFound):
			failed[i] = errs.New(errs.Transient, "nats.append", "stream %s has no leader now: %w", stream, err)
		case known == nil:
			failed[i] = errs.New(errs.Invalid, "nats.append", "the subject is not one of stream %s: %w", stream, err)
		case errors.Is(known, jetstream.ErrStreamNotFound):
			failed[i] = errs.New(errs.NotFound, "nats.append", "no stream %s: %w", stream, err)
		default:
			failed[i] = classify("nats.append", known)
		}
	}
}
