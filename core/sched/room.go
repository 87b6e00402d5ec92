package sched

import (
	"slices"
	"strings"
)

// room is what is left of a want.
type room struct {
	want   *Want
	index  int
	name   string
	cores  int
	memory int64
	gpu    int
	most   int
	taken  int // grants made
	total  Room
	kinds  []bound
	groups map[string]bool // that it runs slices of
	held   bool
}

// rooms lists what is offered by the name of the worker: of rooms alike the
// first is taken, whatever the order of the wants.
func rooms(wants []Want) []room {
	all := make([]room, len(wants))
	for i := range wants {
		w := &wants[i]
		r := room{want: w, index: i, name: w.Worker, cores: w.Cores, memory: w.Memory, gpu: w.GPU, most: max(w.Most, 0)}
		r.total = Room{Cores: max(w.Total.Cores, w.Cores), Memory: max(w.Total.Memory, w.Memory), GPU: max(w.Total.GPU, w.GPU)}
		if w.Draining {
			r.most = 0
		}
		if len(w.Kinds) > 0 {
			r.groups = map[string]bool{}
			for kind, left := range w.Kinds {
				r.kinds = append(r.kinds, bound{kind, left})
			}
			for _, g := range w.Groups {
				r.groups[g] = true
			}
		}
		all[i] = r
	}
	slices.SortStableFunc(all, func(a, b room) int { return strings.Compare(a.name, b.name) })
	return all
}

// bound is how many more of a kind a worker takes. There are two or three: a
// list is quicker than a map.
type bound struct {
	kind string
	left int
}

// bound finds what bounds an item; nil = nothing.
func (r *room) bound(it *Item) *bound {
	if it.Cores > 0 {
		for i := range r.kinds {
			if r.kinds[i].kind == it.Kind {
				return &r.kinds[i]
			}
		}
	}
	return nil
}

// ability is what a worker must have at all times to run some work.
type ability struct{ function, pool, size string }

func (r *room) able(a ability) bool {
	return r.want.Functions[a.function] && slices.Contains(r.want.Pools, a.pool) &&
		(a.size == "" || len(r.want.Sizes) == 0 || slices.Contains(r.want.Sizes, a.size))
}

// peers are the workers with an ability, and the work they have no room for:
// rooms only shrink, what did not fit will not fit.
type peers struct {
	rooms  []*room
	failed map[shape]bool
}

// shape is all that decides where among its peers an item fits: kind and group
// only where something bounds the kind.
type shape struct {
	kind, group, avoid string
	memory             int64
	gpu                int
	counts             bool
}

// shapeOf gives an item's shape where kinds have room, and its own.
func shapeOf(it *Item) (s, own shape) {
	s = shape{avoid: it.Avoid, memory: it.Memory, gpu: it.GPU, counts: it.Cores > 0}
	own = s
	if s.counts {
		own.kind, own.group = it.Kind, it.Group
	}
	return s, own
}

// refuses says why an able worker cannot take an item now; empty = it can.
func (r *room) refuses(it *Item) Why {
	switch {
	case r.want.Draining:
		return Draining
	case it.Avoid != "" && it.Avoid == r.name:
		return Avoided
	case r.held:
		return Held
	case r.most < 1 || r.cores < min(it.Cores, 1):
		return Busy
	case r.memory < it.Memory:
		return Memory
	case r.gpu < it.GPU:
		return Cards
	}
	if b := r.bound(it); b != nil && b.left < 1 && !r.carries(it) {
		return Kinds
	}
	return ""
}

func (r *room) carries(it *Item) bool { return it.Group != "" && r.groups[it.Group] }

// before reports whether an item is better placed in r than in b: where more of
// the machine is free, so that load spreads by size. Work without a core goes
// where least has been given.
func (r *room) before(b *room, it *Item) bool {
	if it.Cores == 0 && r.taken != b.taken {
		return r.taken < b.taken
	}
	if x, y := r.cores*b.total.Cores, b.cores*r.total.Cores; x != y {
		return x > y
	}
	if r.cores != b.cores {
		return r.cores > b.cores
	}
	return r.memory > b.memory
}

// give takes an item's room away and returns the cores it gets.
func (r *room) give(it *Item) int {
	cores := min(it.Cores, r.cores)
	r.cores -= cores
	r.memory -= it.Memory
	r.gpu -= it.GPU
	r.most--
	r.taken++
	if b := r.bound(it); b != nil && !r.carries(it) {
		b.left--
		if it.Group != "" {
			r.groups[it.Group] = true
		}
	}
	return cores
}
