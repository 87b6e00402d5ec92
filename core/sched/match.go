package sched

import (
	"maps"
	"slices"
	"time"
)

// Match grants as much as fits, and says what follows for the shares. It
// changes none of its arguments.
//
// Tenants take turns by deficit round-robin with the smallest quantum that
// serves somebody: the one that is least ahead goes next and is charged what
// its work is priced, divided by its weight. A tenant that comes back starts
// where the round stands: it has saved up nothing, and owes what it was given
// in advance until the others have caught up.
//
// Work that fits nowhere is passed over. If only memory or cards in use keep it
// from a worker, that worker is held for it (see holds): whoever comes after it
// must go elsewhere.
func Match(now time.Time, items []Item, wants []Want, tenants map[string]Tenant, shares Shares) ([]Grant, Shares) {
	m := newMatching(now, items, wants, tenants)
	m.shares = Shares{}
	maps.Copy(m.shares, shares)
	for class := Interactive; class >= Batch; class-- {
		m.class(class)
	}
	return m.grants, m.shares
}

type matching struct {
	now     time.Time
	items   []Item
	keys    []key // of the items
	tenants map[string]Tenant
	running map[string]int // granted by this call, by tenant
	shares  Shares
	rooms   []room
	open    int // rooms that take more
	peers   map[ability]*peers
	held    bool // a room is held for large work
	grants  []Grant
}

func newMatching(now time.Time, items []Item, wants []Want, tenants map[string]Tenant) *matching {
	m := &matching{
		now: now, items: items, keys: keys(items), tenants: tenants, running: map[string]int{},
		rooms: rooms(wants), peers: map[ability]*peers{},
	}
	for i := range m.rooms {
		if m.rooms[i].most > 0 {
			m.open++
		}
	}
	return m
}

// claim is one tenant's waiting work of a class.
type claim struct {
	name    string
	tenant  Tenant
	share   Share
	waiting heap[int]      // items, in order
	left    map[string]int // by group, how many of them wait
}

// class grants work of one class, a tenant's turn after the other.
func (m *matching) class(class int) {
	ring := m.claims(class)
	all := slices.Clone(ring.all)
	passed, waits := 0.0, false // how far the round has come; whether work is left
	for len(ring.all) > 0 && m.open > 0 {
		c := ring.all[0]
		if len(c.waiting.all) == 0 || c.tenant.full(m.running[c.name]) {
			ring.pop()
			continue
		}
		i := c.waiting.pop()
		if !m.place(i) {
			waits = true
			continue
		}
		it := &m.items[i]
		m.running[c.name]++
		passed = c.share.Ahead
		c.share.Ahead += cost(it) / c.tenant.weight()
		if it.Group != "" {
			c.share.Group = it.Group
			c.left[it.Group]--
		}
		ring.fix()
	}
	for _, c := range all {
		waits = waits || len(c.waiting.all) > 0
		if c.left[c.share.Group] == 0 {
			c.share.Group = ""
		}
		m.shares[Account{class, c.name}] = c.share
	}
	m.settle(class, passed, waits)
}

// settle counts the shares from where the round has come to. When nobody waits
// the round is over, and nobody owes anything.
func (m *matching) settle(class int, passed float64, waits bool) {
	for a, s := range m.shares {
		if a.Class != class {
			continue
		}
		s.Ahead = max(s.Ahead-passed, 0)
		if !waits || s == (Share{}) {
			delete(m.shares, a)
			continue
		}
		m.shares[a] = s
	}
}

// claims collects the work of a class by tenant.
func (m *matching) claims(class int) *heap[*claim] {
	ring := &heap[*claim]{less: func(a, b *claim) bool {
		if a.share.Ahead != b.share.Ahead {
			return a.share.Ahead < b.share.Ahead
		}
		return a.name < b.name
	}}
	byName := map[string]*claim{}
	for i := range m.items {
		it := &m.items[i]
		if it.Paused || Class(it.Priority) != class {
			continue
		}
		c := byName[it.Tenant]
		if c == nil {
			c = &claim{name: it.Tenant, tenant: m.tenants[it.Tenant], share: m.shares[Account{class, it.Tenant}], left: map[string]int{}}
			c.waiting.less = m.before(c.share.Group)
			byName[it.Tenant] = c
			ring.all = append(ring.all, c)
		}
		c.waiting.all = append(c.waiting.all, i)
		if it.Group != "" {
			c.left[it.Group]++
		}
	}
	ring.init()
	for _, c := range ring.all {
		c.waiting.init()
	}
	return ring
}

// place gives an item to the worker that has most of itself free.
func (m *matching) place(i int) bool {
	it := &m.items[i]
	able := m.ableTo(it)
	s, own := shapeOf(it)
	if able.failed[s] || able.failed[own] {
		return false
	}
	var best *room
	for _, r := range able.rooms {
		if best != nil && !r.before(best, it) {
			continue
		}
		switch r.refuses(it) {
		case "":
			best = r
		case Kinds:
			s = own
		}
	}
	if best == nil {
		able.failed[s] = true
		m.hold(it, able.rooms)
		return false
	}
	cores := best.give(it)
	if best.most == 0 {
		m.open--
	}
	m.grants = append(m.grants, Grant{Item: i, Want: best.index, Cores: cores, Memory: it.Memory})
	return true
}

// ableTo finds the workers that could run an item if they had the room.
func (m *matching) ableTo(it *Item) *peers {
	a := ability{it.Function, it.Pool, it.Size}
	able := m.peers[a]
	if able == nil {
		able = &peers{failed: map[shape]bool{}}
		for i := range m.rooms {
			if m.rooms[i].able(a) {
				able.rooms = append(able.rooms, &m.rooms[i])
			}
		}
		m.peers[a] = able
	}
	return able
}

// hold keeps the worker that lacks least from taking more, so that an item
// that needs much of it gets there. One worker in a call is enough: whoever was
// first in order is served first.
func (m *matching) hold(it *Item, able []*room) {
	if m.held || !holds(m.now.Sub(it.Ready)) {
		return
	}
	var best *room
	for _, r := range able {
		if r.most < 1 || it.Avoid == r.name && it.Avoid != "" || r.total.Memory < it.Memory || r.total.GPU < it.GPU {
			continue
		}
		if r.memory >= it.Memory && r.gpu >= it.GPU {
			return // it waits for a core, and gets there without
		}
		if best == nil || r.memory > best.memory {
			best = r
		}
	}
	if best != nil {
		best.held, m.held = true, true
		m.open--
	}
}

// holds reports whether work that waits for so long may hold a worker. It
// takes turns with smaller work, in periods that double: a minute on, one off,
// two on, four off, and so on. So work that takes longer than a period to get
// out of the way only delays it, and nothing holds a worker for good.
func holds(waited time.Duration) bool {
	on, end := true, time.Minute
	for ; end <= waited && end > 0; end *= 2 {
		on = !on
	}
	return on
}
