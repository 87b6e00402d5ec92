// Package state keeps tasks, their work and what must follow from them, in a
// relational database. Rows are the truth; every message can be derived from
// them again.
//
// The SQL is portable and written once; a driver brings the database. Writes
// of many callers are committed together (group commit), so that the price of
// syncing the disk is shared.
package state

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/state/driver"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is the portable type. Methods may be called concurrently.
type Store struct {
	driver  driver.Driver
	caps    driver.Caps
	writes  chan *write
	closing chan struct{} // closed when Close begins
	stopped chan struct{} // closed when no writer is left
	writers sync.WaitGroup
	once    sync.Once
	clock   atomic.Pointer[reading]
	watched atomic.Pointer[func(Commit)]

	mu      sync.Mutex
	stmts   map[string]*sql.Stmt // of the pool
	rebound sync.Map             // query → with the driver's placeholders
}

// New takes over a driver, brings the schema up to date and starts writing.
// Close ends it.
func New(ctx context.Context, d driver.Driver) (*Store, error) {
	unlock, err := d.Lock(ctx)
	if err != nil {
		return nil, errs.Wrap("state.migrate", err)
	}
	err = migrate(ctx, d)
	unlock()
	if err != nil {
		return nil, errs.New(errs.Internal, "state.migrate", "%w", err)
	}
	s := &Store{
		driver: d, caps: d.Caps(), writes: make(chan *write, 1024), closing: make(chan struct{}), stopped: make(chan struct{}),
		stmts: map[string]*sql.Stmt{},
	}
	if err := s.Sync(ctx); err != nil {
		return nil, errs.Wrap("state.new", err)
	}
	for range s.caps.Writers {
		s.writers.Add(1)
		go s.writeLoop()
	}
	if s.caps.Now == "" { // the database is this process's own: whoever held something is gone
		err := s.write(ctx, "state.new", func(x *tx) { x.exec(nil, `DELETE FROM leases`) })
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func migrate(ctx context.Context, d driver.Driver) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(database.Dialect(d.Caps().Dialect), d.DB(), dir)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// Close waits for the writes under way and closes the database.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closing)
		s.writers.Wait()
		close(s.stopped)
	})
	s.mu.Lock()
	for _, st := range s.stmts {
		_ = st.Close()
	}
	s.mu.Unlock()
	return s.driver.Close()
}

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.driver.DB().PingContext(ctx); err != nil {
		return classify("state.ping", err)
	}
	return nil
}

// query reads outside transactions, through a cached statement.
func (s *Store) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s.mu.Lock()
	st, ok := s.stmts[query]
	s.mu.Unlock()
	if !ok {
		var err error
		if st, err = s.driver.DB().PrepareContext(ctx, s.rebind(query)); err != nil {
			return nil, err
		}
		s.mu.Lock()
		if had, ok := s.stmts[query]; ok {
			_ = st.Close()
			st = had
		}
		s.stmts[query] = st
		s.mu.Unlock()
	}
	return st.QueryContext(ctx, args...)
}

// rebind turns ? placeholders into the numbered ones PostgreSQL wants. No
// query of this package has a ? of another meaning.
func (s *Store) rebind(query string) string {
	if !s.caps.Numbered {
		return query
	}
	if had, ok := s.rebound.Load(query); ok {
		return had.(string)
	}
	var b strings.Builder
	n := 0
	for _, r := range query {
		if r == '?' {
			n++
			fmt.Fprintf(&b, "$%d", n)
			continue
		}
		b.WriteRune(r)
	}
	s.rebound.Store(query, b.String()) // queries are constants of this package, so they are few
	return b.String()
}

// classify gives database errors a kind.
func classify(op string, err error) error { return errs.As(driver.Kind(err), op, err) }
