package sqlite

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/state/driver"
)

// writer is a connection with its prepared statements, which live as long. It
// speaks to the driver below database/sql, whose care for pools and contexts
// costs as much as a small statement does.
type writer struct {
	conn  *sql.Conn
	stmts map[string]statement
	args  []sqldriver.NamedValue // reused
}

type statement interface {
	sqldriver.Stmt
	sqldriver.StmtExecContext
}

// Writer implements driver.Driver.
func (d *db) Writer(ctx context.Context) (driver.Writer, error) {
	conn, err := d.writer.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &writer{conn: conn, stmts: map[string]statement{}}, nil
}

func (w *writer) Run(ctx context.Context, statements []driver.Statement) ([]int64, error) {
	affected := make([]int64, 0, len(statements))
	err := w.conn.Raw(func(conn any) error {
		if _, err := w.exec(ctx, conn, "BEGIN IMMEDIATE", nil); err != nil {
			return err
		}
		for i := range statements {
			n, err := w.exec(ctx, conn, statements[i].SQL, statements[i].Args)
			if err != nil {
				return err
			}
			affected = append(affected, n)
		}
		return nil
	})
	if err != nil && len(affected) == 0 {
		affected = nil
	}
	return affected, err
}

func (w *writer) exec(ctx context.Context, conn any, query string, args []any) (int64, error) {
	stmt, ok := w.stmts[query]
	if !ok {
		prepared, err := conn.(sqldriver.ConnPrepareContext).PrepareContext(ctx, query)
		if err != nil {
			return 0, err
		}
		if stmt, ok = prepared.(statement); !ok {
			return 0, errs.New(errs.Internal, "sqlite", "the driver has no ExecContext")
		}
		w.stmts[query] = stmt
	}
	w.args = w.args[:0]
	for i, a := range args {
		v, err := value(a)
		if err != nil {
			return 0, err
		}
		w.args = append(w.args, sqldriver.NamedValue{Ordinal: i + 1, Value: v})
	}
	result, err := stmt.ExecContext(ctx, w.args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// value is what the driver takes for an argument.
func value(a any) (sqldriver.Value, error) {
	switch v := a.(type) {
	case string, int64, float64, nil:
		return v, nil
	case int:
		return int64(v), nil
	}
	return sqldriver.DefaultParameterConverter.ConvertValue(a)
}

func (w *writer) End(ctx context.Context, commit bool) error {
	end := "ROLLBACK"
	if commit {
		end = "COMMIT"
	}
	return w.conn.Raw(func(conn any) error {
		_, err := w.exec(ctx, conn, end, nil)
		return err
	})
}

func (w *writer) Close() error {
	for _, stmt := range w.stmts {
		_ = stmt.Close()
	}
	_, _ = w.conn.ExecContext(context.Background(), "ROLLBACK") // of what was left open; an error says there is nothing
	return w.conn.Close()
}
