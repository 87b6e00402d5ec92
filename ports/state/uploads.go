package state

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// Upload is a file on its way into a bucket.
type Upload = arrival.Upload

const uploadColumns = `id, tenant, cloud, bucket, object, meta, mime, size, arrived, state, concat, index_at, why, created_at, expires_at,
 whole_at, touched_at`

// CreateUpload stores a new upload. One that is made of others, in this order,
// takes over their pieces, and they are gone. Conflict: one of them is not the
// tenant's, not partial, or not whole.
func (s *Store) CreateUpload(ctx context.Context, u Upload, from ...Upload) error {
	return s.write(ctx, "state.upload", func(x *tx) {
		x.about = u.ID
		x.exec(nil, `INSERT INTO uploads (`+uploadColumns+`, cleared) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0)`,
			u.ID, u.Tenant, u.Place.Cloud, u.Place.Bucket, u.Place.Key, plain(u.Meta), u.Mime, u.Size, u.Arrived, string(u.State), u.Concat,
			u.Index, u.Why, ms(u.CreatedAt), ms(u.ExpiresAt), ms(u.WholeAt), ms(u.TouchedAt))
		begins := int64(0)
		for _, part := range from {
			x.exec(onlyOne("upload %s is not a whole part any more", part.ID),
				`UPDATE uploads SET state = 'gone', why = ? WHERE id = ? AND tenant = ? AND concat = 'partial' AND state = 'done'`,
				"it is a part of upload "+u.ID, part.ID, u.Tenant)
			x.exec(nil, `UPDATE upload_pieces SET upload_id = ?, begins = begins + ? WHERE upload_id = ?`, u.ID, begins, part.ID)
			begins += part.Size
		}
	})
}

// AdvanceUpload makes pieces part of an upload, if it is still open and as far
// as was says. Conflict: somebody else has added to it, or ended it.
func (s *Store) AdvanceUpload(ctx context.Context, was, now Upload, pieces ...media.Piece) error {
	return s.write(ctx, "state.upload", func(x *tx) {
		x.about = was.ID
		x.exec(onlyOne("upload %s has gone on in between", was.ID),
			`UPDATE uploads SET size = ?, arrived = ?, state = ?, index_at = ?, why = ?, expires_at = ?, whole_at = ?, touched_at = ?
 WHERE id = ? AND arrived = ? AND size = ? AND state = 'open'`,
			now.Size, now.Arrived, string(now.State), now.Index, now.Why, ms(now.ExpiresAt), ms(now.WholeAt), ms(now.TouchedAt),
			was.ID, was.Arrived, was.Size)
		for _, p := range pieces {
			x.exec(nil, `INSERT INTO upload_pieces (upload_id, begins, size, object) VALUES (?,?,?,?)`, was.ID, p.Start, p.Size, p.Key)
		}
	})
}

// TouchUpload says that somebody is putting a whole upload together. Conflict:
// it is not whole, or done already.
func (s *Store) TouchUpload(ctx context.Context, id string) error {
	return s.write(ctx, "state.upload", func(x *tx) {
		x.about = id
		x.exec(onlyOne("upload %s is not being put together", id),
			`UPDATE uploads SET touched_at = ? WHERE id = ? AND state = 'whole'`, ms(s.Now()), id)
	})
}

// EndUpload turns an upload into one that is done or gone, if it is still as was
// says. Conflict: it has gone on, or ended.
func (s *Store) EndUpload(ctx context.Context, was Upload, now arrival.State, why string) error {
	return s.write(ctx, "state.upload", func(x *tx) {
		x.about = was.ID
		x.exec(onlyOne("upload %s has gone on in between", was.ID),
			`UPDATE uploads SET state = ?, why = CASE WHEN ? = '' THEN why ELSE ? END, touched_at = ? WHERE id = ? AND state = ? AND arrived = ?`,
			string(now), why, why, ms(s.Now()), was.ID, string(was.State), was.Arrived)
	})
}

// onlyOne is the check of a guarded write to one row.
func onlyOne(format, id string) func(int64) error {
	return func(n int64) error {
		if n == 0 {
			return errs.New(errs.Conflict, "state", format, id)
		}
		return nil
	}
}

