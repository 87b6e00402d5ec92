package state

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/state/driver"
)

// maxBatch bounds how many callers share one commit.
const maxBatch = 256

// write is one caller's part of a group commit: statements, and what is made
// of the number of rows each touched.
type write struct {
	tx
	err  error
	done chan struct{}
}

// tx collects the statements of one write.
type tx struct {
	store      *Store
	about      string // the row it locks; batches are in this order
	duty       *Under // that allows it; nil = needs none
	statements []driver.Statement
	checks     []func(rows int64) error // nil: any number will do
}

// exec adds a statement. check sees how many rows it touched; its error undoes
// the whole write, and only it. It may be called more than once.
func (x *tx) exec(check func(rows int64) error, query string, args ...any) {
	x.statements = append(x.statements, driver.Statement{SQL: x.store.rebind(query), Args: args})
	x.checks = append(x.checks, check)
}

// write carries out what build adds to a transaction that it may share with
// other callers, and returns when that has committed. If a statement or a
// check fails nothing of this write stays, while the others' writes do.
func (s *Store) write(ctx context.Context, op string, build func(*tx)) error {
	w := &write{tx: tx{store: s}, done: make(chan struct{})}
	build(&w.tx)
	if len(w.statements) == 0 {
		return nil
	}
	return s.await(op, w, s.enqueue(ctx, w))
}

// together is write for n writes, each of which succeeds or fails by itself. All
// are queued before the first is waited for, so that they share commits.
func (s *Store) together(ctx context.Context, op string, n int, build func(i int, x *tx)) []error {
	failed := make([]error, n)
	writes := make([]*write, n)
	for i := range writes {
		w := &write{tx: tx{store: s}, done: make(chan struct{})}
		if build(i, &w.tx); len(w.statements) == 0 {
			continue
		}
		if err := s.enqueue(ctx, w); err != nil {
			failed[i] = errs.Wrap(op, err)
			continue
		}
		writes[i] = w
	}
	for i, w := range writes {
		if w != nil {
			failed[i] = s.await(op, w, nil)
		}
	}
	return failed
}

func (s *Store) enqueue(ctx context.Context, w *write) error {
	select {
	case s.writes <- w:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return errs.New(errs.Transient, "state", "the store is closed")
	}
}

// await waits for a write that was queued: it is quick then, and leaving early
// would hide whether it committed.
func (s *Store) await(op string, w *write, queued error) error {
	if queued != nil {
		return errs.Wrap(op, queued)
	}
	select {
	case <-w.done:
	case <-s.stopped:
		select {
		case <-w.done:
		default: // queued when the last writer had looked already
			return errs.New(errs.Transient, op, "the store is closed")
		}
	}
	return classify(op, w.err)
}

func (s *Store) writeLoop() {
	defer s.writers.Done()
	c := &writer{driver: s.driver, observe: s.observe}
	defer c.close()
	for {
		select {
		case w := <-s.writes:
			c.commit(s.collect(w))
		case <-s.closing:
			for {
				select {
				case w := <-s.writes:
					w.err = errs.New(errs.Transient, "state", "the store is closed")
					close(w.done)
				default:
					return
				}
			}
		}
	}
}

// collect takes what else is waiting, without waiting for more: under load the
// batch fills by itself while the last one is being synced.
func (s *Store) collect(first *write) []*write {
	batch := []*write{first}
	for len(batch) < maxBatch {
		select {
		case w := <-s.writes:
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

// writer commits batches on one connection of the driver.
type writer struct {
	driver  driver.Driver
	conn    driver.Writer
	observe func(Commit)
	doubt   bool // a commit of the batch failed, and may have happened
}

func (c *writer) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// commit writes a batch and tells everybody. There are no savepoints: a write
// whose statement or check fails is taken out, and the others begin again
// without it, which is rare and cheaper than two more statements a write.
func (c *writer) commit(batch []*write) {
	// Two processes that lock the same rows in the same order never wait for each
	// other in a circle.
	slices.SortStableFunc(batch, func(a, b *write) int { return strings.Compare(a.about, b.about) })
	failures := 0
	c.doubt = false
	for len(batch) > 0 {
		began := time.Now()
		sound, err := c.try(batch)
		if err != nil || len(sound) == len(batch) {
			c.observe(Commit{Writes: len(batch), Statements: statements(batch), Took: time.Since(began), Err: err})
		}
		switch {
		case err != nil && failures < 2: // the connection, the disk, a deadlock: nobody is to blame
			c.close()
			failures++
		case err != nil:
			c.close()
			for _, w := range batch {
				w.err = err
			}
			finish(batch)
			return
		case len(sound) == len(batch):
			finish(batch)
			return
		default:
			batch = sound
		}
	}
}

func statements(batch []*write) (n int) {
	for _, w := range batch {
		n += len(w.statements)
	}
	return n
}

func finish(batch []*write) {
	for _, w := range batch {
		close(w.done)
	}
}

// try runs one transaction. Without a fault everything is committed and all
// writes come back. Writes that had a fault of their own are told, and the
// others come back uncommitted. An error is nobody's fault; nobody was told.
func (c *writer) try(batch []*write) (sound []*write, err error) {
	ctx := context.Background() // a caller's end must not abort the others' commit
	if c.conn == nil {
		conn, err := c.driver.Writer(ctx)
		if err != nil {
			return nil, err
		}
		c.conn = conn
	}
	duties, all := fences(batch)
	for _, w := range batch {
		w.err = nil
		all = append(all, w.statements...)
	}
	affected, err := c.conn.Run(ctx, all)
	if err == nil && len(affected) == len(all) {
		fenced(batch, duties, affected)
		if sound = judge(batch, affected[len(duties):], nil); len(sound) == len(batch) {
			err = c.conn.End(ctx, true)
			c.doubt = c.doubt || err != nil
			return sound, err
		}
	} else if err == nil || len(affected) < len(duties) || len(affected) >= len(all) || errs.Is(classify("state", err), errs.Transient) {
		return nil, errs.As(errs.Transient, "state", errors.Join(err, c.conn.End(ctx, false)))
	} else {
		fenced(batch, duties, affected)
		sound = judge(batch, affected[len(duties):], err)
	}
	if err := c.conn.End(ctx, false); err != nil {
		return nil, err
	}
	var faulty []*write
	for _, w := range batch {
		if w.err == nil {
			continue
		}
		if c.doubt && errs.Is(classify("state", w.err), errs.Conflict) { // perhaps with itself
			w.err = errs.New(errs.Transient, "state", "the connection broke during the commit, which may have happened: %w", w.err)
		}
		faulty = append(faulty, w)
	}
	finish(faulty)
	return sound, nil
}

// judge gives every write its own error: of the statement that failed, or of
// a check. It returns the writes without one.
func judge(batch []*write, affected []int64, failed error) (sound []*write) {
	at := 0
	for _, w := range batch {
		for i, check := range w.checks {
			n := at + i
			if n > len(affected) || w.err != nil {
				break
			}
			if n == len(affected) {
				w.err = failed
			} else if check != nil {
				w.err = check(affected[n])
			}
		}
		at += len(w.checks)
		if w.err == nil {
			sound = append(sound, w)
		}
	}
	return sound
}
