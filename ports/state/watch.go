package state

import (
	"context"
	"database/sql"
	"time"
)

// Commit tells of one finished group commit.
type Commit struct {
	Writes     int // callers that shared it
	Statements int
	Took       time.Duration
	Err        error // nobody's fault: connection, disk
}

// Watch has f told of every group commit from now on. It is called by the
// writers, so it must not block. A second call replaces the first.
func (s *Store) Watch(f func(Commit)) { s.watched.Store(&f) }

func (s *Store) observe(c Commit) {
	if f := s.watched.Load(); f != nil {
		(*f)(c)
	}
}

// Backlog is what waits in the outbox.
type Backlog struct {
	Posts  int
	Oldest time.Time // when the oldest of them was put in
}

// Backlog counts the outbox by kind. Kinds without a post are left out.
func (s *Store) Backlog(ctx context.Context) (map[PostKind]Backlog, error) {
	type line struct {
		kind PostKind
		Backlog
	}
	rows, err := s.query(ctx, `SELECT kind, COUNT(*), MIN(created_at) FROM outbox GROUP BY kind`)
	lines, err := collect(rows, err, func(rows *sql.Rows) (l line, err error) {
		var oldest int64
		err = rows.Scan(&l.kind, &l.Posts, &oldest)
		l.Oldest = at(oldest)
		return l, err
	})
	all := map[PostKind]Backlog{}
	for _, l := range lines {
		all[l.kind] = l.Backlog
	}
	return all, classify("state.backlog", err)
}
