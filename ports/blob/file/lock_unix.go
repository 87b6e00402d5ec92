//go:build unix

package file

import (
	"os"

	"golang.org/x/sys/unix"
)

// flock takes the lock or fails at once.
func flock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
