package state

import (
	"context"
	"database/sql"

	"github.com/mediafn/mediafn/core/errs"
)

// maxBatch bounds how many callers share one commit.
const maxBatch = 256

// write is one caller's part of a group commit.
type write struct {
	ctx  context.Context
	do   func(*tx) error
	err  error
	done chan struct{}
}

// tx is a transaction shared by a batch. It runs on a connection that belongs
// to one write loop, whose prepared statements live as long as the connection.
type tx struct {
	ctx  context.Context
	conn *writeConn
}

type writeConn struct {
	store *Store
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func (c *writeConn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := c.stmts[query]; ok {
		return st, nil
	}
	st, err := c.conn.PrepareContext(ctx, c.store.rebind(query))
	if err != nil {
		return nil, err
	}
	c.stmts[query] = st
	return st, nil
}

func (c *writeConn) close() {
	if c.conn == nil {
		return
	}
	for _, st := range c.stmts {
		_ = st.Close()
	}
	_ = c.conn.Close()
	c.conn, c.stmts = nil, nil
}

// open takes a connection from the pool if there is none.
func (c *writeConn) open(ctx context.Context) (err error) {
	if c.conn != nil {
		return nil
	}
	c.stmts = map[string]*sql.Stmt{}
	c.conn, err = c.store.driver.Writer().Conn(ctx)
	return err
}

func (t *tx) exec(query string, args ...any) (int64, error) {
	st, err := t.conn.prepare(t.ctx, query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// write runs do inside a transaction that it may share with other callers, and
// returns when that has committed. If do returns an error nothing it wrote
// stays, while the others' writes do. do may be run twice and must not wait
// for anything but the database.
func (s *Store) write(ctx context.Context, op string, do func(*tx) error) error {
	w := &write{ctx: ctx, do: do, done: make(chan struct{})}
	select {
	case s.writes <- w:
	case <-ctx.Done():
		return errs.Wrap(op, ctx.Err())
	case <-s.closing:
		return errs.New(errs.Transient, op, "the store is closed")
	}
	select { // once queued it is quick; leaving early would hide whether it committed
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
	conn := &writeConn{store: s}
	defer conn.close()
	for {
		select {
		case w := <-s.writes:
			s.commit(conn, s.collect(w))
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

// commit runs a batch. If the shared transaction fails as a whole, each write
// is tried in a transaction of its own, so that nobody fails for another.
func (s *Store) commit(conn *writeConn, batch []*write) {
	err := conn.run(batch)
	if err != nil && len(batch) > 1 {
		for _, w := range batch {
			s.commit(conn, []*write{w})
		}
		return
	}
	for _, w := range batch {
		if err != nil {
			w.err = err
		}
		close(w.done)
	}
}

// run does one transaction. Errors of single writes stay with them; an error
// of the transaction itself is returned, and the connection given up.
func (c *writeConn) run(batch []*write) (err error) {
	ctx := context.Background() // a caller's end must not abort the others' commit
	if err := c.open(ctx); err != nil {
		return err
	}
	t := &tx{ctx: ctx, conn: c}
	if _, err := t.exec(c.store.begin()); err != nil {
		c.close()
		return err
	}
	defer func() {
		if err != nil {
			_, _ = t.exec("ROLLBACK")
			c.close()
		}
	}()
	for _, w := range batch {
		if _, err := t.exec("SAVEPOINT one"); err != nil {
			return err
		}
		undo := "RELEASE SAVEPOINT one"
		if w.err = w.do(t); w.err != nil {
			undo = "ROLLBACK TO SAVEPOINT one"
		}
		if _, err := t.exec(undo); err != nil {
			return err
		}
	}
	_, err = t.exec("COMMIT")
	return err
}

func (s *Store) begin() string {
	if s.postgres {
		return "BEGIN"
	}
	return "BEGIN IMMEDIATE"
}
