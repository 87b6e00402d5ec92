package queue

import (
	"errors"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// Config sets the limits of a Queue. Take Default and change what differs.
type Config struct {
	MaxPayload     int           // bytes of one message, 1 … 64 MiB
	MaxBatch       int           // entries of one AppendBatch or Fetch, 1 … 10,000
	PendingMsgs    int           // messages a subscription may be behind before new ones are dropped
	PendingBytes   int           // the same in bytes
	RequestTimeout time.Duration // of a Request whose context has no deadline
	Attempts       int           // tries of an append that failed for a passing reason, ≥ 1
	Backoff        time.Duration // before the second try; doubles each time, at most 5 s

	// Observe, if set, is told about every finished operation: its name
	// ("publish", "append", "fetch" …), how many messages it moved, how long it
	// took and how it ended. It must not block.
	Observe func(op string, msgs int, took time.Duration, err error)
}

// Default fits one process of mediafn.
func Default() Config {
	return Config{
		MaxPayload: 1 << 20, MaxBatch: 1024,
		PendingMsgs: 8192, PendingBytes: 32 << 20,
		RequestTimeout: time.Minute,
		Attempts:       10, Backoff: 50 * time.Millisecond, // 6–12 s: a cluster elects a leader within
	}
}

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var all []error
	between := func(field string, v, lo, hi int64) {
		if v < lo || v > hi {
			all = append(all, errs.InField("queue."+field, "must be %d to %d, is %d", lo, hi, v))
		}
	}
	between("max_payload", int64(c.MaxPayload), 1, 64<<20)
	between("max_batch", int64(c.MaxBatch), 1, 10_000)
	between("pending_msgs", int64(c.PendingMsgs), 1, 1<<20)
	between("pending_bytes", int64(c.PendingBytes), int64(c.MaxPayload), 1<<32)
	between("request_timeout_ns", int64(c.RequestTimeout), 1, int64(time.Hour))
	between("attempts", int64(c.Attempts), 1, 100)
	between("backoff_ns", int64(c.Backoff), 0, int64(maxBackoff))
	return errors.Join(all...)
}

const maxBackoff = 5 * time.Second
