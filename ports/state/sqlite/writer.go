package sqlite

import (
	"context"
	"database/sql"

	"github.com/mediafn/mediafn/ports/state/driver"
)

// writer is a connection with its prepared statements, which live as long.
type writer struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// Writer implements driver.Driver.
func (d *db) Writer(ctx context.Context) (driver.Writer, error) {
	conn, err := d.writer.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &writer{conn: conn, stmts: map[string]*sql.Stmt{}}, nil
}

func (w *writer) Run(ctx context.Context, statements []driver.Statement) ([]int64, error) {
	if _, err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	affected := make([]int64, 0, len(statements))
	for _, s := range statements {
		n, err := w.exec(ctx, s.SQL, s.Args...)
		if err != nil {
			return affected, err
		}
		affected = append(affected, n)
	}
	return affected, nil
}

func (w *writer) exec(ctx context.Context, query string, args ...any) (int64, error) {
	stmt, ok := w.stmts[query]
	if !ok {
		var err error
		if stmt, err = w.conn.PrepareContext(ctx, query); err != nil {
			return 0, err
		}
		w.stmts[query] = stmt
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (w *writer) End(ctx context.Context, commit bool) error {
	end := "ROLLBACK"
	if commit {
		end = "COMMIT"
	}
	_, err := w.exec(ctx, end)
	return err
}

func (w *writer) Close() error {
	for _, stmt := range w.stmts {
		_ = stmt.Close()
	}
	_, _ = w.conn.ExecContext(context.Background(), "ROLLBACK") // of what was left open; an error says there is nothing
	return w.conn.Close()
}
