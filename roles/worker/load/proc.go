package load

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// hertz is the unit of times in /proc, USER_HZ: 100 on every Linux.
const hertz = 100

// reading is one look at the counters.
type reading struct {
	cpus        int
	busy, total int64 // ticks of all CPUs since the machine started
	own         int64 // ticks of this process and its tools
	tools       int64 // bytes resident in them
	memory      int64 // bytes there are
	available   int64 // bytes that can be had without swapping
	waiting     float64
	pressed     float64
	groups      []usage
}

// host reads files below a root. What is missing or odd reads as nothing.
type host struct{ root string }

func (h host) text(path string) string {
	b, err := os.ReadFile(filepath.Join(h.root, path))
	if err != nil {
		return ""
	}
	return string(b)
}

func (h host) number(path string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(h.text(path)), 10, 64)
	return n, err == nil
}

// field finds the number behind a name at the start of a line.
func field(text, name string) (int64, bool) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) >= 2 && strings.TrimSuffix(f[0], ":") == name {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

func (m *Meter) read() reading {
	var r reading
	r.cpus, r.busy, r.total = parseCPU(m.host.text("proc/stat"))
	r.own, r.tools = m.host.own()
	if kib, ok := field(m.host.text("proc/meminfo"), "MemTotal"); ok {
		r.memory = kib << 10
	}
	if kib, ok := field(m.host.text("proc/meminfo"), "MemAvailable"); ok {
		r.available = kib << 10
	}
	r.groups = m.groups.cpu(m.host)
	m.groups.memory(m.host, &r)
	r.waiting = m.host.waiting(m.groups.pressure("cpu"), r.cpus)
	for _, file := range append(m.groups.pressure("memory"), "proc/pressure/memory") {
		some, _ := parsePressure(m.host.text(file))
		r.pressed = max(r.pressed, some)
	}
	return r
}

// parseCPU reads /proc/stat. Time the hypervisor gave to others is busy: it is not
// ours to use.
func parseCPU(text string) (cpus int, busy, total int64) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 5 || !strings.HasPrefix(f[0], "cpu") {
			continue
		}
		if f[0] != "cpu" {
			cpus++
			continue
		}
		// user nice system idle iowait irq softirq steal; guest time is in user.
		for i, n := range f[1:min(len(f), 9)] {
			ticks, err := strconv.ParseInt(n, 10, 64)
			if err != nil {
				return 0, 0, 0
			}
			total += ticks
			if i != 3 && i != 4 {
				busy += ticks
			}
		}
	}
	return cpus, busy, total
}

// parsePressure reads from a pressure file how much of the last ten seconds something waited, 0–1.
func parsePressure(text string) (some float64, ok bool) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "some" {
			continue
		}
		avg, found := strings.CutPrefix(f[1], "avg10=")
		v, err := strconv.ParseFloat(avg, 64)
		if !found || err != nil || !(v >= 0) {
			return 0, false
		}
		return min(v/100, 1), true
	}
	return 0, false
}

// waiting is the pressure on CPU. A kernel that does not measure it has a load
// average: of n tasks on fewer CPUs, the rest waits.
func (h host) waiting(files []string, cpus int) (share float64) {
	known := false
	for _, file := range append(files, "proc/pressure/cpu") {
		some, ok := parsePressure(h.text(file))
		share, known = max(share, some), known || ok
	}
	f := strings.Fields(h.text("proc/loadavg"))
	if known || len(f) == 0 {
		return share
	}
	average, err := strconv.ParseFloat(f[0], 64)
	if err != nil || average <= float64(cpus) {
		return 0
	}
	return 1 - float64(cpus)/average
}
