package state

import (
	"context"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/task"
)

// Filter selects tasks for a list. Zero fields select everything.
type Filter struct {
	Tenant string
	State  task.State
	Cmd    string
	MsgID  string
	// Stuck selects tasks that nothing has moved since a time though something
	// should have: never decided on, without any work that could go on, or with
	// work whose lease or deadline had run out by then.
	Stuck time.Time
	After string // cursor: id of the last task of the page before
	Limit int    // 1–1000
}

// Tasks lists tasks, newest first.
func (s *Store) Tasks(ctx context.Context, f Filter) ([]task.Task, error) {
	var where []string
	var args []any
	for _, c := range []struct{ sql, value string }{
		{"tenant = ?", f.Tenant}, {"state = ?", string(f.State)}, {"cmd = ?", f.Cmd}, {"msg_id = ?", f.MsgID}, {"id < ?", f.After},
	} {
		if c.value != "" {
			where = append(where, c.sql)
			args = append(args, c.value)
		}
	}
	if !f.Stuck.IsZero() {
		since := ms(f.Stuck)
		where = append(where, stuck)
		args = append(args, since, since, since, since)
	}
	query := `SELECT ` + taskColumns + ` FROM tasks`
	if where != nil {
		query += ` WHERE ` + strings.Join(where, " AND ")
	}
	rows, err := s.query(ctx, query+` ORDER BY id DESC LIMIT ?`, append(args, f.Limit)...)
	all, err := collect(rows, err, scanTask)
	return all, classify("state.tasks", err)
}

const stuck = `(state = 'queued' AND created_at < ?
 OR state = 'running' AND started_at < ? AND NOT EXISTS
  (SELECT 1 FROM work WHERE task_id = tasks.id AND work.state IN ('ready', 'waiting', 'running'))
 OR state = 'running' AND EXISTS
  (SELECT 1 FROM work WHERE task_id = tasks.id AND work.state = 'running'
   AND (lease_till > 0 AND lease_till < ? OR deadline > 0 AND deadline < ?)))`

// WorkByTrace returns the work a trace is the running attempt of, or NotFound.
func (s *Store) WorkByTrace(ctx context.Context, trace string) (task.Work, error) {
	rows, err := s.query(ctx, `SELECT `+workColumns+` FROM work WHERE state = 'running' AND trace = ?`, trace)
	w, err := one[task.Work](rows, err)(scanWork)
	return w, classify("state.work", err)
}

// Trace returns an ended attempt, or NotFound.
func (s *Store) Trace(ctx context.Context, id string) (Trace, error) {
	rows, err := s.query(ctx, `SELECT `+traceColumns+` FROM traces WHERE id = ?`, id)
	t, err := one[Trace](rows, err)(scanTrace)
	return t, classify("state.trace", err)
}
