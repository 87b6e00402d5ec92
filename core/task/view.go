package task

import (
	"maps"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/flow"
)

// View is everything known about one task when a decision is made.
type View struct {
	Task Task
	Plan *flow.Plan
	Work Rows
	// Uploads are those the task names and that are known, by id. They are read,
	// never changed.
	Uploads map[string]*arrival.Upload
}

// Rows are a task's events and segments by id. A row is never changed once it
// is in: Put replaces it, so that copies of Rows share them.
type Rows map[string]*Work

// RowsOf collects rows.
func RowsOf(all ...Work) Rows {
	r := make(Rows, len(all))
	for i := range all {
		r[all[i].ID] = &all[i]
	}
	return r
}

// Get returns a row, and whether it is there.
func (r Rows) Get(id string) (Work, bool) {
	if w := r[id]; w != nil {
		return *w, true
	}
	return Work{}, false
}

// Put adds or replaces a row.
func (r Rows) Put(w Work) { r[w.ID] = &w }

// Clone copies the set, not the rows.
func (r Rows) Clone() Rows { return maps.Clone(r) }

// state is that of a row, or empty if there is none.
func (r Rows) state(id string) State {
	if w := r[id]; w != nil {
		return w.State
	}
	return ""
}
