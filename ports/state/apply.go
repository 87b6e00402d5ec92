package state

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/task"
)

// Change is everything one decision writes, for one task. It is applied whole
// or not at all.
type Change struct {
	Task    *task.Task // nil = unchanged; guarded by its Version, which grows by one
	Insert  []task.Work
	Update  []Guarded
	Delete  []Guarded
	Under   *Under // the duty that allows it; nil = needs none
	Traces  []Trace
	Posts   []Post
	History []Note
}

// Empty reports whether the change writes nothing.
func (c *Change) Empty() bool {
	return c.Task == nil && len(c.Insert)+len(c.Update)+len(c.Delete)+len(c.Traces)+len(c.Posts)+len(c.History) == 0
}

// Guarded is a row as it should become, if it still is in the state and
// attempt it was decided on (fencing).
type Guarded struct {
	Work    task.Work
	Was     task.State
	Attempt int
	Trace   string // the attempt's trace, where it is known; empty = not compared
}

// The nouns of a task's record, kept with its changes.
type (
	Trace    = task.Trace
	Note     = task.Note
	Delivery = task.Delivery
)

// Apply commits changes together and returns one error a change, nil where it
// was applied. A change whose guards no longer hold is a Conflict and writes
// nothing.
func (s *Store) Apply(ctx context.Context, changes []Change) []error {
	return s.together(ctx, "state.apply", len(changes), func(i int, x *tx) { x.apply(&changes[i]) })
}

func (x *tx) apply(c *Change) {
	x.duty, x.about = c.Under, c.about()
	if c.Task != nil {
		x.updateTask(c.Task)
	}
	for i := range c.Insert {
		x.exec(nil, insertWork, workArgs(&c.Insert[i])...)
	}
	for i := range c.Update {
		x.updateWork(&c.Update[i])
	}
	for _, g := range c.Delete {
		x.exec(still(&g), `DELETE FROM work WHERE id = ? AND attempt = ? AND state = ?`, g.Work.ID, g.Attempt, string(g.Was))
	}
	for _, t := range c.Traces {
		x.exec(nil, `INSERT INTO traces (id, work_id, task_id, attempt, worker, outcome, error, usage, started_at, ended_at)
 VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING`, t.ID, t.WorkID, t.TaskID, t.Attempt, t.Worker, t.Outcome,
			text(t.Error), usage(t.Usage), ms(t.StartedAt), ms(t.EndedAt))
	}
	for _, p := range c.Posts {
		x.post(p)
	}
	for _, n := range c.History {
		x.exec(nil, `INSERT INTO history (id, task_id, work_id, kind, detail, at) VALUES (?,?,?,?,?,?)`,
			task.NewID(), n.TaskID, n.WorkID, n.Kind, plain(n.Detail), ms(n.At))
	}
}

// about is the task the change is for.
func (c *Change) about() string {
	switch {
	case c.Task != nil:
		return c.Task.ID
	case len(c.Update) > 0:
		return c.Update[0].Work.TaskID
	case len(c.Insert) > 0:
		return c.Insert[0].TaskID
	case len(c.Delete) > 0:
		return c.Delete[0].Work.TaskID
	}
	return "" // adds only, and waits for nobody
}

const insertWork = `INSERT INTO work (` + workColumns + `)
 VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`

func (x *tx) updateTask(t *task.Task) {
	x.exec(func(n int64) error {
		if n == 0 {
			return errs.New(errs.Conflict, "state", "task %s changed in between", t.ID)
		}
		return nil
	}, `UPDATE tasks SET generation = ?, priority = ?, state = ?, ending = ?, status = ?, call_slots = ?,
 ret_slots = ?, outputs = ?, report = ?, error = ?, usage = ?, reply_to = ?, version = version + 1, started_at = ?, ended_at = ?
 WHERE id = ? AND version = ?`,
		t.Generation, t.Request.Priority, string(t.State), string(t.Ending), t.Status, t.Call.String(),
		t.Ret.String(), text(t.Outputs), nullable(t.Report), text(t.Error), usage(t.Usage), t.ReplyTo, ms(t.StartedAt), ms(t.EndedAt),
		t.ID, t.Version)
}

