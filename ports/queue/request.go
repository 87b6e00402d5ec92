package queue

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue/driver"
)

// Request sends data to one listener of subject and waits for the first answer.
// The answer may come late and from anywhere: the listener keeps Message.Reply
// and somebody publishes to it. Without a deadline in ctx it waits for
// Config.RequestTimeout. Busy: nobody listens. Timeout: no answer in time.
// Canceled: ctx was canceled or the Queue closed.
func (q *Queue) Request(ctx context.Context, subject string, data []byte) (_ []byte, err error) {
	const op = "queue.request"
	defer q.observe("request", time.Now(), 1, &err)
	if err := q.check(op, subject, data); err != nil {
		return nil, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.cfg.RequestTimeout)
		defer cancel()
	}
	in, err := q.openInbox(ctx)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	reply, answer, forget, err := in.expect()
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	defer forget()
	if err := q.conn.Publish(ctx, driver.Msg{Subject: subject, Reply: reply, Data: data}); err != nil {
		return nil, errs.Wrap(op, err)
	}
	select {
	case m := <-answer:
		if m.NoResponders {
			return nil, errs.New(errs.Busy, op, "nobody listens on %q", subject)
		}
		return m.Data, nil
	case <-in.closed:
		return nil, closedError(op)
	case <-ctx.Done():
		return nil, errs.Wrap(op, ctx.Err())
	}
}

// inbox is the one subscription all requests of a Queue share.
type inbox struct {
	prefix string
	end    func()
	once   sync.Once
	closed chan struct{}

	mu      sync.Mutex
	next    uint64
	waiting map[string]chan driver.Msg
}

const maxRequests = 65536 // in flight on one Queue

func (q *Queue) openInbox(ctx context.Context) (*inbox, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, closedError("queue.request")
	}
	if q.inbox != nil {
		return q.inbox, nil
	}
	in := &inbox{
		prefix:  "_INBOX." + strings.ReplaceAll(uuid.NewString(), "-", "") + ".",
		closed:  make(chan struct{}),
		waiting: map[string]chan driver.Msg{},
	}
	end, err := q.conn.Subscribe(ctx, in.prefix+"*", "", in.deliver)
	if err != nil {
		return nil, err
	}
	in.end, q.inbox = end, in
	return in, nil
}

func (in *inbox) expect() (reply string, answer <-chan driver.Msg, forget func(), err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.waiting) >= maxRequests {
		return "", nil, nil, errs.New(errs.Busy, "queue.inbox", "%d requests already wait for an answer", maxRequests)
	}
	in.next++
	reply = in.prefix + strconv.FormatUint(in.next, 36)
	c := make(chan driver.Msg, 1)
	in.waiting[reply] = c
	return reply, c, func() {
		in.mu.Lock()
		delete(in.waiting, reply)
		in.mu.Unlock()
	}, nil
}

// deliver hands the first answer to its request; later ones find nobody.
func (in *inbox) deliver(m driver.Msg) {
	in.mu.Lock()
	c := in.waiting[m.Subject]
	delete(in.waiting, m.Subject)
	in.mu.Unlock()
	if c != nil {
		c <- m
	}
}

func (in *inbox) stop() {
	in.once.Do(func() { close(in.closed); in.end() })
}
