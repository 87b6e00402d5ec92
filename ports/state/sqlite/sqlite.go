// Package sqlite keeps state in one local file, with full synchronisation: a
// committed transaction survives power loss.
package sqlite

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/state/driver"
)

type db struct{ writer, reader *sql.DB }

// Open opens or creates the file. One process at a time owns it.
func Open(path string) (driver.Driver, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, errs.As(errs.Internal, "sqlite", err)
	}
	// WAL with synchronous FULL syncs the log at every commit; NORMAL would
	// lose the last commits at power loss.
	writer, err := open(path, "immediate", "synchronous(full)", "wal_autocheckpoint(4000)")
	if err != nil {
		return nil, err
	}
	reader, err := open(path, "deferred", "synchronous(full)")
	if err != nil {
		_ = writer.Close()
		return nil, err
	}
	reader.SetMaxOpenConns(4)
	return &db{writer, reader}, nil
}

func open(path, lock string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_txlock": {lock}, "_pragma": append([]string{
		"journal_mode(wal)", "busy_timeout(10000)", "temp_store(memory)", "cache_size(-32000)",
	}, pragmas...)}
	handle, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err == nil {
		err = handle.Ping()
	}
	if err != nil {
		return nil, errs.New(errs.Internal, "sqlite", "open %s: %w", path, err)
	}
	return handle, nil
}

func (d *db) DB() *sql.DB { return d.reader }

func (d *db) Caps() driver.Caps {
	return driver.Caps{Dialect: "sqlite3", Writers: 1}
}

// Lock does nothing: the file belongs to one process.
func (d *db) Lock(context.Context) (func(), error) { return func() {}, nil }

func (d *db) Close() error {
	rerr := d.reader.Close()
	if err := d.writer.Close(); err != nil {
		return errs.As(errs.Internal, "sqlite", err)
	}
	return errs.Wrap("sqlite", rerr)
}
