// Package sched matches ready work with what workers want. It is pure: the
// same needs, offers, shares and time give the same grants, in whatever order
// they are listed.
//
// Order of work: class (interactive, normal, batch); inside a class the tenant
// that is least ahead of its share; of a tenant the rest of a fan-out that has
// begun, then priority, deadline, longest.
package sched

import "time"

// Item is ready work.
type Item struct {
	ID       string
	Group    string // event whose slice it is; empty = it is no slice
	Tenant   string
	Priority int    // 0–9
	Function string // name@version
	Pool     string
	Kind     string // of the primary input; empty = none
	Size     string // size class; empty = any worker takes it
	Cores    int    // that it can keep busy; 0 = too little to count
	Memory   int64
	GPU      int     // cards
	Seconds  float64 // priced CPU seconds
	Deadline time.Time
	Ready    time.Time
	Avoid    string // worker that must not get it
	Paused   bool   // its pool is paused: not granted
}

// Want is what one worker can carry now.
//
// Kinds bounds whole media, not attempts: all slices of one group count as one
// video, and work without a core counts as none. So a machine for two videos
// runs as many slices of them as it has cores.
type Want struct {
	Worker    string
	Pools     []string
	Functions map[string]bool
	Sizes     []string // empty = all
	Cores     int      // free; work that counts needs at least one
	Memory    int64
	GPU       int
	Most      int            // grants; 0 = it is known but takes nothing now
	Kinds     map[string]int // room by kind; a kind that is missing has no bound
	Groups    []string       // it runs slices of: more of them take no room of their kind
	Total     Room           // what it could offer if it ran nothing; less than is free counts as what is free
	Draining  bool           // takes nothing new
}

// Room is an amount of a machine.
type Room struct {
	Cores  int
	Memory int64
	GPU    int
}

// Grant pairs them.
type Grant struct {
	Item   int // index into the items
	Want   int // index into the wants
	Cores  int // given to the work: at most what it can use
	Memory int64
}

// Tenant is what one tenant may have of the machines.
type Tenant struct {
	Running int
	Weight  float64 // 0 = 1
	Limit   int     // running work at the most; 0 = no limit
}

// full reports whether a tenant may run no more, with so many granted since.
func (t Tenant) full(granted int) bool { return t.Limit > 0 && t.Running+granted >= t.Limit }

func (t Tenant) weight() float64 {
	if t.Weight <= 0 {
		return 1
	}
	return t.Weight
}

// Shares is what one call of Match leaves for the next. It may be lost: then
// every tenant starts the round anew. It holds only tenants that are ahead or
// amid a fan-out, so it stays small.
type Shares map[Account]Share

// Account is a tenant's share of one class.
type Account struct {
	Class  int
	Tenant string
}

// Share is how a tenant stands.
type Share struct {
	Ahead float64 // CPU seconds by weight it has been granted before its turn
	Group string  // fan-out that has begun: what is left of it goes next
}

// Classes of work. Work of a higher class always goes first.
const (
	Batch = iota
	Normal
	Interactive
)

// Class of a priority.
func Class(priority int) int {
	switch {
	case priority >= 7:
		return Interactive
	case priority >= 3:
		return Normal
	}
	return Batch
}

// least is what the smallest work costs its tenant, in CPU seconds: a grant
// costs the platform something, too.
const least = 0.1

func cost(it *Item) float64 { return max(it.Seconds, least) }
