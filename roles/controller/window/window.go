// Package window bounds what a matcher has of ready work in memory without
// letting one tenant's crowd hide another's work.
package window

import "github.com/mediafn/mediafn/core/task"

// Window is a bounded part of ready work. Of every tenant there is some, of each
// its most urgent: when it is full, who has less than a fair part gets room from
// who has most.
type Window struct {
	Rows    map[string]*task.Work // to read; never changed in place
	most    int
	tenants map[string]*part
}

// part counts what one tenant has in a window.
type part struct {
	n  int
	by [10]int // priority
}

// New returns an empty window for so many rows.
func New(most int) *Window {
	return &Window{Rows: map[string]*task.Work{}, most: most, tenants: map[string]*part{}}
}

// Open reports whether work of a tenant may find room whatever its priority.
func (v *Window) Open(tenant string) bool {
	if len(v.Rows) < v.most {
		return true
	}
	p, tenants := v.tenants[tenant], len(v.tenants)
	if p == nil {
		tenants++
	}
	return p == nil || p.n < v.most/tenants
}

// Put adds or replaces a row, and reports whether everything that was put is
// still there.
func (v *Window) Put(w *task.Work) (all bool) {
	v.Drop(w.ID)
	all = true
	if len(v.Rows) >= v.most {
		all = false
		from := w.Tenant
		if v.Open(w.Tenant) {
			from = v.richest()
		} else if v.tenants[from].least() >= w.Priority {
			return all
		}
		v.evict(from)
	}
	p := v.tenants[w.Tenant]
	if p == nil {
		p = &part{}
		v.tenants[w.Tenant] = p
	}
	p.n++
	p.by[level(w)]++
	v.Rows[w.ID] = w
	return all
}

// Drop takes a row out, if it is in.
func (v *Window) Drop(id string) {
	w := v.Rows[id]
	if w == nil {
		return
	}
	delete(v.Rows, id)
	p := v.tenants[w.Tenant]
	p.n--
	p.by[level(w)]--
	if p.n == 0 {
		delete(v.tenants, w.Tenant)
	}
}

// richest is the tenant with most rows.
func (v *Window) richest() (name string) {
	most := 0
	for tenant, p := range v.tenants {
		if p.n > most {
			name, most = tenant, p.n
		}
	}
	return name
}

// evict drops one of a tenant's least urgent rows; it is still in the database.
func (v *Window) evict(tenant string) {
	least := v.tenants[tenant].least()
	for id, w := range v.Rows {
		if w.Tenant == tenant && level(w) == least {
			v.Drop(id)
			return
		}
	}
}

// least is the lowest priority a tenant has in the window.
func (p *part) least() int {
	for i, n := range p.by {
		if n > 0 {
			return i
		}
	}
	return len(p.by)
}

func level(w *task.Work) int { return min(max(w.Priority, 0), 9) }