// Uploads reads uploads by id; those that are not known are left out.
func (s *Store) Uploads(ctx context.Context, ids ...string) (all []Upload, err error) {
	for some := range slices.Chunk(ids, 20) {
		args := make([]any, 20) // one statement for every number of ids
		for i, id := range some {
			args[i] = id
		}
		rows, err := s.query(ctx, `SELECT `+uploadColumns+` FROM uploads WHERE id IN (?`+strings.Repeat(",?", 19)+`)`, args...)
		found, err := collect(rows, err, scanUpload)
		if err != nil {
			return nil, classify("state.upload", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// CountUploads counts uploads that are not whole, of a tenant, or of all with "".
func (s *Store) CountUploads(ctx context.Context, tenant string) (int, error) {
	query, args := `SELECT COUNT(*) FROM uploads WHERE cleared = 0 AND state = 'open'`, []any{}
	if tenant != "" {
		query, args = query+` AND tenant = ?`, append(args, tenant)
	}
	rows, err := s.query(ctx, query, args...)
	all, err := collect(rows, err, func(rows *sql.Rows) (n int, err error) { return n, rows.Scan(&n) })
	if err != nil {
		return 0, classify("state.upload", err)
	}
	return all[0], nil
}

// Untended lists uploads somebody has to look after: those that expired, whole
// ones nobody has worked on since idle, ended ones with pieces that no task can be
// reading, and those without that were last touched before old.
func (s *Store) Untended(ctx context.Context, idle, old time.Time, limit int) ([]Upload, error) {
	const op = "state.upload"
	now := ms(s.Now())
	rows, err := s.query(ctx, `SELECT `+uploadColumns+` FROM uploads WHERE cleared = 0 AND (
 state = 'gone' OR state = 'whole' AND touched_at <= ?
 OR (state = 'open' OR state = 'done' AND concat = 'partial') AND expires_at <= ?
 OR state = 'done' AND concat <> 'partial' AND NOT EXISTS
  (SELECT 1 FROM upload_tasks u JOIN tasks t ON t.id = u.task_id WHERE u.upload_id = uploads.id AND t.state IN ('queued', 'running')))
 ORDER BY touched_at LIMIT ?`, ms(idle), now, limit)
	all, err := collect(rows, err, scanUpload)
	if err != nil || len(all) == limit {
		return all, classify(op, err)
	}
	rows, err = s.query(ctx, `SELECT `+uploadColumns+` FROM uploads WHERE cleared = 1 AND touched_at <= ? ORDER BY touched_at LIMIT ?`,
		ms(old), limit-len(all))
	forgotten, err := collect(rows, err, scanUpload)
	return append(all, forgotten...), classify(op, err)
}

// Pieces lists what has arrived of an upload, in order.
func (s *Store) Pieces(ctx context.Context, upload string) ([]media.Piece, error) {
	rows, err := s.query(ctx, `SELECT object, begins, size FROM upload_pieces WHERE upload_id = ? ORDER BY begins`, upload)
	all, err := collect(rows, err, func(rows *sql.Rows) (p media.Piece, err error) { return p, rows.Scan(&p.Key, &p.Start, &p.Size) })
	return all, classify("state.upload", err)
}

// PieceNamed reports whether some upload has a piece stored under a key.
func (s *Store) PieceNamed(ctx context.Context, key string) (bool, error) {
	rows, err := s.query(ctx, `SELECT COUNT(*) FROM upload_pieces WHERE object = ?`, key)
	all, err := collect(rows, err, func(rows *sql.Rows) (n int, err error) { return n, rows.Scan(&n) })
	return err == nil && all[0] > 0, classify("state.upload", err)
}

// DropPieces forgets an ended upload's pieces, once their objects are deleted.
func (s *Store) DropPieces(ctx context.Context, upload string) error {
	return s.write(ctx, "state.upload", func(x *tx) {
		x.about = upload
		x.exec(nil, `DELETE FROM upload_pieces WHERE upload_id = ?`, upload)
		x.exec(nil, `UPDATE uploads SET cleared = 1 WHERE id = ? AND state IN ('done', 'gone')`, upload)
	})
}

// ForgetUpload deletes an ended upload's row.
func (s *Store) ForgetUpload(ctx context.Context, id string) error {
	return s.write(ctx, "state.upload", func(x *tx) {
		x.about = id
		x.exec(nil, `DELETE FROM upload_tasks WHERE upload_id = ?`, id)
		x.exec(nil, `DELETE FROM uploads WHERE id = ? AND state IN ('done', 'gone')`, id)
	})
}

// UploadTasks lists the tasks that name an upload and are not over.
func (s *Store) UploadTasks(ctx context.Context, upload string) ([]string, error) {
	rows, err := s.query(ctx, `SELECT t.id FROM upload_tasks u JOIN tasks t ON t.id = u.task_id
 WHERE u.upload_id = ? AND t.state IN ('queued', 'running') ORDER BY t.id`, upload)
	ids, err := collect(rows, err, scanID)
	return ids, classify("state.upload", err)
}

// names has a task that is being stored found by the uploads it names.
func (x *tx) names(t *task.Task) {
	for _, id := range t.Request.Uploads() {
		x.exec(nil, `INSERT INTO upload_tasks (upload_id, task_id) SELECT ?, id FROM tasks WHERE id = ?`, id, t.ID)
	}
}

func scanUpload(rows *sql.Rows) (u Upload, err error) {
	var created, expires, whole, touched int64
	err = rows.Scan(&u.ID, &u.Tenant, &u.Place.Cloud, &u.Place.Bucket, &u.Place.Key, &u.Meta, &u.Mime, &u.Size, &u.Arrived, &u.State, &u.Concat,
		&u.Index, &u.Why, &created, &expires, &whole, &touched)
	u.CreatedAt, u.ExpiresAt, u.WholeAt, u.TouchedAt = at(created), at(expires), at(whole), at(touched)
	return u, err
}
