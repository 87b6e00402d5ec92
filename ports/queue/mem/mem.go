// Package mem carries messages inside one process and forgets them with it. It
// keeps the whole contract of package queue and is what tests and the "run"
// command use.
package mem

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/driver"
)

// Options bounds the memory of a Conn.
type Options struct {
	MaxBytes int64 // of all streams together; 0 means 256 MiB
}

// Open returns a Queue in memory.
func Open(o Options, cfg queue.Config) (*queue.Queue, error) { return queue.New(New(o), cfg) }

// Conn implements driver.Conn.
type Conn struct {
	maxBytes int64

	mu      sync.Mutex
	subs    []*sub
	streams map[string]*stream
	bytes   int64 // stored in all streams
	closed  chan struct{}
}

type sub struct {
	pattern, group string
	deliver        func(driver.Msg)
}

// New returns an empty Conn.
func New(o Options) *Conn {
	if o.MaxBytes == 0 {
		o.MaxBytes = 256 << 20
	}
	return &Conn{maxBytes: o.MaxBytes, streams: map[string]*stream{}, closed: make(chan struct{})}
}

// begin locks c for an operation that may start.
func (c *Conn) begin(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return errs.Wrap(op, err)
	}
	c.mu.Lock()
	select {
	case <-c.closed:
		c.mu.Unlock()
		return errs.New(errs.Canceled, op, "the connection is closed")
	default:
		return nil
	}
}

// Publish implements driver.Conn. Handing over happens under the lock: deliver
// does not block, and this keeps the order.
func (c *Conn) Publish(ctx context.Context, m driver.Msg) error {
	if err := c.begin(ctx, "mem.publish"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	if !c.send(m) && m.Reply != "" {
		c.send(driver.Msg{Subject: m.Reply, NoResponders: true})
	}
	return nil
}

// send reports whether anybody listened.
func (c *Conn) send(m driver.Msg) bool {
	heard := false
	var groups map[string][]*sub
	hand := func(s *sub) {
		heard = true
		own := m
		own.Data = slices.Clone(m.Data)
		s.deliver(own)
	}
	for _, s := range c.subs {
		switch {
		case !queue.Match(s.pattern, m.Subject):
		case s.group == "":
			hand(s)
		default:
			if groups == nil {
				groups = map[string][]*sub{}
			}
			groups[s.group] = append(groups[s.group], s)
		}
	}
	for _, members := range groups {
		hand(members[rand.IntN(len(members))])
	}
	return heard
}

// Subscribe implements driver.Conn.
func (c *Conn) Subscribe(ctx context.Context, pattern, group string, deliver func(driver.Msg)) (func(), error) {
	if err := c.begin(ctx, "mem.subscribe"); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	s := &sub{pattern: pattern, group: group, deliver: deliver}
	c.subs = append(c.subs, s)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.subs = slices.DeleteFunc(c.subs, func(x *sub) bool { return x == s })
	}, nil
}

// Ping implements driver.Pinger.
func (c *Conn) Ping(ctx context.Context) error {
	if err := c.begin(ctx, "mem.ping"); err != nil {
		return err
	}
	c.mu.Unlock()
	return nil
}

// Close implements driver.Conn.
func (c *Conn) Close(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	c.subs, c.streams, c.bytes = nil, map[string]*stream{}, 0
	return nil
}
