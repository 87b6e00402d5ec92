// Package driver is what a messaging technology must offer to carry mediafn's
// messages. Applications use package queue; only drivers import this one.
//
// A driver moves bytes and classifies errors with core/errs. Names, subjects,
// sizes and batch lengths are checked, retries made, and subscribers' buffers
// bounded by package queue before and after a driver is called.
package driver

import (
	"context"
	"time"
)

// Conn is a connection to one messaging system.
//
// All methods may be called from several goroutines at once, Close included.
// Errors are *errs.Error (or wrap one). Every method may fail with:
//
//	Transient  the system cannot be reached now
//	Timeout    ctx's deadline passed, or the system did not answer in time
//	Canceled   ctx was canceled, or Close was called
//
// Byte slices handed to a driver belong to it for the duration of the call
// only: it copies what it keeps. Byte slices a driver hands out belong to the
// receiver, and the driver does not touch them again.
type Conn interface {
	// Publish hands m to every group and every groupless subscription whose
	// pattern matches, at most once, and does not wait for any of them. Nobody
	// listening is no error. If m.Reply is set and nobody listens, a Msg with
	// Subject m.Reply and NoResponders set is delivered to the reply subject.
	// Messages of one caller on one subject stay in order. A subject serves either
	// plain messages or a stream; what happens when the two mix is not defined.
	Publish(ctx context.Context, m Msg) error

	// Subscribe calls deliver for each message whose subject matches pattern
	// ("*" one token, a last ">" one or more). Subscriptions of the same
	// non-empty group share the messages. Once Subscribe has returned, messages
	// published through this Conn are seen. deliver never blocks and may be
	// called from any goroutine, but not from two at once for one subscription.
	// stop ends the subscription; it is idempotent, does not wait for a deliver
	// in progress, and is not called from deliver.
	Subscribe(ctx context.Context, pattern, group string, deliver func(Msg)) (stop func(), err error)

	// Declare creates the stream or changes it to s. Idempotent. Conflict: the
	// subjects belong to another stream, or a property that cannot change differs.
	Declare(ctx context.Context, s Stream) error

	// Append stores entries in order and waits until the store has all of them.
	// The result is nil when all are stored; else it has one element an entry,
	// nil where that entry is stored. An entry whose DedupID was stored within
	// the stream's Dedup window is reported as stored and not stored again. An
	// entry that failed with Timeout or Transient may have been stored.
	// Busy: the stream is full and rejects, or the store is out of room.
	// NotFound: no such stream. Invalid: the subject is not the stream's.
	Append(ctx context.Context, stream string, entries []Entry) []error

	// Consume opens the named durable position on a stream, creating it at the
	// oldest message. Several Consumers with the same name, in several processes,
	// share the messages. NotFound: no such stream. Conflict: the stream is
	// UntilAcked and another durable already takes these subjects.
	Consume(ctx context.Context, stream string, d Durable) (Consumer, error)

	// Close ends everything opened through this Conn and waits for its own
	// goroutines, but not longer than ctx. Idempotent.
	Close(ctx context.Context) error
}

// Pinger is the optional ability to tell whether the system answers.
type Pinger interface {
	// Ping makes one round trip. It fails within ctx's deadline.
	Ping(ctx context.Context) error
}

// Consumer reads one durable position.
type Consumer interface {
	// Fetch returns between 1 and max messages. It blocks until at least one is
	// there, ctx ends or the consumer is closed, and never waits for more once it
	// has one. A message it returned and that is neither acked nor nakked within
	// AckWait (counted from delivery or the last Extend) is delivered again, to
	// whichever consumer of the durable fetches next. At most MaxUnacked messages
	// of the durable are out at once; beyond that Fetch waits.
	// May be called from several goroutines.
	Fetch(ctx context.Context, max int) ([]Delivery, error)

	// Close gives up this reader; a Fetch in progress fails with Canceled. The
	// durable position and what was not acked stay for others. Idempotent.
	Close() error
}

// Msg is a message that is delivered at most once.
type Msg struct {
	Subject      string
	Reply        string // where an answer is expected; "" for none
	Data         []byte
	NoResponders bool // sent by the driver in place of an answer
}

// Entry is a message to be stored.
type Entry struct {
	Subject string
	Data    []byte
	DedupID string // "" switches the check for duplicates off
}

// Delivery is a stored message handed to a consumer.
type Delivery struct {
	Subject string
	Data    []byte
	Seq     uint64 // position in the stream, rising from 1
	Attempt int    // 1 at the first delivery
	// Settle answers for the message. Only the first Ack or Nak counts. It does
	// not wait for the store: an answer that gets lost means another delivery.
	Settle func(a Answer, delay time.Duration) error
}

// Answer is what a consumer says about a delivery.
type Answer uint8

const (
	Ack    Answer = iota // done: never deliver again to this durable
	Nak                  // deliver again after the delay
	Extend               // still at work: AckWait starts anew
)

// Stream says what is stored, how much of it and for how long. A limit of 0
// means none.
type Stream struct {
	Name       string
	Subjects   []string // patterns; no two streams may overlap
	MaxAge     time.Duration
	MaxBytes   int64
	MaxMsgs    int64
	Reject     bool          // when full: true = Append fails with Busy, false = the oldest goes
	UntilAcked bool          // a message goes when it is acked; one durable a subject
	Dedup      time.Duration // how long a DedupID is remembered, > 0
	Replicas   int           // copies in a cluster, ≥ 1
}

// Durable names a position in a stream.
type Durable struct {
	Name       string
	Filter     string // pattern; "" for every subject of the stream
	AckWait    time.Duration
	MaxUnacked int
}
