package e2e_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/testparts"
)

// TestTwoMachines: a task that one process computes, with everything embedded,
// gives the same bytes when two workers in network namespaces of their own
// compute its slices, over NATS and an S3 store. What that costs is logged.
func TestTwoMachines(t *testing.T) {
	path := clip(t, "apart.mp4", "-f lavfi -i testsrc2=s=320x180:r=25:d=12,noise=alls=4:allf=t:all_seed=1 -f lavfi -i sine=r=48000:d=12 "+
		"-c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a aac")
	alone := serve(t, t.TempDir(), "")
	one := alone.sliced(path)

	n := newNetwork(t)
	nats := testparts.NATSCluster(t, 1, "0.0.0.0")
	store := testparts.S3(t)
	near := testparts.NewFaultProxy(t, store.Endpoint, n.address) // it lets everything through
	queue := strings.ReplaceAll(nats.URL(), "127.0.0.1", n.address)
	control := serve(t, t.TempDir(), "", "--roles", "gateway,controller,results", "--queue", nats.URL(), "--blobs", "main="+store.URL(""))
	for range 2 {
		s := &server{t: t, data: t.TempDir(), log: &tail{}, exited: make(chan struct{})}
		s.cmd = n.join().command(filepath.Join(bin, "mediafn"), "serve", "--roles", "worker", "--data", s.data, "--queue", queue,
			"--blobs", "main="+store.At(near.Endpoint, ""), "--cores", "1", "--memory", fmt.Sprint(2<<30), "--engine", filepath.Join(bin, "mediafn-engine"))
		s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
		s.cmd.Stderr, s.cmd.WaitDelay = s.log, 5*time.Second
		if err := s.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() {
			_ = s.cmd.Wait()
			s.state = s.cmd.ProcessState
			close(s.exited)
		}()
		t.Cleanup(s.cleanup)
	}
	two := control.sliced(path)

	if a, b := one.Outputs[0], two.Outputs[0]; a.SHA256 == "" || a.SHA256 != b.SHA256 || a.Size != b.Size {
		t.Errorf("one process made %d bytes %s, two workers %d bytes %s", a.Size, a.SHA256, b.Size, b.SHA256)
	}
	workers := map[string]bool{}
	for _, w := range two.Work {
		if w.Segment != nil {
			workers[w.Worker] = true
		}
	}
	if len(workers) != 2 {
		t.Errorf("slices ran on %v", workers)
	}
	for what, end := range map[string]*api.Task{"one process": one, "two namespaces": two} {
		if f := end.Figures; f.Slices != 2 || f.CostRatio <= 0 || f.WallRatio <= 0 || f.Concurrency <= 0 || f.BytesFetched < f.BytesIn || f.BytesStored < f.BytesOut {
			t.Errorf("%s: %+v", what, f)
		}
		beside := end.Figures.Wall - busiest(end)
		t.Logf("%s: %d slices, wall %.2f s, of which %.2f s beside the slices; CPU %.2f s, transfer %.2f s, %d bytes fetched",
			what, end.Figures.Slices, end.Figures.Wall, beside, end.Figures.CPU, end.Figures.Transfer, end.Figures.BytesFetched)
	}
}

// sliced runs a transcode in slices to its end, certified.
func (s *server) sliced(path string) *api.Task {
	s.t.Helper()
	end := s.succeeded(s.submit(api.Submit{
		Cmd: "video.transcode", Inputs: []media.Ref{s.upload("films", path)}, Params: json.RawMessage(`{"preset":"fast"}`), Extra: task.Extra{Slice: "force"},
	}))
	if r := reportOf(s.t, end.Result); !r.Sliced || r.Certificate == nil || !r.Certificate.OK {
		s.t.Fatalf("%+v", r)
	}
	return end
}

// busiest is how long slices ran: from the first one's start to the last one's
// end.
func busiest(end *api.Task) float64 {
	var first, last time.Time
	for _, w := range end.Work {
		if w.Segment == nil || w.StartedAt == nil || w.EndedAt == nil {
			continue
		}
		if first.IsZero() || w.StartedAt.Before(first) {
			first = *w.StartedAt
		}
		if w.EndedAt.After(last) {
			last = *w.EndedAt
		}
	}
	return last.Sub(first).Seconds()
}
