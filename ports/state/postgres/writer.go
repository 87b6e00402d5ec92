package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/state/driver"
)

// begin does not leave to the server's configuration what guards rely on: that
// a statement sees what others have committed.
const begin = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`

// writer is a connection with its prepared statements, which pgx keeps.
type writer struct {
	db   *db
	conn *pgx.Conn
}

// Writer implements driver.Driver.
func (d *db) Writer(ctx context.Context) (driver.Writer, error) {
	conn, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	return &writer{db: d, conn: conn}, nil
}

// Run sends everything at once: a batch is one round trip, whatever its length.
func (w *writer) Run(ctx context.Context, statements []driver.Statement) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue(begin)
	for _, s := range statements {
		batch.Queue(s.SQL, s.Args...)
	}
	results := w.conn.SendBatch(ctx, batch)
	_, err := results.Exec()
	affected := make([]int64, 0, len(statements))
	for err == nil && len(affected) < len(statements) {
		tag, failed := results.Exec()
		if err = failed; err == nil {
			affected = append(affected, tag.RowsAffected())
		}
	}
	if closed := results.Close(); err == nil {
		err = closed
	}
	var unsent pgx.ErrPreprocessingBatch
	if errors.As(err, &unsent) {
		return w.runEach(ctx, statements)
	}
	return affected, w.fault(ctx, err)
}

// runEach is Run without a batch. Values that can't be sent, and statements
// that can't be prepared, fail a batch before it begins: nothing tells which one
// it was, and pgx may have given the connection up.
func (w *writer) runEach(ctx context.Context, statements []driver.Statement) ([]int64, error) {
	if w.conn.IsClosed() {
		conn, err := w.db.connect(ctx)
		if err != nil {
			return nil, err
		}
		w.conn = conn
	}
	if _, err := w.conn.Exec(ctx, begin); err != nil {
		return nil, w.fault(ctx, err)
	}
	var affected []int64
	for _, s := range statements {
		tag, err := w.conn.Exec(ctx, s.SQL, s.Args...)
		if err != nil {
			return affected, w.fault(ctx, err)
		}
		affected = append(affected, tag.RowsAffected())
	}
	return affected, nil
}

func (w *writer) End(ctx context.Context, commit bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	end := "ROLLBACK"
	if commit {
		end = "COMMIT"
	}
	tag, err := w.conn.Exec(ctx, end)
	if err != nil {
		return w.fault(ctx, err)
	}
	if tag.String() != end { // a transaction that had failed is rolled back by COMMIT, without an error
		return errs.New(errs.Transient, "postgres", "the server answered %s with %s", end, tag)
	}
	w.db.answered()
	return nil
}

func (w *writer) Close() error {
	hangUp(w.conn) // the server rolls back what is open
	return nil
}

// fault gives an error its kind. A connection that is gone is nobody's fault,
// whatever closed it.
func (w *writer) fault(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if kind := driver.Kind(err); ctx.Err() != nil || kind == errs.Timeout || kind == errs.Canceled || w.conn.IsClosed() {
		return errs.As(errs.Transient, "postgres", err)
	}
	return classify(err)
}
