package state

import (
	"context"
	"database/sql"
	"time"

	"github.com/mediafn/mediafn/core/task"
)

// Post is something that must happen outside the database because of a
// committed change. It stays until it has happened.
type Post struct {
	ID        string // also the id the receiver knows a repeated delivery by
	TaskID    string
	Kind      PostKind
	Target    string // URL of a webhook, gateway of a reply
	Body      string // frozen when the change was committed
	Attempt   int    // tries so far
	NotBefore time.Time
	CreatedAt time.Time
}

// PostKind says who takes a post.
type PostKind string

const (
	Webhook PostKind = "webhook" // tell the caller's notify_url
	Sweep   PostKind = "sweep"   // delete what an ended task leaves behind
	Result  PostKind = "result"  // put the callback into the tenant's result queue
)

func (x *tx) post(p Post) {
	x.exec(nil, `INSERT INTO outbox (id, task_id, kind, body, target, attempt, not_before, created_at) VALUES (?,?,?,?,?,?,?,?)`,
		p.ID, p.TaskID, string(p.Kind), p.Body, p.Target, p.Attempt, ms(p.NotBefore), ms(p.CreatedAt))
}

// Posts lists posts of a kind that are due, oldest first.
func (s *Store) Posts(ctx context.Context, kind PostKind, now time.Time, limit int) ([]Post, error) {
	rows, err := s.query(ctx, `SELECT id, task_id, kind, body, target, attempt, not_before, created_at FROM outbox
 WHERE kind = ? AND not_before <= ? ORDER BY not_before, id LIMIT ?`, string(kind), ms(now), limit)
	all, err := collect(rows, err, scanPost)
	return all, classify("state.posts", err)
}

// Claim takes a post for one try: until till nobody else is given it. It
// returns false if somebody took or settled it since it was read. A taker that
// dies leaves it to be tried again then.
func (s *Store) Claim(ctx context.Context, p Post, till time.Time) (mine bool, err error) {
	err = s.write(ctx, "state.claim", func(x *tx) {
		x.about = p.ID
		x.exec(func(n int64) error { mine = n == 1; return nil },
			`UPDATE outbox SET not_before = ? WHERE id = ? AND attempt = ? AND not_before = ?`,
			ms(till), p.ID, p.Attempt, ms(p.NotBefore))
	})
	return mine && err == nil, err
}

// PostsOf lists what is still to happen for a task.
func (s *Store) PostsOf(ctx context.Context, taskID string) ([]Post, error) {
	rows, err := s.query(ctx, `SELECT id, task_id, kind, body, target, attempt, not_before, created_at FROM outbox
 WHERE task_id = ? ORDER BY id`, taskID)
	all, err := collect(rows, err, scanPost)
	return all, classify("state.posts", err)
}

func scanPost(rows *sql.Rows) (p Post, err error) {
	var notBefore, created int64
	err = rows.Scan(&p.ID, &p.TaskID, &p.Kind, &p.Body, &p.Target, &p.Attempt, &notBefore, &created)
	p.NotBefore, p.CreatedAt = at(notBefore), at(created)
	return p, err
}

// Settle ends a post, or, when again is not zero, has it tried again then. The
// log line, if any, is kept with it.
func (s *Store) Settle(ctx context.Context, p Post, again time.Time, log *Delivery) error {
	return s.write(ctx, "state.settle", func(x *tx) {
		if log != nil {
			x.exec(nil, `INSERT INTO deliveries (id, task_id, webhook_id, url, attempt, status, error, at, took)
 VALUES (?,?,?,?,?,?,?,?,?)`, task.NewID(), log.TaskID, log.WebhookID, log.URL, log.Attempt, log.Status, plain(log.Error),
				ms(log.At), log.Took.Milliseconds())
		}
		if again.IsZero() {
			x.exec(nil, `DELETE FROM outbox WHERE id = ?`, p.ID)
			return
		}
		x.exec(nil, `UPDATE outbox SET attempt = ?, not_before = ? WHERE id = ?`, p.Attempt+1, ms(again), p.ID)
	})
}

// SettleAll ends posts together.
func (s *Store) SettleAll(ctx context.Context, posts []Post) error {
	return s.write(ctx, "state.settle", func(x *tx) {
		for _, p := range posts {
			x.exec(nil, `DELETE FROM outbox WHERE id = ?`, p.ID)
		}
	})
}

// Deliveries lists a task's webhook tries, oldest first.
func (s *Store) Deliveries(ctx context.Context, taskID string) ([]Delivery, error) {
	rows, err := s.query(ctx, `SELECT task_id, webhook_id, url, attempt, status, error, at, took FROM deliveries
 WHERE task_id = ? ORDER BY at, id`, taskID)
	all, err := collect(rows, err, func(rows *sql.Rows) (d Delivery, err error) {
		var when, took int64
		err = rows.Scan(&d.TaskID, &d.WebhookID, &d.URL, &d.Attempt, &d.Status, &d.Error, &when, &took)
		d.At, d.Took = at(when), time.Duration(took)*time.Millisecond
		return d, err
	})
	return all, classify("state.deliveries", err)
}

// Traces lists a task's ended attempts, oldest first. Those that succeeded stand
// in the rows of their work; only the others have rows of their own.
func (s *Store) Traces(ctx context.Context, taskID string) ([]Trace, error) {
	rows, err := s.query(ctx, `SELECT `+traceColumns+` FROM traces WHERE task_id = ?
 UNION ALL
 SELECT trace, id, task_id, attempt, worker, 'succeeded', NULL, usage, started_at, ended_at FROM work
 WHERE task_id = ? AND state = 'succeeded' AND trace <> '' AND NOT EXISTS (SELECT 1 FROM traces WHERE traces.id = work.trace)
 ORDER BY 10, 1`, taskID, taskID)
	all, err := collect(rows, err, scanTrace)
	return all, classify("state.traces", err)
}

const traceColumns = `id, work_id, task_id, attempt, worker, outcome, error, usage, started_at, ended_at`

func scanTrace(rows *sql.Rows) (t Trace, err error) {
	var fault, used sql.NullString
	var started, ended int64
	if err := rows.Scan(&t.ID, &t.WorkID, &t.TaskID, &t.Attempt, &t.Worker, &t.Outcome, &fault, &used, &started, &ended); err != nil {
		return t, err
	}
	decode(fault, &t.Error, &err)
	decode(used, &t.Usage, &err)
	t.StartedAt, t.EndedAt = at(started), at(ended)
	return t, err
}

// History lists a task's notes, oldest first.
func (s *Store) History(ctx context.Context, taskID string) ([]Note, error) {
	rows, err := s.query(ctx, `SELECT task_id, work_id, kind, detail, at FROM history WHERE task_id = ? ORDER BY id`, taskID)
	all, err := collect(rows, err, func(rows *sql.Rows) (n Note, err error) {
		var when int64
		err = rows.Scan(&n.TaskID, &n.WorkID, &n.Kind, &n.Detail, &when)
		n.At = at(when)
		return n, err
	})
	return all, classify("state.history", err)
}
