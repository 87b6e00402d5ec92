package sandbox

import (
	"bytes"
	"os"
	"strconv"
)

// residentBytes is the resident size of pid, or of its group and all its
// descendants. Shared pages count once per process.
func residentBytes(pid int, group bool) int64 {
	if !group {
		return statm(pid)
	}
	var sum int64
	for _, p := range livingGroup(pid) {
		sum += statm(p)
	}
	return sum
}

var pageSize = int64(os.Getpagesize())

func statm(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(f[1]), 10, 64)
	return pages * pageSize
}

type process struct {
	pid, ppid, pgrp int
	dead            bool // a zombie, or gone
}

// livingGroup lists the processes that are in group pgid or descend from its
// leader and have not ended.
func livingGroup(pgid int) []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	names, _ := dir.Readdirnames(-1)
	_ = dir.Close()
	all := make([]process, 0, len(names))
	for _, n := range names {
		pid, err := strconv.Atoi(n)
		if err != nil {
			continue
		}
		if b, err := os.ReadFile("/proc/" + n + "/stat"); err == nil {
			if p, ok := parseStat(pid, b); ok {
				all = append(all, p)
			}
		}
	}
	in := map[int]bool{pgid: true}
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if !in[p.pid] && (p.pgrp == pgid || in[p.ppid]) {
				in[p.pid], grown = true, true
			}
		}
	}
	var living []int
	for _, p := range all {
		if in[p.pid] && !p.dead {
			living = append(living, p.pid)
		}
	}
	return living
}

// parseStat reads /proc/<pid>/stat, whose second field may hold anything:
// pid (comm) state ppid pgrp …
func parseStat(pid int, b []byte) (process, bool) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return process{}, false
	}
	f := bytes.Fields(b[i+1:])
	if len(f) < 3 || len(f[0]) != 1 {
		return process{}, false
	}
	ppid, err1 := strconv.Atoi(string(f[1]))
	pgrp, err2 := strconv.Atoi(string(f[2]))
	state := f[0][0]
	return process{pid, ppid, pgrp, state == 'Z' || state == 'X'}, err1 == nil && err2 == nil
}
