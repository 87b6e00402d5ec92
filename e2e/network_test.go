package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// network is a bridge of this machine to which network namespaces are tied,
// one for every process that can be cut off. It needs root.
type network struct {
	t       *testing.T
	name    string // of all its parts: the bridge NAMEb, links NAMEvN, namespaces NAMEnN
	prefix  string // of addresses, with the last dot
	address string // the machine's own
	links   int
}

// link is one namespace's way to the bridge.
type link struct {
	namespace string
	veth      string // this machine's end
	address   string
	mu        sync.Mutex
	cuts      int // how many cuts have not been healed
}

// newNetwork makes a bridge. It goes with the test; what tests that were
// killed have left behind goes now.
func newNetwork(t *testing.T) *network {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("network namespaces are made by root only: run this test as root")
	}
	tidy(t)
	pid := os.Getpid()
	n := &network{t: t, name: fmt.Sprintf("mf%d", pid), prefix: fmt.Sprintf("10.%d.%d.", 128+pid>>8&127, pid&255)}
	n.address = n.prefix + "1"
	t.Cleanup(func() { unlink(t, func(owner int) bool { return owner == pid }) })
	ip(t, "link", "add", n.name+"b", "type", "bridge")
	ip(t, "addr", "add", n.address+"/24", "dev", n.name+"b")
	ip(t, "link", "set", n.name+"b", "up")
	return n
}

// join makes a namespace that reaches the bridge and nothing else.
func (n *network) join() *link {
	n.t.Helper()
	n.links++
	l := &link{
		namespace: fmt.Sprintf("%sn%d", n.name, n.links), veth: fmt.Sprintf("%sv%d", n.name, n.links),
		address: fmt.Sprintf("%s%d", n.prefix, n.links+1),
	}
	ip(n.t, "netns", "add", l.namespace)
	ip(n.t, "link", "add", l.veth, "type", "veth", "peer", "name", "eth0", "netns", l.namespace)
	ip(n.t, "link", "set", l.veth, "master", n.name+"b", "up")
	ip(n.t, "-n", l.namespace, "addr", "add", l.address+"/24", "dev", "eth0")
	ip(n.t, "-n", l.namespace, "link", "set", "eth0", "up")
	ip(n.t, "-n", l.namespace, "link", "set", "lo", "up")
	return l
}

// command runs a program inside the namespace.
func (l *link) command(program string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net=/run/netns/" + l.namespace, "--", program}, args...)...)
}

// cut lets nothing through, in either direction, and tells nobody.
func (l *link) cut() error { return l.count(1) }

// heal ends one cut.
func (l *link) heal() error { return l.count(-1) }

func (l *link) count(by int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cuts += by
	state := "up"
	if l.cuts > 0 {
		state = "down"
	}
	return tryIP("link", "set", l.veth, state)
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if err := tryIP(args...); err != nil {
		t.Fatal(err)
	}
}

func tryIP(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

var ours = regexp.MustCompile(`\bmf(\d+)[bvn]\d*\b`)

// tidy removes what belongs to processes that are no more.
func tidy(t *testing.T) {
	unlink(t, func(owner int) bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", owner))
		return errors.Is(err, os.ErrNotExist)
	})
}

// unlink removes bridges, links and namespaces by the process that made them.
func unlink(t *testing.T, of func(owner int) bool) {
	t.Helper()
	for _, kind := range []string{"netns", "link"} { // a link goes with its namespace
		out, err := exec.Command("ip", kind, "show").Output()
		if err != nil {
			t.Errorf("ip %s show: %v", kind, err)
		}
		for line := range strings.Lines(string(out)) {
			found := ours.FindStringSubmatch(line)
			if found == nil {
				continue
			}
			if owner, err := strconv.Atoi(found[1]); err != nil || !of(owner) {
				continue
			}
			if err := tryIP(kind, "delete", found[0]); err != nil && !strings.Contains(err.Error(), "Cannot find") {
				t.Error(err)
			}
		}
	}
}
