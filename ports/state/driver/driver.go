// Package driver is what a database technology brings to ports/state.
package driver

import (
	"context"
	"database/sql"
)

// Driver opens one database. All SQL is written once, in ports/state, with ?
// placeholders; a driver connects and classifies.
//
// Methods may be called concurrently. Writer and Reader return the same pools
// for the driver's life.
type Driver interface {
	// Writer is the pool that transactions are run on. A transaction that has
	// committed on it survives power loss.
	Writer() *sql.DB
	// Reader is the pool for queries outside transactions; it sees everything
	// committed before the query began.
	Reader() *sql.DB
	// Dialect is goose's name of the SQL dialect: "sqlite3" or "postgres".
	Dialect() string
	// Writers is how many transactions may run at once: 1 for SQLite.
	Writers() int
	// Lock keeps other processes from migrating until unlock is called.
	Lock(ctx context.Context) (unlock func(), err error)
	// Close closes both pools.
	Close() error
}
