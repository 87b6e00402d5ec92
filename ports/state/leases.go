package state

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/state/driver"
)

// Lease says who holds a duty, or that somebody is there.
type Lease struct {
	Name   string    `json:"name"`
	Holder string    `json:"holder"`
	Epoch  int64     `json:"epoch"` // grows whenever the holder changes
	Until  time.Time `json:"until"` // of the database's time
}

// leaseOrder puts writes to leases before those to tasks, as fences come first.
const leaseOrder = "\x00"

// Hold takes or prolongs a lease for ttl of the database's time. held is false
// while somebody else has it. The epoch fences: what is written under an older
// one is refused (Change.Under).
func (s *Store) Hold(ctx context.Context, name, holder string, ttl time.Duration) (epoch int64, held bool, err error) {
	now := s.Now()
	err = s.write(ctx, "state.hold", func(x *tx) {
		x.about = leaseOrder + name
		x.exec(func(n int64) error { held = n > 0; return nil },
			`INSERT INTO leases (name, holder, epoch, until) VALUES (?,?,1,?)
 ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until,
 epoch = leases.epoch + CASE WHEN leases.holder = excluded.holder THEN 0 ELSE 1 END
 WHERE leases.holder = excluded.holder OR leases.until < ?`, name, holder, ms(now.Add(ttl)), ms(now))
	})
	if err != nil || !held {
		return 0, false, err
	}
	rows, err := s.query(ctx, `SELECT epoch FROM leases WHERE name = ? AND holder = ?`, name, holder)
	all, err := collect(rows, err, func(rows *sql.Rows) (n int64, err error) { return n, rows.Scan(&n) })
	if err != nil || len(all) == 0 {
		return 0, false, classify("state.hold", err)
	}
	return all[0], true, nil
}

// Release gives a lease back at once. Releasing what somebody else holds
// changes nothing.
func (s *Store) Release(ctx context.Context, name, holder string) error {
	return s.write(ctx, "state.release", func(x *tx) {
		x.about = leaseOrder + name
		x.exec(nil, `UPDATE leases SET until = 0 WHERE name = ? AND holder = ?`, name, holder)
	})
}

// Leases lists those that have not run out, by name.
func (s *Store) Leases(ctx context.Context) ([]Lease, error) {
	rows, err := s.query(ctx, `SELECT name, holder, epoch, until FROM leases WHERE until >= ? ORDER BY name`, ms(s.Now()))
	all, err := collect(rows, err, func(rows *sql.Rows) (l Lease, err error) {
		var until int64
		err = rows.Scan(&l.Name, &l.Holder, &l.Epoch, &until)
		l.Until = at(until)
		return l, err
	})
	return all, classify("state.leases", err)
}

// Forget deletes leases that ran out before a time: of processes that are no
// more.
func (s *Store) Forget(ctx context.Context, before time.Time) error {
	return s.write(ctx, "state.forget", func(x *tx) {
		x.exec(nil, `DELETE FROM leases WHERE until < ? AND name LIKE 'member/%'`, ms(before))
	})
}

// Under makes a change count only while a duty is held in an epoch.
type Under struct {
	Name  string
	Epoch int64
}

// fences begins a batch: one statement a duty, that keeps its lease as it is
// until the commit. What is written under a duty counts only if its fence
// found the lease.
func fences(batch []*write) (duties []Under, statements []driver.Statement) {
	for _, w := range batch {
		if w.duty == nil || slices.Contains(duties, *w.duty) {
			continue
		}
		duties = append(duties, *w.duty)
		query := `UPDATE leases SET epoch = epoch WHERE name = ? AND epoch = ?`
		if w.store.caps.Share { // writers don't wait for each other
			query = `SELECT epoch FROM leases WHERE name = ? AND epoch = ? FOR SHARE`
		}
		statements = append(statements, driver.Statement{SQL: w.store.rebind(query), Args: []any{w.duty.Name, w.duty.Epoch}})
	}
	return duties, statements
}

// fenced refuses writes under a duty that is not held any more. found has the
// rows of the statements of fences.
func fenced(batch []*write, duties []Under, found []int64) {
	for _, w := range batch {
		if w.duty != nil && found[slices.Index(duties, *w.duty)] == 0 {
			w.err = errs.New(errs.Conflict, "state", "%s is held by somebody else since", w.duty.Name)
		}
	}
}
