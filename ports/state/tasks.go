package state

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
)

// Submit stores a new task. When it returns, the task survives power loss.
// The same tenant and msg_id give the task that is there already, with
// existed true; with another request that is a Conflict naming msg_id.
func (s *Store) Submit(ctx context.Context, t task.Task) (stored task.Task, existed bool, err error) {
	request, err := json.Marshal(t.Request)
	if err != nil {
		return t, false, errs.New(errs.Internal, "state.submit", "%w", err)
	}
	digest := Digest(t.Request)
	err = s.write(ctx, "state.submit", func(x *tx) {
		x.about = t.Request.MsgID
		x.exec(func(n int64) error { existed = n == 0; return nil }, `INSERT INTO tasks (id, tenant, msg_id, digest, cmd, flow, flow_ver, generation, priority, request,
 state, ending, status, call_slots, ret_slots, reply_to, version, created_at, started_at, ended_at, traceparent)
 VALUES (?,?,?,?,?,?,?,?,?,?,?,'','','','',?,1,?,0,0,?) ON CONFLICT (tenant, msg_id) DO NOTHING`,
			t.ID, t.Tenant, t.Request.MsgID, digest, t.Request.Cmd, t.Flow, t.FlowVer, t.Generation, t.Request.Priority,
			string(request), string(task.Queued), t.ReplyTo, ms(t.CreatedAt), t.Traceparent)
		x.names(&t)
	})
	if err != nil || !existed {
		t.State, t.Version = task.Queued, 1
		return t, false, err
	}
	var had string
	rows, err := s.query(ctx, `SELECT digest, id FROM tasks WHERE tenant = ? AND msg_id = ?`, t.Tenant, t.Request.MsgID)
	found, err := one[string](rows, err)(
		func(rows *sql.Rows) (string, error) {
			var id string
			return id, rows.Scan(&had, &id)
		})
	if err != nil {
		return t, true, classify("state.submit", err)
	}
	if had != digest {
		return t, true, &errs.Error{Kind: errs.Conflict, Op: "submit", Field: "msg_id",
			Msg: "this msg_id was used for a different request"}
	}
	stored, err = s.Task(ctx, found)
	return stored, true, err
}

// Digest identifies what a request asks for, whatever its time of creation.
func Digest(r task.Request) string {
	r.CreateTime = 0
	body, _ := json.Marshal(r) // plain data: cannot fail
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// one reads exactly one row; none is NotFound.
func one[T any](rows *sql.Rows, err error) func(func(*sql.Rows) (T, error)) (T, error) {
	return func(scan func(*sql.Rows) (T, error)) (T, error) {
		var zero T
		all, err := collect(rows, err, scan)
		if err != nil {
			return zero, err
		}
		if len(all) == 0 {
			return zero, errs.New(errs.NotFound, "state", "there is no such task")
		}
		return all[0], nil
	}
}

// Task returns one task, or NotFound.
func (s *Store) Task(ctx context.Context, id string) (task.Task, error) {
	rows, err := s.query(ctx, `SELECT `+taskColumns+` FROM tasks WHERE id = ?`, id)
	t, err := one[task.Task](rows, err)(scanTask)
	return t, classify("state.task", err)
}

// Queued lists tasks nobody has decided on yet that were accepted before a
// time: their wake-up message was lost.
func (s *Store) Queued(ctx context.Context, before time.Time, limit int) ([]string, error) {
	rows, err := s.query(ctx, `SELECT id FROM tasks WHERE state = 'queued' AND created_at <= ? ORDER BY id LIMIT ?`, ms(before), limit)
	ids, err := collect(rows, err, scanID)
	return ids, classify("state.queued", err)
}

// Live lists tasks that have begun and not ended, by id, after a cursor.
func (s *Store) Live(ctx context.Context, after string, limit int) ([]string, error) {
	rows, err := s.query(ctx, `SELECT id FROM tasks WHERE state = 'running' AND id > ? ORDER BY id LIMIT ?`, after, limit)
	ids, err := collect(rows, err, scanID)
	return ids, classify("state.live", err)
}

func scanID(rows *sql.Rows) (id string, err error) { return id, rows.Scan(&id) }

// View returns a task and all its work, and the uploads it names.
func (s *Store) View(ctx context.Context, id string) (task.View, error) {
	t, err := s.Task(ctx, id)
	if err != nil {
		return task.View{}, err
	}
	work, err := s.Work(ctx, id)
	if err != nil {
		return task.View{}, err
	}
	v := task.View{Task: t, Work: task.RowsOf(work...)}
	if ids := t.Request.Uploads(); len(ids) > 0 {
		uploads, err := s.Uploads(ctx, ids...)
		if err != nil {
			return task.View{}, err
		}
		v.Uploads = make(map[string]*Upload, len(uploads))
		for i := range uploads {
			v.Uploads[uploads[i].ID] = &uploads[i]
		}
	}
	return v, nil
}

// Work lists a task's events and segments in the order they were created.
func (s *Store) Work(ctx context.Context, taskID string) ([]task.Work, error) {
	rows, err := s.query(ctx, `SELECT `+workColumns+` FROM work WHERE task_id = ? ORDER BY created_at, component, ord`, taskID)
	all, err := collect(rows, err, scanWork)
	return all, classify("state.work", err)
}

// Count tells how many tasks are in a state.
func (s *Store) Count(ctx context.Context, in task.State) (n int, err error) {
	rows, err := s.query(ctx, `SELECT COUNT(*) FROM tasks WHERE state = ?`, string(in))
	all, err := collect(rows, err, func(rows *sql.Rows) (n int, err error) { return n, rows.Scan(&n) })
	if err != nil {
		return 0, classify("state.count", err)
	}
	return all[0], nil
}
