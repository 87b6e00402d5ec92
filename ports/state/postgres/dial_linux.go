package postgres

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// boundUnacknowledged gives a connection up whose peer has not acknowledged
// anything for patience: keep-alives are not sent while data is on its way.
func boundUnacknowledged(network, _ string, c syscall.RawConn) error {
	if network == "unix" {
		return nil
	}
	var err error
	if cerr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(patience.Milliseconds()))
	}); cerr != nil {
		return cerr
	}
	return err
}