// lease writes a grant, which changes little of a row.
func (x *tx) lease(g *Guarded) {
	w := &g.Work
	x.exec(still(g), `UPDATE work SET state = 'running', attempt = ?, trace = ?, worker = ?, started_at = ?, lease_till = ?, deadline = ?
 WHERE id = ? AND attempt = ? AND state = 'ready'`,
		w.Attempt, w.Trace, w.Worker, ms(w.StartedAt), ms(w.LeaseTill), ms(w.Deadline), w.ID, g.Attempt)
}

func (x *tx) updateWork(g *Guarded) {
	w := &g.Work
	if g.Was == task.Ready && w.State == task.Running {
		x.lease(g)
		return
	}
	lostBy := ""
	if len(w.LostBy) > 0 {
		lostBy = text(w.LostBy).String
	}
	var job sql.NullString // changes only when a row is run again by itself
	if g.Was.Final() {
		job = nullable(w.Job)
	}
	x.exec(still(g), `UPDATE work SET job = COALESCE(?, job), priority = ?, state = ?, attempt = ?, failures = ?, losses = ?, lost_by = ?, trace = ?, worker = ?,
 outputs = ?, facts = ?, usage = ?, error = ?, not_before = ?, started_at = ?, lease_till = ?, deadline = ?, ended_at = ?
 WHERE id = ? AND attempt = ? AND state = ? AND (trace = ? OR ? = '')`,
		job, w.Priority, string(w.State), w.Attempt, w.Failures, w.Losses, lostBy, w.Trace, w.Worker,
		text(w.Outputs), nullable(w.Facts), usage(w.Usage), text(w.Error), ms(w.NotBefore), ms(w.StartedAt), ms(w.LeaseTill),
		ms(w.Deadline), ms(w.EndedAt), w.ID, g.Attempt, string(g.Was), g.Trace, g.Trace)
	if g.Was.Final() && !w.State.Final() && len(w.Job) > 0 { // a retry may ask for something else
		x.exec(nil, `UPDATE work SET job = ? WHERE id = ?`, string(w.Job), w.ID)
	}
}

// still is the check of a guarded write to a row.
func still(g *Guarded) func(int64) error {
	return func(n int64) error {
		if n == 0 {
			return errs.New(errs.Conflict, "state", "%s is no longer %s at attempt %d", g.Work.ID, g.Was, g.Attempt)
		}
		return nil
	}
}

// Renew prolongs leases and returns the trace ids that are refused, because
// the work is no longer that attempt's.
func (s *Store) Renew(ctx context.Context, traces map[string]string, till time.Time) (refused []string, err error) {
	ids := slices.Collect(maps.Keys(traces))
	kept := make([]bool, len(ids))
	failed := s.together(ctx, "state.renew", len(ids), func(i int, x *tx) {
		x.about = traces[ids[i]]
		x.exec(func(n int64) error { kept[i] = n > 0; return nil },
			`UPDATE work SET lease_till = ? WHERE id = ? AND trace = ? AND state = 'running'`, ms(till), traces[ids[i]], ids[i])
	})
	for i, trace := range ids {
		if failed[i] != nil {
			return nil, failed[i]
		}
		if !kept[i] {
			refused = append(refused, trace)
		}
	}
	return refused, nil
}

