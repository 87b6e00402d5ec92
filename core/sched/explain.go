package sched

import (
	"cmp"
	"slices"
	"time"
)

// Why work is not granted now. Of several workers the one that comes nearest
// to taking it speaks: the reasons stand in that order.
type Why string

const (
	Paused   Why = "paused"    // its pool is paused
	Limit    Why = "limit"     // its tenant runs as much as it may
	NoWorker Why = "no_worker" // nobody offers the function in that pool and size
	Draining Why = "draining"  // who could take it takes nothing new
	Avoided  Why = "avoided"   // only the worker that must not get it could take it
	Busy     Why = "busy"      // no free core, or as many attempts run as may
	Memory   Why = "memory"    // a core, but too little memory
	Cards    Why = "cards"     // too few free GPUs
	Kinds    Why = "kinds"     // as many videos or images run as may
	Held     Why = "held"      // nothing: the room is kept for larger work, or the next match has it
)

var nearer = []Why{NoWorker, Draining, Avoided, Busy, Memory, Cards, Kinds, Held}

// Reason is why some work waits.
type Reason struct {
	Why      Why
	Pool     string
	Function string
	Count    int
	Seconds  float64   // priced CPU seconds that wait
	Oldest   time.Time // when the oldest of it became ready
}

// Explain says why each item waits: items that Match left, and what was left of
// the offers. Workers that offer nothing now belong to the wants too, with room
// for no grant. Most comes first.
func Explain(items []Item, wants []Want, tenants map[string]Tenant) []Reason {
	m := newMatching(time.Time{}, items, wants, tenants)
	type label struct {
		why            Why
		pool, function string
	}
	found := map[label]*Reason{}
	seen := map[*peers]map[shape]Why{}
	for i := range items {
		it := &items[i]
		l := label{m.why(it, seen), it.Pool, it.Function}
		r := found[l]
		if r == nil {
			r = &Reason{Why: l.why, Pool: l.pool, Function: l.function, Oldest: it.Ready}
			found[l] = r
		}
		r.Count++
		r.Seconds += it.Seconds
		if it.Ready.Before(r.Oldest) {
			r.Oldest = it.Ready
		}
	}
	all := make([]Reason, 0, len(found))
	for _, r := range found {
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b Reason) int {
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.Why, b.Why), cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Function, b.Function))
	})
	return all
}

func (m *matching) why(it *Item, seen map[*peers]map[shape]Why) Why {
	if it.Paused {
		return Paused
	}
	if m.tenants[it.Tenant].full(0) {
		return Limit
	}
	able := m.ableTo(it)
	_, s := shapeOf(it)
	if w, ok := seen[able][s]; ok {
		return w
	}
	best := 0
	for _, r := range able.rooms {
		w := r.refuses(it)
		if w == "" {
			w = Held
		}
		best = max(best, slices.Index(nearer, w))
	}
	if seen[able] == nil {
		seen[able] = map[shape]Why{}
	}
	seen[able][s] = nearer[best]
	return nearer[best]
}
