package sandbox

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOlderKernels limits the launcher to what older kernels offer: the
// network is still closed, by a namespace, and file rules of every ABI hold.
func TestOlderKernels(t *testing.T) {
	l := newLauncher(t)
	granted, port := listen(t)
	newest, dir, other := l.caps.Landlock, t.TempDir(), t.TempDir()
	if !l.probe(unix.CLONE_NEWNET) {
		t.Log("no network namespaces here: only file rules are checked")
	} else {
		l.caps.NetNS = true
	}
	for abi := 1; abi <= newest; abi++ {
		l.caps.Landlock, l.caps.Ports, l.caps.Seccomp = abi, abi >= 4, false
		if got, err := query(t, l, Policy{WritePaths: []string{dir}}, "write", filepath.Join(dir, "f")); err != nil || got != "yes" {
			t.Errorf("ABI %d: granted file: %q %v", abi, got, err)
		}
		if got, err := query(t, l, Policy{WritePaths: []string{dir}}, "write", filepath.Join(other, "f")); err != nil || got == "yes" {
			t.Errorf("ABI %d: foreign file: %q %v", abi, got, err)
		}
		if got, err := query(t, l, Policy{}, "connect", "tcp", granted); err != nil || got == "yes" && (l.caps.NetNS || abi >= 4) {
			t.Errorf("ABI %d: network: %q %v", abi, got, err)
		}
		if got, err := query(t, l, Policy{ConnectPorts: []uint16{port}}, "connect", "tcp", granted); err != nil || got != "yes" {
			t.Errorf("ABI %d: granted port: %q %v", abi, got, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		caps Caps
		want []string
	}{
		{Caps{Landlock: 4, Ports: true, Seccomp: true}, nil},
		{Caps{Landlock: 3, Seccomp: true}, []string{"any port"}},
		{Caps{Landlock: 3, NetNS: true}, []string{"any port"}},
		{Caps{Landlock: 4, Ports: true}, []string{"UDP"}},
		{Caps{Seccomp: true}, []string{"READ AND WRITE FILES", "any port"}},
		{Caps{}, []string{"READ AND WRITE FILES", "USE THE NETWORK"}},
	} {
		var out bytes.Buffer
		l := &Launcher{caps: c.caps}
		l.warn(slog.New(slog.NewTextHandler(&out, nil)))
		if n := strings.Count(out.String(), "\n"); n != len(c.want) {
			t.Errorf("%+v: %s", c.caps, out.String())
		}
		for _, w := range c.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%+v: no %q in %s", c.caps, w, out.String())
			}
		}
	}
}
