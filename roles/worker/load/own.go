package load

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// process is what /proc tells of one.
type process struct {
	pid, parent int
	ticks       int64 // its own and those of children it has waited for
	resident    int64 // bytes
}

// own sums what this process and its descendants have used, and the memory of
// the descendants. A tool's time moves to its parent when it has ended, so the
// sum only grows.
func (h host) own() (ticks, tools int64) {
	self, ok := parseProcess(h.text("proc/self/stat"))
	if !ok {
		return 0, 0
	}
	ticks = self.ticks
	all := h.descendants(self.pid)
	for _, p := range all {
		ticks += p.ticks
		tools += p.resident
	}
	return ticks, tools
}

// descendants finds them by their parents: not every kernel lists children.
func (h host) descendants(pid int) (all []process) {
	byParent := map[int][]process{}
	names, err := os.ReadDir(filepath.Join(h.root, "proc"))
	if err != nil {
		return nil
	}
	for _, n := range names {
		if _, err := strconv.Atoi(n.Name()); err != nil {
			continue
		}
		if p, ok := parseProcess(h.text(filepath.Join("proc", n.Name(), "stat"))); ok {
			byParent[p.parent] = append(byParent[p.parent], p)
		}
	}
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		for _, p := range byParent[queue[0]] {
			all = append(all, p)
			queue = append(queue, p.pid)
		}
		delete(byParent, queue[0]) // a table read while it changes may hold a ring
	}
	return all
}

// parseProcess reads a line of /proc/PID/stat: pid (name) state ppid … 14 utime
// stime cutime cstime … 24 rss.
func parseProcess(text string) (p process, ok bool) {
	end := strings.LastIndexByte(text, ')') // a name may hold anything
	if end < 0 {
		return p, false
	}
	var err error
	if p.pid, err = strconv.Atoi(strings.TrimSpace(text[:max(strings.IndexByte(text, '('), 0)])); err != nil {
		return p, false
	}
	f := strings.Fields(text[end+1:])
	if len(f) < 22 {
		return p, false
	}
	if p.parent, err = strconv.Atoi(f[1]); err != nil {
		return p, false
	}
	for _, text := range f[11:15] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return p, false
		}
		p.ticks += n
	}
	pages, err := strconv.ParseInt(f[21], 10, 64)
	p.resident = pages * int64(os.Getpagesize())
	return p, err == nil
}
