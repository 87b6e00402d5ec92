// Package driver is what a database technology brings to ports/state.
package driver

import (
	"context"
	"database/sql"
)

// Driver opens one database. All SQL is written once, in ports/state, which
// numbers its placeholders where Caps asks for it; a driver connects and runs
// batches.
//
// Methods may be called concurrently. DB returns the same pool for the
// driver's life.
type Driver interface {
	// DB is the pool for queries outside transactions, which see everything
	// committed before they began, and for migrations.
	DB() *sql.DB
	// Caps says what the technology is like.
	Caps() Caps
	// Writer opens a connection for one writer.
	Writer(ctx context.Context) (Writer, error)
	// Lock keeps other processes from migrating until unlock is called.
	Lock(ctx context.Context) (unlock func(), err error)
	// Close closes the pool and every writer.
	Close() error
}

// Caps describes a technology.
type Caps struct {
	Dialect  string // goose's name: "sqlite3" or "postgres"
	Writers  int    // transactions that may run at once: 1 for SQLite
	Numbered bool   // placeholders are $1, $2 … instead of ?
	Share    bool   // SELECT … FOR SHARE keeps rows as they are until the commit, and counts them
	Now      string // SQL expression: the database's time in Unix milliseconds; empty = it has ours
}

// Statement is one write of a transaction.
type Statement struct {
	SQL  string // with the driver's placeholders
	Args []any
}

// Writer runs transactions, one at a time. It belongs to one goroutine.
type Writer interface {
	// Run begins a transaction and carries out statements in order, stopping at
	// the first that fails. affected has the number of rows of each that was
	// carried out; len(affected) is therefore the index of the one that failed.
	// Whatever it returns, the transaction stays open until End.
	Run(ctx context.Context, statements []Statement) (affected []int64, err error)
	// End commits or rolls back. A commit that returned nil survives power loss;
	// one that failed may have happened.
	End(ctx context.Context, commit bool) error
	// Close gives the connection up; an open transaction is rolled back.
	Close() error
}
