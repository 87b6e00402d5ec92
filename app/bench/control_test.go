package bench

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/tools/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.MaybeExec()
	goleak.VerifyTestMain(m)
}

// Control itself fails when a task does not succeed or a callback is missing.
func TestControl(t *testing.T) {
	r, err := Control(t.Context(), ControlOptions{Shapes: Shapes, Tasks: 12, Clients: 3, Callbacks: 5, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	units := map[string]int{"one": 1, "six": 6, "fan": segments}
	for _, s := range r.Shapes {
		if s.Tasks != 12 || s.Units != units[s.Shape] || s.CompletedRate <= 0 || s.AcceptedRate < s.CompletedRate || s.ReferenceRate <= 0 ||
			s.Accept.P50 <= 0 || s.Accept.P50 > s.Accept.Max || s.End != nil || s.MaxResidentMiB <= 0 {
			t.Errorf("%+v", s)
		}
		if c := s.Callbacks; c == nil || c.Expected != 3 || c.Twice != 0 || c.End != nil {
			t.Errorf("%s: callbacks %+v", s.Shape, c)
		}
		delete(units, s.Shape)
	}
	if len(units) > 0 {
		t.Error("not measured:", units)
	}
}

func TestControlByTheClock(t *testing.T) {
	dir := t.TempDir()
	cpu := filepath.Join(dir, "cpu")
	r, err := Control(t.Context(), ControlOptions{
		Shapes: []string{"one"}, Tasks: 40, Clients: 4, Rate: 200, Callbacks: 1, Dir: dir, Profiles: Profiles{CPU: cpu, Allocs: cpu + ".allocs"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := r.Shapes[0]
	if s.OfferedRate != 200 || s.AcceptedRate > 220 { // the last is due after 195 ms
		t.Errorf("offered %.0f/s, accepted %.0f/s", s.OfferedRate, s.AcceptedRate)
	}
	if s.ReferenceAccept == nil || s.ReferenceAccept.P50 <= 0 || s.Ratio <= 0 || s.ReferenceRate != 0 {
		t.Errorf("reference %+v, ratio %g", s.ReferenceAccept, s.Ratio)
	}
	if s.End == nil || s.End.P50 < s.Accept.P50 || s.Callbacks.End == nil || s.Callbacks.End.P99 < s.Accept.P50 || s.Callbacks.Expected != 40 {
		t.Errorf("%+v, end %+v, callbacks %+v", s.Accept, s.End, s.Callbacks)
	}
	for _, file := range []string{cpu, cpu + ".allocs"} {
		if st, err := os.Stat(file); err != nil || st.Size() == 0 {
			t.Errorf("profile %s: %v", file, err)
		}
	}
}

func TestWaiting(t *testing.T) {
	r, err := Control(t.Context(), ControlOptions{Waiting: 45, Clients: 4, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	w := r.Waiting
	if len(w.Steps) != 9 || w.Steps[8].Tasks != 45 || w.After.HeapMiB <= 0 || w.After.ResidentMiB > w.MaxResidentMiB {
		t.Errorf("%+v", w)
	}
}

// The shapes' figures are those of the flows they send.
func TestShapesAreTheirFlows(t *testing.T) {
	for _, name := range []string{"six", "fan"} {
		text, err := flowFiles.ReadFile("flows/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		p, err := flow.Load(text)
		if err != nil {
			t.Fatal(err)
		}
		s, err := shapeOf(name)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, k := range s.rounds {
			n += k
		}
		if p.Name != s.cmd || n != len(p.Components) || (s.fan > 0) != (p.Components[0].ForEach != nil) {
			t.Errorf("%s: %d components in %d modules, the flow %s has %d", name, n, len(s.rounds), p.Name, len(p.Components))
		}
	}
	if _, err := shapeOf("seven"); err == nil || !strings.Contains(err.Error(), "one, six, fan") {
		t.Error(err)
	}
}

func TestLatency(t *testing.T) {
	var took []time.Duration
	for i := 100; i >= 0; i-- {
		took = append(took, time.Duration(i)*time.Millisecond)
	}
	if l := latency(took); l != (Latency{P50: 50, P90: 90, P99: 99, Max: 100}) {
		t.Errorf("%+v", l)
	}
	if l := latency(nil); l != (Latency{}) {
		t.Errorf("of nothing: %+v", l)
	}
}

// A refusal is an error that says what the server said.
func TestCaller(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 4096)
		for _, answer := range []string{
			"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}",
			"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nbusy",
			"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		} {
			if _, err := conn.Read(buf); err != nil {
				return
			}
			_, _ = conn.Write([]byte(answer))
		}
	}()
	c, err := dial(t.Context(), listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if body, err := c.post([]byte("{}")); err != nil || string(body) != "{}" {
		t.Errorf("%s, %v", body, err)
	}
	if _, err := c.post([]byte("{}")); err == nil || !strings.Contains(err.Error(), "status 429: busy") {
		t.Error(err)
	}
	if _, err := c.post([]byte("{}")); err == nil || !strings.Contains(err.Error(), "length") {
		t.Error(err)
	}
	c.close()
	_ = listener.Close()
	<-served
}
