// Package sched matches ready work with what workers want. It is pure: the
// same offers and needs give the same grants.
//
// Order of work: class (interactive, normal, batch), then the tenant that has
// least running for its weight, then deadline, then longest first, so that the
// last slice of a task does not start last.
package sched

import (
	"cmp"
	"slices"
	"time"
)

// Item is ready work.
type Item struct {
	ID       string
	Tenant   string
	Priority int    // 0–9
	Function string // name@version
	Pool     string
	Cores    int // that it can keep busy; 0 = too little to count
	Memory   int64
	Seconds  float64 // priced CPU seconds
	Deadline time.Time
	Ready    time.Time
}

// Want is what one worker can carry now.
type Want struct {
	Worker    string
	Pools     []string
	Functions map[string]bool
	Cores     int // free; work that counts needs at least one
	Memory    int64
	Most      int
}

// Grant pairs them.
type Grant struct {
	Item   int // index into the items
	Want   int // index into the wants
	Cores  int // given to the work: at most what it can use
	Memory int64
}

// Tenant is how much of the machines one tenant has and may have.
type Tenant struct {
	Running int
	Weight  float64 // 0 = 1
	Limit   int     // running work at the most; 0 = no limit
}

// Class of a priority: work of a higher class always goes first.
func Class(priority int) int {
	switch {
	case priority >= 7:
		return 2 // interactive
	case priority >= 3:
		return 1 // normal
	}
	return 0 // batch
}

// Match grants as much as fits. A tenant's counts are updated as grants are
// made, so one call is fair within itself too.
func Match(items []Item, wants []Want, tenants map[string]Tenant) []Grant {
	m := &matching{items: items, wants: slices.Clone(wants), tenants: map[string]Tenant{}, queues: map[string][]int{}}
	for name, t := range tenants {
		m.tenants[name] = t
	}
	for class := 2; class >= 0; class-- {
		m.class(class)
	}
	return m.grants
}

type matching struct {
	items   []Item
	wants   []Want
	tenants map[string]Tenant
	queues  map[string][]int // items of the class, by tenant, in order
	grants  []Grant
}

func (m *matching) class(class int) {
	clear(m.queues)
	for i := range m.items {
		if Class(m.items[i].Priority) == class {
			m.queues[m.items[i].Tenant] = append(m.queues[m.items[i].Tenant], i)
		}
	}
	names := make([]string, 0, len(m.queues))
	for name, queue := range m.queues {
		slices.SortStableFunc(queue, func(a, b int) int { return before(&m.items[a], &m.items[b]) })
		names = append(names, name)
	}
	slices.Sort(names)
	for len(names) > 0 && m.open() {
		name, ok := m.poorest(names)
		if !ok {
			return
		}
		queue := m.queues[name]
		item := queue[0]
		m.queues[name] = queue[1:]
		if len(queue) == 1 {
			names = slices.DeleteFunc(names, func(n string) bool { return n == name })
		}
		m.place(item)
	}
}

func before(a, b *Item) int {
	if c := b.Priority - a.Priority; c != 0 {
		return c
	}
	if a.Deadline.IsZero() != b.Deadline.IsZero() {
		if b.Deadline.IsZero() {
			return -1
		}
		return 1
	}
	return cmp.Or(a.Deadline.Compare(b.Deadline), cmp.Compare(b.Seconds, a.Seconds), a.Ready.Compare(b.Ready), cmp.Compare(a.ID, b.ID))
}

// poorest is the tenant with work queued and the least running for its weight.
// ok is false when all of them are at their limits.
func (m *matching) poorest(names []string) (best string, ok bool) {
	share := 0.0
	for _, name := range names {
		t := m.tenants[name]
		if t.Limit > 0 && t.Running >= t.Limit {
			continue
		}
		s := float64(t.Running) / weight(t)
		if !ok || s < share {
			best, share, ok = name, s, true
		}
	}
	return best, ok
}

func weight(t Tenant) float64 {
	if t.Weight <= 0 {
		return 1
	}
	return t.Weight
}

// open reports whether any worker has room left.
func (m *matching) open() bool {
	return slices.ContainsFunc(m.wants, func(w Want) bool { return w.Most > 0 })
}

// place gives an item to the worker with the most free cores that can run it,
// so that load spreads; of equals the first by name, whatever their order.
func (m *matching) place(item int) {
	it, best := &m.items[item], -1
	for i := range m.wants {
		w := &m.wants[i]
		if w.Most < 1 || w.Cores < min(it.Cores, 1) || w.Memory < it.Memory || !w.Functions[it.Function] || !slices.Contains(w.Pools, it.Pool) {
			continue
		}
		if best < 0 || w.Cores > m.wants[best].Cores || (w.Cores == m.wants[best].Cores && w.Worker < m.wants[best].Worker) {
			best = i
		}
	}
	if best < 0 {
		return
	}
	w := &m.wants[best]
	cores := min(it.Cores, w.Cores)
	w.Cores -= cores
	w.Memory -= it.Memory
	w.Most--
	t := m.tenants[it.Tenant]
	t.Running++
	m.tenants[it.Tenant] = t
	m.grants = append(m.grants, Grant{Item: item, Want: best, Cores: cores, Memory: it.Memory})
}
