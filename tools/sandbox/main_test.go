package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

const toolEnv = "SANDBOX_TEST_TOOL"

// TestMain makes this binary three things: the launcher, the sandboxed tool
// (it says what it was allowed to do), and the tests.
func TestMain(m *testing.M) {
	MaybeExec()
	if mode := os.Getenv(toolEnv); mode != "" {
		tool(mode, os.Args[1:])
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func tool(mode string, args []string) {
	report := func(err error) {
		if err != nil {
			fmt.Println("no:", err)
			return
		}
		fmt.Println("yes")
	}
	switch mode {
	case "read":
		_, err := os.ReadFile(args[0])
		report(err)
	case "write":
		report(os.WriteFile(args[0], []byte("x"), 0o600))
	case "connect":
		conn, err := net.Dial(args[0], args[1])
		if err == nil && args[0] == "udp" {
			_, err = conn.Write([]byte("x"))
		}
		report(err)
	case "listen":
		_, err := net.Listen("tcp", "127.0.0.1:0")
		report(err)
	case "mptcp":
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, ipprotoMPTCP)
		report(err)
	case "fastopen":
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err == nil {
			port, _ := strconv.Atoi(args[0])
			err = unix.Sendto(fd, []byte("x"), msgFastOpen, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		}
		report(err)
	case "fork":
		report(exec.Command("/proc/self/exe").Run())
	case "signal":
		pid, _ := strconv.Atoi(args[0])
		report(unix.Kill(pid, 0))
	case "alloc":
		mb, _ := strconv.Atoi(args[0])
		b := make([]byte, mb<<20)
		for i := range b {
			b[i] = 1
		}
		fmt.Println("held", len(b))
		hang()
	case "environ":
		fmt.Println(strings.Join(os.Environ(), "\n"))
		fds, _ := os.ReadDir("/proc/self/fd")
		for _, fd := range fds {
			fmt.Println("fd", fd.Name())
		}
	case "fds":
		for fd := range 200 {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
				if target := fdKind(fd); target != "epoll" {
					fmt.Println("fd", fd)
				}
			}
		}
	case "bigfile":
		signal.Reset(syscall.SIGXFSZ)
		f, err := os.Create(args[0])
		if err == nil {
			_, err = f.Write(make([]byte, 1<<20))
		}
		report(err)
	case "spin":
		for i := 0; ; i++ {
			runtime.KeepAlive(i)
		}
	case "hang":
		fmt.Println("up")
		hang()
	case "parent":
		parent()
	}
}

func hang() { select {} }

// fdKind tells the Go runtime's own descriptors from inherited ones.
func fdKind(fd int) string {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == 0 {
		return "epoll" // anonymous inode: epoll or eventfd
	}
	return "file"
}

// parent starts a sandboxed shell with a grandchild, says their ids and waits
// to be killed.
func parent() {
	l, err := New("", slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	r, w, _ := os.Pipe()
	c := l.Command(context.Background(), shellPolicy(), "sh", "-c", "sleep 1000 & echo up; wait")
	c.Stdout = w
	if err := c.Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, pid := range livingGroup(c.Pid()) {
		fmt.Print(pid, " ")
	}
	fmt.Println()
	_ = c.Wait()
}

func shellPolicy() Policy {
	return Policy{Subprocesses: true, ExecPaths: []string{"/usr/bin/sleep"}}
}
