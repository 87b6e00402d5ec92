package load

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// machine is a made-up one: its files, and counters that move on.
type machine struct {
	t      *testing.T
	root   string
	cpus   int
	busy   float64 // ticks
	idle   float64
	own    float64
	tool   float64 // of a running tool
	reaped float64 // of tools that have ended
	used   float64 // seconds of the control group
	v1, v2 bool
	runs   bool // the tool runs
}

func newMachine(t *testing.T, cpus int) *machine {
	m := &machine{t: t, root: t.TempDir(), cpus: cpus, busy: 5000, idle: 90000, own: 300, used: 70}
	m.write("proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n")
	m.write("proc/loadavg", "0.50 0.40 0.30 1/200 999\n")
	m.counters()
	return m
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	file := filepath.Join(m.root, name)
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o600)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) remove(name string) {
	if err := os.RemoveAll(filepath.Join(m.root, name)); err != nil {
		m.t.Fatal(err)
	}
}

func stat(pid int, name string, parent int, user, children float64, pages int) string {
	return fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194560 0 0 0 0 %d 0 %d 0 20 0 9 0 100 1000000 %d 0\n", pid, name, parent, int64(user), int64(children), pages)
}

func (m *machine) counters() {
	text := fmt.Sprintf("cpu  %d 0 0 %d 0 0 0 0 0 0\n", int64(m.busy), int64(m.idle))
	for i := range m.cpus {
		text += fmt.Sprintf("cpu%d 1 0 0 1 0 0 0 0 0 0\n", i)
	}
	m.write("proc/stat", text)
	m.write("proc/self/stat", stat(42, "mediafn", 1, m.own, m.reaped, 9999))
	m.write("proc/42/stat", stat(42, "mediafn", 1, m.own, m.reaped, 9999))
	m.write("proc/7/stat", stat(7, "some) S 42 (body else", 1, 12345, 0, 5))
	if m.runs {
		m.write("proc/50/stat", stat(50, "ffmpeg", 42, m.tool, 0, 1024))
	} else {
		m.remove("proc/50")
	}
	if m.v1 {
		m.write("sys/fs/cgroup/cpuacct/box/cpuacct.usage", fmt.Sprint(int64(m.used*1e9)))
	}
	if m.v2 {
		m.write("sys/fs/cgroup/box/cpu.stat", fmt.Sprintf("usage_usec %d\nuser_usec 1\n", int64(m.used*1e6)))
	}
}

// pass lets a second pass in which others keep so many cores busy, and so many
// of those are in our control group; and we, in a tool.
func (m *machine) pass(others, inside, ours float64) {
	m.busy += (others + ours) * hertz
	m.idle += (float64(m.cpus) - others - ours) * hertz
	m.used += inside + ours
	m.tool += ours * hertz
	m.counters()
}

func (m *machine) meter() *Meter {
	meter := Open(m.root)
	meter.cores = m.cpus
	return meter
}

// settle is where the samples of a steady minute end.
func (m *machine) settle(meter *Meter, others, inside, ours float64) (s State) {
	for range 60 {
		m.pass(others, inside, ours)
		s = meter.Sample()
	}
	return s
}

func near(got, want float64) bool { return got > want-0.05 && got < want+0.05 }

// TestOthersTakeRoom: what others use is no room, what our own tools use is.
func TestOthersTakeRoom(t *testing.T) {
	m := newMachine(t, 4)
	m.runs = true
	meter := m.meter()
	if s := meter.Sample(); s.Room != 4 || s.Cores != 4 || s.Busy != 0 {
		t.Errorf("at first %+v", s)
	}
	if s := m.settle(meter, 0, 0, 3); s.Room != 4 || !near(s.Busy, 3) || !near(s.Outside, 0) || s.Tools != 1024*int64(os.Getpagesize()) {
		t.Errorf("beside our own work %+v", s)
	}
	if s := m.settle(meter, 2, 0, 1); s.Room != 2 || !near(s.Busy, 3) || !near(s.Outside, 2) {
		t.Errorf("beside two cores of others %+v", s)
	}
	if s := m.settle(meter, 4, 0, 0); s.Room != 0 {
		t.Errorf("when others take all %+v", s)
	}
	if s := m.settle(meter, 0.2, 0, 0); s.Room != 4 {
		t.Errorf("when they are gone %+v", s)
	}
}

