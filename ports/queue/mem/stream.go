package mem

import (
	"context"
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/driver"
)

// overhead is charged for each message beside its data.
const overhead = 128

type stored struct {
	subject string
	data    []byte
	at      time.Time
}

func (m *stored) size() int64 { return int64(len(m.subject)+len(m.data)) + overhead }

// stream holds the messages first … first+len(msgs)-1; those gone are nil.
type stream struct {
	c     *Conn
	cfg   driver.Stream
	first uint64
	msgs  []*stored
	live  int64
	bytes int64

	ids      map[string]struct{}
	idOrder  []seenID // oldest first
	durables map[string]*durable
}

type seenID struct {
	id string
	at time.Time
}

// Declare implements driver.Conn.
func (c *Conn) Declare(ctx context.Context, cfg driver.Stream) error {
	const op = "mem.declare"
	if err := c.begin(ctx, op); err != nil {
		return err
	}
	defer c.mu.Unlock()
	for name, other := range c.streams {
		for _, p := range cfg.Subjects {
			if name != cfg.Name && slices.ContainsFunc(other.cfg.Subjects, func(o string) bool { return queue.Overlap(p, o) }) {
				return errs.New(errs.Conflict, op, "subject %q belongs to stream %s", p, name)
			}
		}
	}
	cfg.Subjects = slices.Clone(cfg.Subjects)
	s := c.streams[cfg.Name]
	if s == nil {
		c.streams[cfg.Name] = &stream{
			c: c, cfg: cfg, first: 1, ids: map[string]struct{}{}, durables: map[string]*durable{},
		}
		return nil
	}
	if s.cfg.UntilAcked != cfg.UntilAcked {
		return errs.New(errs.Conflict, op, "stream %s: until_acked cannot change", cfg.Name)
	}
	s.cfg = cfg
	s.expire(time.Now())
	s.trim(0, 0)
	return nil
}

// Append implements driver.Conn.
func (c *Conn) Append(ctx context.Context, name string, entries []driver.Entry) []error {
	const op = "mem.append"
	err := c.begin(ctx, op)
	if err == nil {
		defer c.mu.Unlock()
	}
	s := c.streams[name]
	if err == nil && s == nil {
		err = errs.New(errs.NotFound, op, "no stream %s", name)
	}
	if err != nil {
		return slices.Repeat([]error{err}, len(entries))
	}
	now := time.Now()
	s.expire(now)
	var failed []error
	for i, e := range entries {
		if err := s.append(e, now); err != nil {
			if failed == nil {
				failed = make([]error, len(entries))
			}
			failed[i] = err
		}
	}
	for _, d := range s.durables {
		d.wake()
	}
	return failed
}

func (s *stream) append(e driver.Entry, now time.Time) error {
	const op = "mem.append"
	if !slices.ContainsFunc(s.cfg.Subjects, func(p string) bool { return queue.Match(p, e.Subject) }) {
		return errs.New(errs.Invalid, op, "subject %q is not one of stream %s", e.Subject, s.cfg.Name)
	}
	if _, dup := s.ids[e.DedupID]; dup && e.DedupID != "" {
		return nil
	}
	m := &stored{subject: e.Subject, data: slices.Clone(e.Data), at: now}
	full := s.cfg.MaxMsgs > 0 && s.live+1 > s.cfg.MaxMsgs || s.cfg.MaxBytes > 0 && s.bytes+m.size() > s.cfg.MaxBytes
	if full && s.cfg.Reject || s.cfg.MaxBytes > 0 && m.size() > s.cfg.MaxBytes {
		return errs.New(errs.Busy, op, "stream %s is full", s.cfg.Name)
	}
	s.trim(1, m.size())
	if s.c.bytes+m.size() > s.c.maxBytes {
		return errs.New(errs.Busy, op, "the store is out of room")
	}
	if e.DedupID != "" {
		s.ids[e.DedupID] = struct{}{}
		s.idOrder = append(s.idOrder, seenID{e.DedupID, now})
	}
	s.msgs = append(s.msgs, m)
	s.live++
	s.bytes += m.size()
	s.c.bytes += m.size()
	return nil
}

// trim drops the oldest messages until msgs and bytes more fit the limits.
func (s *stream) trim(msgs, bytes int64) {
	for s.live > 0 && (s.cfg.MaxMsgs > 0 && s.live+msgs > s.cfg.MaxMsgs || s.cfg.MaxBytes > 0 && s.bytes+bytes > s.cfg.MaxBytes) {
		s.remove(s.first)
	}
}

// expire forgets messages and ids that are too old.
func (s *stream) expire(now time.Time) {
	for s.cfg.MaxAge > 0 && len(s.msgs) > 0 && now.Sub(s.msgs[0].at) > s.cfg.MaxAge {
		s.remove(s.first)
	}
	n := 0
	for n < len(s.idOrder) && now.Sub(s.idOrder[n].at) > s.cfg.Dedup {
		delete(s.ids, s.idOrder[n].id)
		n++
	}
	s.idOrder = s.idOrder[n:]
}

func (s *stream) end() uint64 { return s.first + uint64(len(s.msgs)) }

func (s *stream) get(seq uint64) *stored {
	if seq < s.first || seq >= s.end() {
		return nil
	}
	return s.msgs[seq-s.first]
}

// remove drops one message and moves first to the next one that is left.
func (s *stream) remove(seq uint64) {
	m := s.get(seq)
	if m == nil {
		return
	}
	s.live--
	s.bytes -= m.size()
	s.c.bytes -= m.size()
	s.msgs[seq-s.first] = nil
	for len(s.msgs) > 0 && s.msgs[0] == nil {
		s.msgs = s.msgs[1:]
		s.first++
	}
}
