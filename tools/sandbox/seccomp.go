package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system call filter closes what Landlock does not see: sockets that are
// not plain TCP (UDP, raw, unix, MPTCP), new processes, and kernel interfaces
// no decoder needs. Offsets are those of struct seccomp_data.
const (
	dataNr   = 0
	dataArch = 4
	dataArg  = 16 // low half of argument 0 on little endian; +8 per argument
)

// auditArch lists the machines the filter is written for.
var auditArch = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

func filterKnown() bool { return auditArch[runtime.GOARCH] != 0 }

// denied are calls a decoder has no business with, whatever its policy.
var denied = []uint32{
	unix.SYS_IO_URING_SETUP, // can open sockets past any filter
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT,
	unix.SYS_FSOPEN, unix.SYS_FSMOUNT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_OPEN_BY_HANDLE_AT,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME,
	unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_SYSLOG,
}

const (
	ipprotoMPTCP = 262
	msgFastOpen  = 0x20000000 // sendto that connects, unseen by Landlock
	x32Bit       = 0x40000000
	forkAMD64    = 57
	vforkAMD64   = 58
)

func allow() uint32            { return unix.SECCOMP_RET_ALLOW }
func fail(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }
func ld(off uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
}
func ret(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }

// jump compares the accumulator with k and skips yes or no instructions.
func jump(op uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: yes, Jf: no, K: k}
}

// program builds the filter. Each block starts with the call number in the
// accumulator, and if it does not concern the call leaves it there.
func program(arch uint32, tcp, fork bool) []unix.SockFilter {
	p := []unix.SockFilter{
		ld(dataArch),
		jump(unix.BPF_JEQ, arch, 1, 0),
		ret(unix.SECCOMP_RET_KILL_PROCESS), // a 32-bit call table would have other numbers
		ld(dataNr),
	}
	block := func(nr uint32, body ...unix.SockFilter) {
		p = append(p, jump(unix.BPF_JEQ, nr, 0, uint8(len(body))))
		p = append(p, body...)
	}
	if arch == unix.AUDIT_ARCH_X86_64 {
		p = append(p, jump(unix.BPF_JGE, x32Bit, 0, 1), ret(fail(unix.ENOSYS)))
	}
	for _, nr := range denied {
		block(nr, ret(fail(unix.EPERM)))
	}
	if tcp {
		block(unix.SYS_SOCKET,
			ld(dataArg),
			jump(unix.BPF_JEQ, unix.AF_INET, 1, 0),
			jump(unix.BPF_JEQ, unix.AF_INET6, 0, 6),
			ld(dataArg+8),
			unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0xf}, // without SOCK_CLOEXEC, SOCK_NONBLOCK
			jump(unix.BPF_JEQ, unix.SOCK_STREAM, 0, 3),
			ld(dataArg+16),
			jump(unix.BPF_JEQ, ipprotoMPTCP, 1, 0),
			ret(allow()),
			ret(fail(unix.EACCES)))
		for _, send := range []struct{ nr, flagsArg uint32 }{{unix.SYS_SENDTO, 3}, {unix.SYS_SENDMSG, 2}, {unix.SYS_SENDMMSG, 3}} {
			block(send.nr,
				ld(dataArg+8*send.flagsArg),
				jump(unix.BPF_JSET, msgFastOpen, 1, 0),
				ret(allow()),
				ret(fail(unix.EACCES)))
		}
	} else {
		block(unix.SYS_SOCKET, ret(fail(unix.EACCES)))
	}
	// clone3 hides its flags from filters; the C library falls back to clone.
	block(unix.SYS_CLONE3, ret(fail(unix.ENOSYS)))
	if fork {
		block(unix.SYS_CLONE,
			ld(dataArg),
			jump(unix.BPF_JSET, unix.CLONE_NEWUSER, 1, 0),
			ret(allow()),
			ret(fail(unix.EPERM)))
	} else {
		block(unix.SYS_CLONE,
			ld(dataArg),
			jump(unix.BPF_JSET, unix.CLONE_THREAD, 0, 1),
			ret(allow()),
			ret(fail(unix.EPERM)))
		if arch == unix.AUDIT_ARCH_X86_64 {
			block(forkAMD64, ret(fail(unix.EPERM)))
			block(vforkAMD64, ret(fail(unix.EPERM)))
		}
	}
	return append(p, ret(allow()))
}

// installFilter binds the calling thread and everything it becomes.
func installFilter(tcp, fork bool) error {
	arch := auditArch[runtime.GOARCH]
	if arch == 0 {
		return fmt.Errorf("no filter for %s", runtime.GOARCH)
	}
	p := program(arch, tcp, fork)
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(p)
	if errno != 0 {
		return errno
	}
	return nil
}