// TestNoiseTakesNoCore: short bursts change nothing, and wherever a load has
// left the meter, a machine that is idle but for noise is offered whole.
func TestNoiseTakesNoCore(t *testing.T) {
	m := newMachine(t, 2)
	meter := m.meter()
	meter.Sample()
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 500 {
		noise := rnd.Float64() * 0.3
		if i%7 == 0 {
			noise = 1.5
		}
		m.pass(noise, 0, 0)
		if s := meter.Sample(); s.Room != 2 {
			t.Fatalf("%+v", s)
		}
	}
	for load := 0.0; load <= 2; load += 0.1 {
		m.settle(meter, load, 0, 0)
		if s := m.settle(meter, 0.25, 0, 0); s.Room != 2 {
			t.Errorf("after a load of %.1f: %+v", load, s)
		}
	}
}

// TestToolsEnd: the time of a tool that has ended is its parent's, no load of
// others.
func TestToolsEnd(t *testing.T) {
	m := newMachine(t, 2)
	m.runs = true
	meter := m.meter()
	m.settle(meter, 0, 0, 2)
	for range 20 {
		m.reaped, m.tool, m.runs = m.reaped+m.tool, 0, !m.runs
		m.pass(0, 0, 0)
		if s := meter.Sample(); !near(s.Outside, 0) || s.Room != 2 {
			t.Fatalf("%+v", s)
		}
	}
}

func TestControlGroups(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		v1    bool
	}{
		"version 1": {v1: true, files: map[string]string{
			"proc/self/cgroup":                                     "5:memory:/box/inner\n3:cpu:/box\n2:cpuacct:/box\n0::/\n",
			"sys/fs/cgroup/cpu/box/cpu.cfs_quota_us":               "200000\n",
			"sys/fs/cgroup/cpu/box/cpu.cfs_period_us":              "100000\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":                   "-1\n",
			"sys/fs/cgroup/memory/box/memory.limit_in_bytes":       "1073741824\n", // the outer group binds
			"sys/fs/cgroup/memory/box/memory.usage_in_bytes":       "536870912\n",
			"sys/fs/cgroup/memory/box/memory.stat":                 "inactive_file 0\ntotal_inactive_file 268435456\n",
			"sys/fs/cgroup/memory/box/inner/memory.limit_in_bytes": "9223372036854771712\n",
			"sys/fs/cgroup/unified/cgroup.controllers":             "",
		}},
		"version 1, joint": {v1: true, files: map[string]string{
			"proc/self/cgroup": "5:memory:/docker/0123\n3:cpu,cpuacct:/box\n",
			"sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us":  "200000\n",
			"sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":      "1073741824\n", // seen from inside
			"sys/fs/cgroup/memory/memory.usage_in_bytes":      "536870912\n",
			"sys/fs/cgroup/memory/memory.stat":                "total_inactive_file 268435456\n",
		}},
		"version 2": {files: map[string]string{
			"proc/self/cgroup":                      "0::/box/inner\n",
			"sys/fs/cgroup/cgroup.controllers":      "cpu memory\n",
			"sys/fs/cgroup/box/inner/cpu.max":       "max 100000\n",
			"sys/fs/cgroup/box/inner/memory.max":    "max\n",
			"sys/fs/cgroup/box/cpu.max":             "200000 100000\n",
			"sys/fs/cgroup/box/memory.max":          "1073741824\n",
			"sys/fs/cgroup/box/memory.current":      "536870912\n",
			"sys/fs/cgroup/box/memory.stat":         "anon 1\ninactive_file 268435456\n",
			"sys/fs/cgroup/box/inner/cpu.stat":      "usage_usec 1\n",
			"sys/fs/cgroup/box/inner/cpu.pressure":  "some avg10=40.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
			"sys/fs/cgroup/box/inner/memory.events": "low 0\n",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, 8)
			m.v1, m.v2 = c.v1, !c.v1
			for file, text := range c.files {
				m.write(file, text)
			}
			if name == "version 1, joint" {
				m.v1 = false // its counters stand elsewhere; limits only
			}
			m.counters()
			cores, memory := Machine(m.root)
			if cores != min(2, runtime.NumCPU()) || memory != 1<<30 {
				t.Errorf("%d cores, %d bytes", cores, memory)
			}
			meter := m.meter()
			s := meter.Sample()
			if s.Cores != 2 || s.Room != 2 || s.Memory != 3<<28 {
				t.Errorf("at first %+v", s)
			}
			if !c.v1 && s.Pressure != 0.4 {
				t.Errorf("pressure %g", s.Pressure)
			}
			if !m.v1 && !m.v2 {
				return
			}
			m.runs = true
			if s := m.settle(meter, 5, 0, 2); s.Room != 2 {
				t.Errorf("others keep five of eight, not in our group: %+v", s)
			}
			if s := m.settle(meter, 1, 1, 1); s.Room != 1 {
				t.Errorf("a neighbour takes half of the group: %+v", s)
			}
			if s := m.settle(meter, 7, 0, 1); s.Room != 1 {
				t.Errorf("the machine has one core left: %+v", s)
			}
		})
	}
}

