package queue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue/driver"
)

// Message is what a Handler is given. Data belongs to the handler.
type Message struct {
	Subject string
	Reply   string // if not "", the sender waits for one Publish to it, now or later
	Data    []byte
}

// Handler receives the messages of one subscription, one after the other. ctx
// ends when the subscription is closed.
type Handler func(ctx context.Context, m Message)

// Subscription is a running Subscribe.
type Subscription struct {
	Pattern, Group string

	q       *Queue
	stop    func()
	cancel  context.CancelFunc
	done    chan struct{}
	dropped atomic.Uint64

	mu    sync.Mutex
	wake  chan struct{} // holds one token while pending may have grown
	ready []driver.Msg
	bytes int
	shut  bool
}

// Subscribe calls handler for every message whose subject matches pattern
// ("*" = one token, a last ">" = one or more). Of the subscriptions with the
// same non-empty group only one gets each message. Messages that arrive while
// the handler is behind wait in a buffer of bounded size; when that is full, new
// ones are dropped and counted. The subscription outlives ctx.
func (q *Queue) Subscribe(ctx context.Context, pattern, group string, handler Handler) (_ *Subscription, err error) {
	const op = "queue.subscribe"
	defer q.observe("subscribe", time.Now(), 0, &err)
	if err := checkSubject("subject", pattern, true); err != nil {
		return nil, errs.Wrap(op, err)
	}
	if group != "" {
		if err := checkName("group", group); err != nil {
			return nil, errs.Wrap(op, err)
		}
	}
	hctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Subscription{
		Pattern: pattern, Group: group, q: q, cancel: cancel,
		done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	if s.stop, err = q.conn.Subscribe(ctx, pattern, group, s.deliver); err != nil {
		cancel()
		return nil, errs.Wrap(op, err)
	}
	q.mu.Lock()
	closed := q.closed
	if !closed {
		q.subs[s] = struct{}{}
	}
	q.mu.Unlock()
	go s.run(hctx, handler)
	if closed {
		s.Close()
		return nil, closedError(op)
	}
	return s, nil
}

// Close ends the subscription: no further call of the handler begins, and what
// waits in the buffer is dropped. It does not wait for a handler in progress
// (see Done), so handlers may call it. Closing twice is harmless.
func (s *Subscription) Close() {
	s.mu.Lock()
	was := s.shut
	s.shut = true
	s.ready, s.bytes = nil, 0
	s.mu.Unlock()
	if was {
		return
	}
	s.stop()
	s.cancel()
}

// Done is closed when the subscription is closed and its last handler has
// returned.
func (s *Subscription) Done() <-chan struct{} { return s.done }

// Dropped counts the messages that found the buffer full.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

func (s *Subscription) deliver(m driver.Msg) {
	s.mu.Lock()
	switch {
	case s.shut:
		s.mu.Unlock()
		return
	case len(s.ready) >= s.q.cfg.PendingMsgs || s.bytes+len(m.Data) > s.q.cfg.PendingBytes:
		s.mu.Unlock()
		s.dropped.Add(1)
		return
	}
	s.ready = append(s.ready, m)
	s.bytes += len(m.Data)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Subscription) run(ctx context.Context, handler Handler) {
	defer func() {
		s.q.mu.Lock()
		delete(s.q.subs, s)
		s.q.mu.Unlock()
		close(s.done)
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		for {
			m, ok := s.next()
			if !ok {
				break
			}
			handler(ctx, Message{Subject: m.Subject, Reply: m.Reply, Data: m.Data})
		}
	}
}

func (s *Subscription) next() (driver.Msg, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut || len(s.ready) == 0 {
		s.ready = nil // lets the drained array go
		return driver.Msg{}, false
	}
	m := s.ready[0]
	s.ready[0] = driver.Msg{}
	s.ready = s.ready[1:]
	s.bytes -= len(m.Data)
	return m, true
}
