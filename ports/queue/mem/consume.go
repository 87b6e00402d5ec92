package mem

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/driver"
)

// durable is a position in a stream, shared by its consumers; guarded by Conn.mu.
type durable struct {
	s       *stream
	cfg     driver.Durable
	next    uint64          // first sequence not delivered yet
	out     map[uint64]*out // delivered or handed back, not acked
	due     dueHeap         // the same, soonest redelivery first
	changed chan struct{}   // closed when a waiting Fetch should look again
}

// out is a message that comes again at its due time.
type out struct {
	seq     uint64
	attempt int
	nakked  bool
	due     time.Time
	pos     int // in the heap
}

// Consume implements driver.Conn.
func (c *Conn) Consume(ctx context.Context, name string, cfg driver.Durable) (driver.Consumer, error) {
	const op = "mem.consume"
	if err := c.begin(ctx, op); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	s := c.streams[name]
	if s == nil {
		return nil, errs.New(errs.NotFound, op, "no stream %s", name)
	}
	for _, d := range s.durables {
		if s.cfg.UntilAcked && d.cfg.Name != cfg.Name && queue.Overlap(filter(d.cfg), filter(cfg)) {
			return nil, errs.New(errs.Conflict, op, "durable %s of stream %s takes these subjects already", d.cfg.Name, name)
		}
	}
	d := s.durables[cfg.Name]
	if d == nil {
		d = &durable{s: s, next: s.first, out: map[uint64]*out{}, changed: make(chan struct{})}
		s.durables[cfg.Name] = d
	}
	d.cfg = cfg
	return &consumer{c: c, d: d, closed: make(chan struct{})}, nil
}

func filter(d driver.Durable) string {
	if d.Filter == "" {
		return ">"
	}
	return d.Filter
}

func (d *durable) wake() {
	close(d.changed)
	d.changed = make(chan struct{})
}

type consumer struct {
	c      *Conn
	d      *durable
	once   sync.Once
	closed chan struct{}
}

func (k *consumer) Close() error {
	k.once.Do(func() { close(k.closed) })
	return nil
}

func (k *consumer) Fetch(ctx context.Context, max int) ([]driver.Delivery, error) {
	const op = "mem.fetch"
	for {
		if err := k.c.begin(ctx, op); err != nil {
			return nil, err
		}
		select {
		case <-k.closed:
			k.c.mu.Unlock()
			return nil, errs.New(errs.Canceled, op, "the consumer is closed")
		default:
		}
		got, wait := k.d.take(max, time.Now())
		changed := k.d.changed
		k.c.mu.Unlock()
		if len(got) > 0 {
			return got, nil
		}
		if err := k.sleep(ctx, changed, wait); err != nil {
			return nil, err
		}
	}
}

// sleep waits for a change, or for wait if that is ≥ 0.
func (k *consumer) sleep(ctx context.Context, changed <-chan struct{}, wait time.Duration) error {
	var due <-chan time.Time
	if wait >= 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-changed:
	case <-due:
	case <-k.closed:
	case <-k.c.closed:
	case <-ctx.Done():
		return errs.Wrap("mem.fetch", ctx.Err())
	}
	return nil
}

// take delivers what is due and what is new, and says when to look again if
// there is nothing (-1: only after a change).
func (d *durable) take(limit int, now time.Time) (got []driver.Delivery, wait time.Duration) {
	d.s.expire(now)
	for len(got) < limit && len(d.due) > 0 && !d.due[0].due.After(now) {
		o := d.due[0]
		m := d.s.get(o.seq)
		if m == nil { // the limits of the stream took it
			d.forget(o)
			continue
		}
		got = append(got, d.hand(o, m, now))
	}
	d.next = max(d.next, d.s.first)
	for len(got) < limit && len(d.out) < d.cfg.MaxUnacked && d.next < d.s.end() {
		seq := d.next
		d.next++
		m := d.s.get(seq)
		if m == nil || !queue.Match(filter(d.cfg), m.subject) {
			continue
		}
		o := &out{seq: seq}
		d.out[seq] = o
		heap.Push(&d.due, o)
		got = append(got, d.hand(o, m, now))
	}
	if len(d.due) == 0 {
		return got, -1
	}
	return got, max(d.due[0].due.Sub(now), 0)
}

func (d *durable) hand(o *out, m *stored, now time.Time) driver.Delivery {
	o.attempt++
	o.nakked, o.due = false, now.Add(d.cfg.AckWait)
	heap.Fix(&d.due, o.pos)
	attempt := o.attempt
	return driver.Delivery{
		Subject: m.subject, Data: slices.Clone(m.data), Seq: o.seq, Attempt: attempt,
		Settle: func(a driver.Answer, delay time.Duration) error { return d.settle(o.seq, attempt, a, delay) },
	}
}

// settle takes an Ack of any attempt, since the work is done; a Nak or Extend
// speaks only for the attempt that is out.
func (d *durable) settle(seq uint64, attempt int, a driver.Answer, delay time.Duration) error {
	c := d.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	o := d.out[seq]
	if o == nil || a != driver.Ack && (o.attempt != attempt || o.nakked) {
		return nil
	}
	switch a {
	case driver.Ack:
		d.forget(o)
		if d.s.cfg.UntilAcked {
			d.s.remove(seq)
		}
	case driver.Nak:
		o.nakked, o.due = true, time.Now().Add(delay)
		heap.Fix(&d.due, o.pos)
	case driver.Extend:
		o.due = time.Now().Add(d.cfg.AckWait)
		heap.Fix(&d.due, o.pos)
	}
	if a == driver.Nak || len(d.out) == d.cfg.MaxUnacked-1 {
		d.wake()
	}
	return nil
}

func (d *durable) forget(o *out) {
	heap.Remove(&d.due, o.pos)
	delete(d.out, o.seq)
}

type dueHeap []*out

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].pos, h[j].pos = i, j }
func (h *dueHeap) Push(x any)        { o := x.(*out); o.pos = len(*h); *h = append(*h, o) }
func (h *dueHeap) Pop() any {
	old := *h
	o := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return o
}
