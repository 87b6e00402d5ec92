package bench

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

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
