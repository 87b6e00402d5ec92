package state

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// Used tells of every object that a task which is not over was given, or that
// its work has given so far. It reads pages of tasks, so a task that ends or
// begins meanwhile may be seen or not.
func (s *Store) Used(ctx context.Context, tell func(media.Ref)) error {
	const page = 500
	const op = "state.used"
	for after := ""; ; {
		var last string
		rows, err := s.query(ctx, `SELECT id, request FROM tasks WHERE state IN ('queued', 'running') AND id > ? ORDER BY id LIMIT ?`, after, page)
		given, err := collect(rows, err, func(rows *sql.Rows) (r task.Request, err error) {
			var raw string
			if err = rows.Scan(&last, &raw); err == nil {
				err = json.Unmarshal([]byte(raw), &r)
			}
			return r, err
		})
		if err != nil {
			return classify(op, err)
		}
		if len(given) == 0 {
			return nil
		}
		for _, r := range given {
			for _, ref := range r.Inputs {
				tell(ref)
			}
		}
		rows, err = s.query(ctx, `SELECT w.outputs FROM work w JOIN tasks t ON t.id = w.task_id
 WHERE t.id > ? AND t.id <= ? AND t.state = 'running' AND w.outputs <> ''`, after, last)
		made, err := collect(rows, err, func(rows *sql.Rows) (all []media.Object, err error) {
			var raw string
			if err = rows.Scan(&raw); err == nil {
				err = json.Unmarshal([]byte(raw), &all)
			}
			return all, err
		})
		if err != nil {
			return classify(op, err)
		}
		for _, all := range made {
			for _, o := range all {
				tell(o.Ref)
			}
		}
		if after = last; len(given) < page {
			return nil
		}
	}
}
