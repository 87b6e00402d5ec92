package state

import (
	"context"
	"time"
)

// reading is one look at the database's clock.
type reading struct {
	theirs time.Time
	ours   time.Time // with the monotonic clock, which nobody sets
}

// Now is the database's time, reckoned from the last look at its clock. Leases
// and deadlines are compared by it, so that machines whose clocks differ agree.
func (s *Store) Now() time.Time {
	r := s.clock.Load()
	if r == nil {
		return time.Now() // the database runs in this process
	}
	return r.theirs.Add(time.Since(r.ours))
}

// Sync looks at the database's clock.
func (s *Store) Sync(ctx context.Context) error {
	if s.caps.Now == "" {
		return nil
	}
	before := time.Now()
	row, err := s.query(ctx, "SELECT "+s.caps.Now)
	moments, err := collect(row, err, scanMoment)
	if err != nil {
		return classify("state.sync", err)
	}
	took := time.Since(before)
	s.clock.Store(&reading{theirs: moments[0], ours: before.Add(took / 2)})
	return nil
}
