// Package load measures what the machine is under: what its control groups
// allow, how much of it others keep busy, and how tight memory is. It reads
// /proc and /sys/fs/cgroup (versions 1 and 2); what a machine does not tell
// counts as unlimited and at rest.
package load

import (
	"math"
	"runtime"

	"github.com/mediafn/mediafn/core/job"
)

// State is what one sample found.
type State struct {
	job.Load
	// Room is how many whole cores this process and its tools may keep busy, by
	// its limits and by what others use. It moves only when the measured value is
	// well away from it, so that noise takes no core.
	Room int
	// Tools is the memory that tools of this process hold, in bytes. It is no
	// longer part of Load.Memory.
	Tools int64
	// Tight says that memory is short: nothing more should start.
	Tight bool
}

// Meter samples one machine. It is not safe for concurrent use.
type Meter struct {
	host   host
	groups groups
	cores  int // that the scheduler lets us use
	last   reading
	state  State
	room   float64 // smoothed
	busy   float64
	out    float64
}

// Open returns a meter for the machine whose /proc and /sys lie below root ("/").
func Open(root string) *Meter {
	h := host{root}
	return &Meter{host: h, groups: h.groups(), cores: runtime.NumCPU()}
}

const (
	smooth = 0.25 // weight of a new sample: a change of load shows after about four
	apart  = 0.7  // cores the smoothed room must be away from Room to move it

	// Share of time in which some task waited for memory, and share of the memory
	// that is left, at which memory is tight, and at which it is no longer.
	pressed, relieved = 0.20, 0.10
	scarce, enough    = 1.0 / 25, 1.0 / 16
)

// Sample reads the machine. Rates are those since the last call; the first call
// has none and takes the machine to be idle.
func (m *Meter) Sample() State {
	now := m.read()
	limit := float64(m.cores)
	if now.cpus > 0 {
		limit = min(limit, float64(now.cpus))
	}
	for _, g := range now.groups {
		if g.quota > 0 {
			limit = min(limit, g.quota)
		}
	}
	room, busy, out := m.rates(&now, limit)
	if m.last.total == 0 {
		m.room, m.busy, m.out, m.state.Room = room, busy, out, whole(room)
	}
	m.room += smooth * (room - m.room)
	m.busy += smooth * (busy - m.busy)
	m.out += smooth * (out - m.out)
	if math.Abs(m.room-float64(m.state.Room)) > apart {
		m.state.Room = min(int(math.Round(m.room)), whole(limit))
	}
	m.state.Load = job.Load{
		Cores: limit, Busy: round(m.busy), Outside: round(m.out), Pressure: now.waiting, Memory: now.available,
	}
	m.state.Tools = now.tools
	left := 1.0
	if now.memory > 0 {
		left = float64(now.available) / float64(now.memory)
	}
	if m.state.Tight {
		m.state.Tight = now.pressed >= relieved || left <= enough
	} else {
		m.state.Tight = now.pressed >= pressed || left <= scarce
	}
	m.last = now
	return m.state
}

// rates compares two readings: cores that others leave to us, cores busy, and
// cores busy with what is not ours.
func (m *Meter) rates(now *reading, limit float64) (room, busy, out float64) {
	ticks := now.total - m.last.total
	if m.last.total == 0 || ticks <= 0 || now.cpus == 0 {
		return limit, m.busy, m.out
	}
	elapsed := float64(ticks) / float64(now.cpus) / hertz // seconds
	cores := func(ticks int64) float64 { return max(float64(ticks), 0) / hertz / elapsed }
	busy = cores(now.busy - m.last.busy)
	own := min(cores(now.own-m.last.own), busy)
	out = busy - own
	room = min(limit, float64(now.cpus)-out)
	for i, g := range now.groups {
		if g.quota == 0 || i >= len(m.last.groups) {
			continue
		}
		others := max((g.used-m.last.groups[i].used)/elapsed-own, 0)
		room = min(room, g.quota-others)
	}
	return max(room, 0), busy, out
}

// whole rounds a limit to cores to keep busy: part of one is better left to the
// process itself, but there is always one.
func whole(cores float64) int { return max(int(math.Floor(cores)), 1) }

func round(v float64) float64 { return math.Round(v*100) / 100 }

// Machine tells the cores and the memory (bytes) the process may use: the
// machine's, or less if a control group says so.
func Machine(root string) (cores int, memory int64) {
	m := Open(root)
	s := m.Sample()
	return whole(s.Cores), m.last.memory
}
