package state

import (
	"context"
	"database/sql"

	"github.com/mediafn/mediafn/core/task"
)

// memorable is how many attempts a learned price remembers, about: behind it
// the past counts half.
const memorable = 1000

// Learn adds what attempts took to what is known.
func (s *Store) Learn(ctx context.Context, lessons map[task.PriceKey]task.Learned) error {
	return s.write(ctx, "state.learn", func(x *tx) {
		for key, l := range lessons {
			x.exec(nil, `INSERT INTO prices (fn, class, n, declared, actual, memory, at) VALUES (?,?,?,?,?,?,?)
 ON CONFLICT (fn, class) DO UPDATE SET
 n = prices.n / CASE WHEN prices.n >= ? THEN 2 ELSE 1 END + excluded.n,
 declared = prices.declared / CASE WHEN prices.n >= ? THEN 2 ELSE 1 END + excluded.declared,
 actual = prices.actual / CASE WHEN prices.n >= ? THEN 2 ELSE 1 END + excluded.actual,
 memory = CASE WHEN excluded.memory > prices.memory THEN excluded.memory ELSE prices.memory END, at = excluded.at`,
				key.Fn, key.Class, l.N, l.Declared, l.Actual, l.Memory, ms(s.Now()), memorable, memorable, memorable)
		}
	})
}

// Prices returns all that was learned.
func (s *Store) Prices(ctx context.Context) (map[task.PriceKey]task.Learned, error) {
	type lesson struct {
		task.PriceKey
		task.Learned
	}
	rows, err := s.query(ctx, `SELECT fn, class, n, declared, actual, memory, at FROM prices`)
	all, err := collect(rows, err, func(rows *sql.Rows) (l lesson, err error) {
		var when int64
		err = rows.Scan(&l.Fn, &l.Class, &l.N, &l.Declared, &l.Actual, &l.Memory, &when)
		l.At = at(when)
		return l, err
	})
	known := make(map[task.PriceKey]task.Learned, len(all))
	for _, l := range all {
		known[l.PriceKey] = l.Learned
	}
	return known, classify("state.prices", err)
}