// ReadyWork lists work of a pool that may be granted, at most about limit: of
// every tenant its most urgent, the tenants alike, so that no tenant's crowd
// hides another's work. more reports whether there is more.
func (s *Store) ReadyWork(ctx context.Context, pool fn.Pool, limit int) (all []task.Work, more bool, err error) {
	const op = "state.ready"
	// One look into the index a tenant, however many rows there are.
	rows, err := s.query(ctx, `WITH RECURSIVE t(tenant) AS (
 SELECT MIN(tenant) FROM work WHERE state = 'ready' AND pool = ?
 UNION ALL
 SELECT (SELECT MIN(tenant) FROM work WHERE state = 'ready' AND pool = ? AND tenant > t.tenant) FROM t WHERE t.tenant IS NOT NULL)
 SELECT tenant FROM t WHERE tenant IS NOT NULL`, string(pool), string(pool))
	tenants, err := collect(rows, err, scanID)
	if err != nil {
		return nil, false, classify(op, err)
	}
	each := max(limit/max(len(tenants), 1), 1)
	for _, tenant := range tenants {
		rows, err := s.query(ctx, `SELECT `+workColumns+` FROM work WHERE state = 'ready' AND pool = ? AND tenant = ?
 ORDER BY priority DESC, due, id LIMIT ?`, string(pool), tenant, each)
		some, err := collect(rows, err, scanWork)
		if err != nil {
			return nil, false, classify(op, err)
		}
		all = append(all, some...)
		more = more || len(some) == each
	}
	return all, more, nil
}

// WorkByID reads rows of work; those that are gone are left out.
func (s *Store) WorkByID(ctx context.Context, ids []string) (all []task.Work, err error) {
	for len(ids) > 0 {
		some := ids[:min(len(ids), 100)]
		ids = ids[len(some):]
		args := make([]any, 100) // one statement for every number of ids: the rest is NULL, which equals nothing
		for i, id := range some {
			args[i] = id
		}
		rows, err := s.query(ctx, `SELECT `+workColumns+` FROM work WHERE id IN (?`+strings.Repeat(",?", 99)+`)`, args...)
		found, err := collect(rows, err, scanWork)
		if err != nil {
			return all, classify("state.work", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// Count is how much work of one kind there is.
type Count struct {
	Pool   fn.Pool
	Tenant string
	Worker string // of running work
	N      int
	Oldest time.Time // when the oldest became known
}

// CountReady counts work that may be granted, by pool and tenant.
func (s *Store) CountReady(ctx context.Context) ([]Count, error) {
	rows, err := s.query(ctx, `SELECT pool, tenant, '', COUNT(*), MIN(created_at) FROM work WHERE state = 'ready' GROUP BY pool, tenant`)
	all, err := collect(rows, err, scanCount)
	return all, classify("state.count", err)
}

// CountRunning counts granted work, by pool, tenant and worker.
func (s *Store) CountRunning(ctx context.Context) ([]Count, error) {
	rows, err := s.query(ctx, `SELECT pool, tenant, worker, COUNT(*), MIN(started_at) FROM work WHERE state = 'running' GROUP BY pool, tenant, worker`)
	all, err := collect(rows, err, scanCount)
	return all, classify("state.count", err)
}

func scanCount(rows *sql.Rows) (c Count, err error) {
	var oldest int64
	err = rows.Scan(&c.Pool, &c.Tenant, &c.Worker, &c.N, &oldest)
	c.Oldest = at(oldest)
	return c, err
}

// Expired lists running work whose lease or deadline has passed.
func (s *Store) Expired(ctx context.Context, now time.Time, limit int) ([]task.Work, error) {
	rows, err := s.query(ctx, `SELECT `+workColumns+` FROM work WHERE state = 'running' AND (lease_till < ? OR deadline < ?) LIMIT ?`,
		ms(now), ms(now), limit)
	all, err := collect(rows, err, scanWork)
	return all, classify("state.expired", err)
}

// Due lists waiting work whose time has come. Fanned out events wait for their
// segments, not for a time, and are left out.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]task.Work, error) {
	rows, err := s.query(ctx, `SELECT `+workColumns+` FROM work WHERE state = 'waiting' AND job IS NOT NULL AND not_before <= ? LIMIT ?`,
		ms(now), limit)
	all, err := collect(rows, err, scanWork)
	return all, classify("state.due", err)
}
