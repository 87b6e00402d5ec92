package controller

import "github.com/mediafn/mediafn/core/task"

// window is the part of ready work that the matcher has in memory, bounded. Of
// every tenant there is some, of each its most urgent: when it is full, who has
// less than a fair part gets room from who has most.
type window struct {
	most    int
	rows    map[string]*task.Work // never changed in place
	tenants map[string]*part
}

// part counts what one tenant has in a window.
type part struct {
	n  int
	by [10]int // priority
}

func newWindow(most int) *window {
	return &window{most: most, rows: map[string]*task.Work{}, tenants: map[string]*part{}}
}

// open reports whether work of a tenant may find room whatever its priority.
func (v *window) open(tenant string) bool {
	if len(v.rows) < v.most {
		return true
	}
	p, tenants := v.tenants[tenant], len(v.tenants)
	if p == nil {
		tenants++
	}
	return p == nil || p.n < v.most/tenants
}

// put adds or replaces a row, and reports whether everything that was put is
// still there.
func (v *window) put(w *task.Work) (all bool) {
	v.drop(w.ID)
	all = true
	if len(v.rows) >= v.most {
		all = false
		from := w.Tenant
		if v.open(w.Tenant) {
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
	v.rows[w.ID] = w
	return all
}

func (v *window) drop(id string) {
	w := v.rows[id]
	if w == nil {
		return
	}
	delete(v.rows, id)
	p := v.tenants[w.Tenant]
	p.n--
	p.by[level(w)]--
	if p.n == 0 {
		delete(v.tenants, w.Tenant)
	}
}

// richest is the tenant with most rows.
func (v *window) richest() (name string) {
	most := 0
	for tenant, p := range v.tenants {
		if p.n > most {
			name, most = tenant, p.n
		}
	}
	return name
}

// evict drops one of a tenant's least urgent rows; it is still in the database.
func (v *window) evict(tenant string) {
	least := v.tenants[tenant].least()
	for id, w := range v.rows {
		if w.Tenant == tenant && level(w) == least {
			v.drop(id)
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
