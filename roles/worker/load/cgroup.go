package load

import (
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// groups are the folders of the control groups this process is in, its own
// first, then those around it: each may limit it. Version 1 has a tree for each
// controller, version 2 one for all; a machine may mix them.
type groups struct {
	cpus, accounts, memories []string
	cpuV1, memoryV1          bool
	unified                  []string
}

const mount = "sys/fs/cgroup"

func (h host) groups() (g groups) {
	for line := range strings.Lines(h.text("proc/self/cgroup")) {
		// number:controllers:path; version 2 is "0::path".
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		if f[0] == "0" && f[1] == "" {
			root := mount
			if !h.exists(path.Join(mount, "cgroup.controllers")) && h.exists(path.Join(mount, "unified")) {
				root = path.Join(mount, "unified")
			}
			g.unified = h.levels(root, f[2])
			continue
		}
		for _, controller := range strings.Split(f[1], ",") {
			root := path.Join(mount, f[1])
			if !h.exists(root) {
				root = path.Join(mount, controller)
			}
			switch controller {
			case "cpu":
				g.cpus, g.cpuV1 = h.levels(root, f[2]), true
			case "cpuacct":
				g.accounts = h.levels(root, f[2])
			case "memory":
				g.memories, g.memoryV1 = h.levels(root, f[2]), true
			}
		}
	}
	if !g.cpuV1 {
		g.cpus, g.accounts = g.unified, g.unified
	}
	if !g.memoryV1 {
		g.memories = g.unified
	}
	return g
}

func (h host) exists(name string) bool {
	_, err := os.Stat(filepath.Join(h.root, name))
	return err == nil
}

// levels lists the folders from a group up to the root. Inside a container the
// path may be the machine's, which is not to be seen there: then the root is
// the container's own group.
func (h host) levels(root, group string) (all []string) {
	group = path.Clean("/" + group)
	if !h.exists(path.Join(root, group)) {
		group = "/"
	}
	for {
		all = append(all, path.Join(root, group))
		if group == "/" {
			return all
		}
		group = path.Dir(group)
	}
}

// usage is one level's CPU: cores allowed (0 = no limit) and seconds used.
type usage struct{ quota, used float64 }

func (g *groups) cpu(h host) (all []usage) {
	for i, dir := range g.cpus {
		var u usage
		if g.cpuV1 {
			quota, _ := h.number(path.Join(dir, "cpu.cfs_quota_us"))
			period, _ := h.number(path.Join(dir, "cpu.cfs_period_us"))
			if quota > 0 && period > 0 {
				u.quota = float64(quota) / float64(period)
			}
			if i < len(g.accounts) {
				ns, _ := h.number(path.Join(g.accounts[i], "cpuacct.usage"))
				u.used = float64(ns) / 1e9
			}
		} else {
			f := strings.Fields(h.text(path.Join(dir, "cpu.max"))) // "max 100000" or "150000 100000"
			if len(f) == 2 {
				quota, err := strconv.ParseFloat(f[0], 64)
				period, err2 := strconv.ParseFloat(f[1], 64)
				if err == nil && err2 == nil && quota > 0 && period > 0 {
					u.quota = quota / period
				}
			}
			us, _ := field(h.text(path.Join(dir, "cpu.stat")), "usage_usec")
			u.used = float64(us) / 1e6
		}
		all = append(all, u)
	}
	return all
}

// memory lowers what there is and what is left to what each level allows. The
// page cache that is not in use counts as free: the kernel takes it back.
func (g *groups) memory(h host, r *reading) {
	limitFile, usedFile, cacheField := "memory.max", "memory.current", "inactive_file"
	if g.memoryV1 {
		limitFile, usedFile, cacheField = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
	}
	machine := r.memory
	for _, dir := range g.memories {
		limit, ok := h.number(path.Join(dir, limitFile)) // "max" is no number
		if !ok || limit <= 0 || (machine > 0 && limit >= machine) {
			continue
		}
		used, _ := h.number(path.Join(dir, usedFile))
		cache, _ := field(h.text(path.Join(dir, "memory.stat")), cacheField)
		left := max(limit-max(used-cache, 0), 0)
		if r.memory == 0 {
			r.memory, r.available = limit, left
		}
		r.memory, r.available = min(r.memory, limit), min(r.available, left)
	}
}

// pressure names the files of the own group that tell it; version 1 has none.
func (g *groups) pressure(what string) []string {
	if len(g.unified) == 0 {
		return nil
	}
	return []string{path.Join(g.unified[0], what+".pressure")}
}
