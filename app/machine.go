package app

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// machineMemory is the memory this process may use, in bytes: the machine's,
// or less if a control group (version 2) says so.
func machineMemory() int64 {
	total := int64(4 << 30)
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib int64
		if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kib); err == nil {
			total = kib << 10
		}
	}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && limit < total {
			total = limit
		}
	}
	return total
}

// parseBytes reads 1073741824, 512MiB, 8GiB, 8G.
func parseBytes(s string) (int64, error) {
	number := strings.TrimRight(s, "KMGTiB ")
	shift := map[string]int{"": 0, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40}
	unit := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(s[len(number):]), "B"), "i")
	bits, known := shift[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || n <= 0 {
		return 0, fmt.Errorf("%q is not a size such as 8GiB", s)
	}
	return int64(n * float64(int64(1)<<bits)), nil
}
