package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue/driver"
)

type (
	// Stream says what is stored, how much of it and for how long.
	Stream = driver.Stream
	// Entry is one message of an AppendBatch.
	Entry = driver.Entry
	// Durable names a position in a stream.
	Durable = driver.Durable
)

const (
	defaultDedup      = 30 * time.Second
	defaultAckWait    = 30 * time.Second
	defaultMaxUnacked = 4096
)

// Declare creates the stream or changes its limits; every process that uses a
// stream may declare it. At least one limit must be set. Dedup 0 means 30 s,
// Replicas 0 means 1. Conflict: another stream has the subjects, or
// a property that cannot change (UntilAcked) differs.
func (q *Queue) Declare(ctx context.Context, s Stream) (err error) {
	const op = "queue.declare"
	defer q.observe("declare", time.Now(), 0, &err)
	if s.Dedup == 0 {
		s.Dedup = defaultDedup
	}
	if s.MaxAge > 0 {
		s.Dedup = min(s.Dedup, s.MaxAge)
	}
	s.Replicas = max(s.Replicas, 1)
	all := []error{checkName("stream.name", s.Name)}
	if len(s.Subjects) == 0 {
		all = append(all, errs.InField("stream.subjects", "is empty"))
	}
	for i, p := range s.Subjects {
		field := fmt.Sprintf("stream.subjects.%d", i)
		all = append(all, checkSubject(field, p, true))
		if strings.HasPrefix(p, "*") || strings.HasPrefix(p, ">") || strings.HasPrefix(p, "_INBOX") {
			all = append(all, errs.InField(field, "%q would store answers and system messages: begin with a name", p))
		}
		for _, other := range s.Subjects[:i] {
			if Overlap(p, other) {
				all = append(all, errs.InField(field, "%q overlaps %q", p, other))
			}
		}
	}
	if s.MaxAge < 0 || s.MaxBytes < 0 || s.MaxMsgs < 0 || s.Dedup < 0 {
		all = append(all, errs.InField("stream.limits", "must not be negative"))
	}
	if s.MaxAge == 0 && s.MaxBytes == 0 && s.MaxMsgs == 0 {
		all = append(all, errs.InField("stream.limits", "at least one of max_age, max_bytes and max_msgs must be set"))
	}
	if s.MaxAge > 0 && s.MaxAge < 100*time.Millisecond || s.Dedup < 100*time.Millisecond {
		all = append(all, errs.InField("stream.max_age", "max_age and dedup must be at least 100 ms"))
	}
	if err := errors.Join(all...); err != nil {
		return errs.As(errs.Invalid, op, err)
	}
	if q.isClosed() {
		return closedError(op)
	}
	for try := 1; ; try++ { // declaring is idempotent
		err := q.conn.Declare(ctx, s)
		if !errs.Is(err, errs.Transient) || try >= q.cfg.Attempts || !pause(ctx, q.cfg.Backoff<<(try-1)) {
			return errs.Wrap(op, err)
		}
	}
}

// Append stores data in a declared stream and returns once the store has it.
// dedupID, if not "", makes the append idempotent within the stream's Dedup
// window, and lets it be retried here when the store fails for a passing reason.
// Busy: the stream is full and rejects. NotFound: no such stream. Invalid: the
// subject is not the stream's. TooLarge: more than Config.MaxPayload.
func (q *Queue) Append(ctx context.Context, stream, subject string, data []byte, dedupID string) error {
	return q.AppendBatch(ctx, stream, []Entry{{Subject: subject, Data: data, DedupID: dedupID}})
}

// AppendBatch stores the entries in order with one wait for all of them. It is
// not atomic: after an error some entries may be stored, and repeating the whole
// batch is safe for entries with a DedupID.
func (q *Queue) AppendBatch(ctx context.Context, stream string, entries []Entry) (err error) {
	const op = "queue.append"
	defer q.observe("append", time.Now(), len(entries), &err)
	if err := checkName("stream", stream); err != nil {
		return errs.Wrap(op, err)
	}
	if len(entries) > q.cfg.MaxBatch {
		return errs.New(errs.TooLarge, op, "%d entries, at most %d", len(entries), q.cfg.MaxBatch)
	}
	for _, e := range entries {
		if err := q.check(op, e.Subject, e.Data); err != nil {
			return err
		}
		if err := checkDedupID(e.DedupID); err != nil {
			return errs.Wrap(op, err)
		}
	}
	for try := 1; len(entries) > 0; try++ {
		again, failed := split(entries, q.conn.Append(ctx, stream, entries))
		if failed == nil {
			return nil
		}
		if try >= q.cfg.Attempts || len(again) == 0 {
			return errs.Wrap(op, failed)
		}
		if !pause(ctx, q.cfg.Backoff<<(try-1)) || q.isClosed() {
			return errs.Wrap(op, failed)
		}
		entries = again
	}
	return nil
}

// split returns the entries worth another try and the error to report if there
// is none. One entry that must not be retried settles the whole batch.
func split(entries []Entry, results []error) (again []Entry, failed error) {
	for i, err := range results {
		if err == nil {
			continue
		}
		kind := errs.KindOf(err)
		if entries[i].DedupID == "" || kind != errs.Transient && kind != errs.Timeout {
			return nil, err
		}
		again, failed = append(again, entries[i]), err
	}
	return again, failed
}

// pause waits d, capped and with jitter so that clients do not return in step.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 || d > maxBackoff {
		d = maxBackoff
	}
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func checkDedupID(id string) error {
	if len(id) > 256 {
		return errs.InField("dedup_id", "is longer than 256 bytes")
	}
	for i := 0; i < len(id); i++ {
		if id[i] < ' ' || id[i] > '~' {
			return errs.InField("dedup_id", "holds a character that is not printable ASCII")
		}
	}
	return nil
}
