package sched

import (
	"cmp"
	"math"
)

// key is an item's place among its tenant's.
type key struct {
	lead     int // first item of its group; itself without one
	priority int
	due      int64 // Unix milliseconds
	since    int64 // when it became ready, less its length
}

// keys has longer work count as if it had waited longer, by its own length:
// longest first, but no stream of long work keeps a short one waiting for ever.
func keys(items []Item) []key {
	all := make([]key, len(items))
	leads := map[string]int{}
	for i := range items {
		it := &items[i]
		all[i] = key{lead: i, priority: it.Priority, due: math.MaxInt64, since: it.Ready.UnixMilli() - int64(it.Seconds*1000)}
		if !it.Deadline.IsZero() {
			all[i].due = it.Deadline.UnixMilli()
		}
		if it.Group == "" {
			continue
		}
		if first, ok := leads[it.Group]; !ok || compare(items, all, i, first) < 0 {
			leads[it.Group] = i
		}
	}
	for i := range items {
		if g := items[i].Group; g != "" {
			all[i].lead = leads[g]
		}
	}
	return all
}

func compare(items []Item, keys []key, a, b int) int {
	x, y := &keys[a], &keys[b]
	if x.priority != y.priority {
		return y.priority - x.priority
	}
	if x.due != y.due {
		return cmp.Compare(x.due, y.due)
	}
	if x.since != y.since {
		return cmp.Compare(x.since, y.since)
	}
	return cmp.Compare(items[a].ID, items[b].ID)
}

// before orders one tenant's work. begun is a group that goes first; the others
// stay together where their first item stands.
func (m *matching) before(begun string) func(a, b int) bool {
	return func(a, b int) bool {
		x, y := m.keys[a].lead, m.keys[b].lead
		if x == y {
			return compare(m.items, m.keys, a, b) < 0
		}
		if begun != "" && (m.items[x].Group == begun) != (m.items[y].Group == begun) {
			return m.items[x].Group == begun
		}
		return compare(m.items, m.keys, x, y) < 0
	}
}

// heap gives the first of its elements again and again without ordering those
// that nobody asks for.
type heap[T any] struct {
	all  []T
	less func(a, b T) bool
}

func (h *heap[T]) init() {
	for i := len(h.all)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

// fix mends the order after the first element has become larger.
func (h *heap[T]) fix() { h.down(0) }

func (h *heap[T]) pop() T {
	first, last := h.all[0], len(h.all)-1
	h.all[0] = h.all[last]
	h.all = h.all[:last]
	h.down(0)
	return first
}

func (h *heap[T]) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.all) {
			return
		}
		if child+1 < len(h.all) && h.less(h.all[child+1], h.all[child]) {
			child++
		}
		if !h.less(h.all[child], h.all[i]) {
			return
		}
		h.all[i], h.all[child] = h.all[child], h.all[i]
		i = child
	}
}