// TestPlainMachine has neither control groups nor pressure files: the load
// average stands in.
func TestPlainMachine(t *testing.T) {
	m := newMachine(t, 4)
	meter := m.meter()
	if s := meter.Sample(); s.Cores != 4 || s.Memory != 8<<30 || s.Pressure != 0 || s.Tight {
		t.Errorf("%+v", s)
	}
	m.write("proc/loadavg", "16.00 1.00 1.00 17/200 999\n")
	if s := meter.Sample(); s.Pressure != 0.75 {
		t.Errorf("16 tasks on four CPUs: %+v", s)
	}
	m.write("proc/pressure/cpu", "some avg10=12.50 avg60=0.00 avg300=0.00 total=1\n")
	if s := meter.Sample(); s.Pressure != 0.125 {
		t.Errorf("the kernel measures, and the load average counts: %+v", s)
	}
	// A machine that tells nothing is taken whole.
	if s := (&Meter{host: host{t.TempDir()}, cores: 3}).Sample(); s.Room != 3 || s.Tight {
		t.Errorf("nothing to read: %+v", s)
	}
}

// TestTight has a threshold for shortage and another for its end.
func TestTight(t *testing.T) {
	m := newMachine(t, 4)
	meter := m.meter()
	for i, c := range []struct {
		avg   float64
		left  int // of 16 GiB, in MiB
		tight bool
	}{{0, 8000, false}, {19, 8000, false}, {21, 8000, true}, {12, 8000, true}, {9, 8000, false}, {12, 8000, false},
		{0, 700, false}, {0, 600, true}, {0, 900, true}, {0, 1100, false}, {0, 900, false}} {
		m.write("proc/pressure/memory", fmt.Sprintf("some avg10=%.2f avg60=0.00 avg300=0.00 total=1\n", c.avg))
		m.write("proc/meminfo", fmt.Sprintf("MemTotal: 16777216 kB\nMemAvailable: %d kB\n", c.left<<10))
		if s := meter.Sample(); s.Tight != c.tight {
			t.Errorf("%d: %+v gives %+v", i, c, s)
		}
	}
}

// TestHere samples the machine the test runs on: a child is found.
func TestHere(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	m := Open("/")
	s := m.Sample()
	if s.Room < 1 || s.Cores < 0.1 || s.Memory <= 0 || s.Tools <= 0 || m.last.own < 0 {
		t.Errorf("%+v", s)
	}
	found := slices.ContainsFunc(m.host.descendants(os.Getpid()), func(p process) bool { return p.pid == cmd.Process.Pid })
	if !found {
		t.Error("the child is not among the descendants")
	}
	if cores, memory := Machine("/"); cores < 1 || memory < 1<<20 {
		t.Errorf("%d cores, %d bytes", cores, memory)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(stat(7, "a) (b", 1, 5, 6, 7))
	f.Add("cpu  1 2 3 4 5 6 7 8 9 0\ncpu0 1 2 3 4\n")
	f.Add("some avg10=1.00 avg60=0.00\n")
	f.Fuzz(func(t *testing.T, text string) {
		parseProcess(text)
		if cpus, _, _ := parseCPU(text); cpus > strings.Count(text, "cpu") {
			t.Errorf("%d CPUs", cpus)
		}
		if some, ok := parsePressure(text); some < 0 || some > 1 || (!ok && some != 0) {
			t.Errorf("pressure %g", some)
		}
		field(text, "x")
	})
}

// BenchmarkSample reads this machine, all of its processes, as often as a
// worker does in a second; the reference reads one file.
func BenchmarkSample(b *testing.B) {
	m := Open("/")
	var file time.Duration
	for b.Loop() {
		m.Sample()
		b.StopTimer()
		began := time.Now()
		_ = m.host.text("proc/stat")
		file += time.Since(began)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed())/float64(file), "x-reading-a-file")
}
