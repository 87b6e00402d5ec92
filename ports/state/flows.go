package state

import (
	"context"
	"database/sql"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// FlowVersion is one version of a flow as it is kept. Versions are never
// changed or deleted: tasks keep the one they were accepted with.
type FlowVersion struct {
	Name        string
	Version     string // digest of the text
	Body        string // the flow file
	Author      string
	CreatedAt   time.Time
	ActivatedAt time.Time // last made the current one over the API; zero = never
	RetiredAt   time.Time // zero = may be the current one
}

// PutFlow keeps a version of a flow, so that a running task keeps its own. It
// says nothing about which version is the current one.
func (s *Store) PutFlow(ctx context.Context, name, version, body string, now time.Time) error {
	return s.write(ctx, "state.flow", func(x *tx) { x.putFlow(name, version, body, "", now) })
}

func (x *tx) putFlow(name, version, body, author string, now time.Time) {
	x.exec(nil, `INSERT INTO flows (name, version, body, author, created_at) VALUES (?,?,?,?,?) ON CONFLICT (name, version) DO NOTHING`,
		name, version, body, author, ms(now))
}

// ActivateFlow keeps a version and makes it the current one, also if it was so
// before: that is how a flow goes back.
func (s *Store) ActivateFlow(ctx context.Context, name, version, body, author string, now time.Time) error {
	return s.write(ctx, "state.activate", func(x *tx) {
		x.putFlow(name, version, body, author, now)
		// Later than every other version's, whatever the clocks say.
		x.exec(nil, `UPDATE flows SET author = ?, retired_at = 0, activated_at =
 (SELECT CASE WHEN COALESCE(MAX(activated_at), 0) >= ? THEN MAX(activated_at) + 1 ELSE ? END FROM flows WHERE name = ?)
 WHERE name = ? AND version = ?`, author, ms(now), ms(now), name, name, version)
	})
}

// RetireFlow takes a flow back: none of its versions is the current one any
// more. NotFound: none was.
func (s *Store) RetireFlow(ctx context.Context, name string, now time.Time) error {
	return s.write(ctx, "state.retire", func(x *tx) {
		x.exec(func(n int64) error {
			if n == 0 {
				return errs.New(errs.NotFound, "state", "no version of flow %s is active", name)
			}
			return nil
		}, `UPDATE flows SET retired_at = ? WHERE name = ? AND activated_at > 0 AND retired_at = 0`, ms(now), name)
	})
}

const flowColumns = `name, version, body, author, created_at, activated_at, retired_at`

// ActiveFlows returns the current version of every flow that has one: of those
// not retired, the one activated last.
func (s *Store) ActiveFlows(ctx context.Context) (map[string]FlowVersion, error) {
	rows, err := s.query(ctx, `SELECT `+flowColumns+` FROM flows WHERE activated_at > 0 AND retired_at = 0 ORDER BY activated_at`)
	all, err := collect(rows, err, scanFlow)
	active := make(map[string]FlowVersion, len(all))
	for _, v := range all {
		active[v.Name] = v
	}
	return active, classify("state.flows", err)
}

// FlowVersions lists every version of a flow that was ever offered, newest first.
func (s *Store) FlowVersions(ctx context.Context, name string) ([]FlowVersion, error) {
	rows, err := s.query(ctx, `SELECT `+flowColumns+` FROM flows WHERE name = ? ORDER BY created_at DESC, version`, name)
	all, err := collect(rows, err, scanFlow)
	return all, classify("state.flows", err)
}

func scanFlow(rows *sql.Rows) (v FlowVersion, err error) {
	var created, activated, retired int64
	err = rows.Scan(&v.Name, &v.Version, &v.Body, &v.Author, &created, &activated, &retired)
	v.CreatedAt, v.ActivatedAt, v.RetiredAt = at(created), at(activated), at(retired)
	return v, err
}

// Flow returns the text of one version of a flow, or NotFound.
func (s *Store) Flow(ctx context.Context, name, version string) (string, error) {
	rows, err := s.query(ctx, `SELECT body FROM flows WHERE name = ? AND version = ?`, name, version)
	body, err := one[string](rows, err)(scanID)
	return body, classify("state.flow", err)
}
