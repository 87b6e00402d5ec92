package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mediafn/mediafn/core/errs"
)

// machine is the set of cores this process may use.
func machine() (all unix.CPUSet, err error) {
	return all, errs.As(errs.Internal, "bench", unix.SchedGetaffinity(0, &all))
}

// confine keeps this process, and what it starts from now on, on the first n
// cores of a set; 0 = on all. On a machine with more cores whatever counts no
// core would have the others to itself.
func confine(all unix.CPUSet, n int) error {
	set, taken := all, 0
	for i := range 8 * int(unsafe.Sizeof(all)) {
		if all.IsSet(i) {
			if taken++; n > 0 && taken > n {
				set.Clear(i)
			}
		}
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return errs.As(errs.Internal, "bench", err)
	}
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			_ = unix.SchedSetaffinity(id, &set) // it may have ended; one that comes from it has its affinity
		}
	}
	return nil
}

// cpuSeconds is what this process has used so far, user and system.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// resetPeak has peak count from now on, where the kernel can do that.
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// peak is the most memory this process has held, resident its memory now, in
// MiB.
func peak() float64     { return status("VmHWM") }
func resident() float64 { return status("VmRSS") }

func status(field string) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), field+":")
	var kib float64
	_, _ = fmt.Sscan(rest, &kib) // not there is 0
	return kib / 1024
}
