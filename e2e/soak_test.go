package e2e_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// TestSoak: a long film (make soak: three hours) in slices. No process grows,
// scratch holds no more than the slices' files and the result, and the result is
// certified.
func TestSoak(t *testing.T) {
	const piece, limit = 20, 1 << 30 // seconds; bytes resident
	loops := max(*soak*60/piece, 1)
	clip(t, "soak.mp4", fmt.Sprintf("-f lavfi -i testsrc2=s=640x360:r=25:d=%d -f lavfi -i anoisesrc=c=pink:r=48000:d=%d:a=0.2 -c:v libx264 -preset ultrafast -crf 30 -g 100 -pix_fmt yuv420p -c:a aac -b:a 64k", piece, piece))
	path := clip(t, "soak-long.mp4", fmt.Sprintf("-stream_loop %d -i soak.mp4 -c copy -movflags faststart", loops-1))
	data := t.TempDir()
	s := serve(t, data, "")
	id := s.submit(api.Submit{Cmd: "video.transcode", Inputs: []media.Ref{s.upload("in", path)}, Params: json.RawMessage(`{"preset":"ultrafast","crf":32}`), Extra: task.Extra{Slice: "force"}})

	stop := make(chan struct{})
	var watching sync.WaitGroup
	var w soaked
	watching.Go(func() { w.run(s, filepath.Join(data, "scratch"), stop) })
	done := s.within(id, 30*time.Minute)
	close(stop)
	watching.Wait()
	if done.State != task.Succeeded {
		t.Fatalf("%s: %s", done.State, done.Result)
	}
	r := reportOf(t, done.Result)
	f := done.Figures
	if !r.Sliced || r.Certificate == nil || !r.Certificate.OK || f.Slices < 2 {
		t.Fatalf("%s", done.Result)
	}
	result := sizeOf(t, s.download(done.Outputs[0].Ref))
	slices := f.BytesStored - result
	t.Logf("%.1f min of 640×360, %.0f MB, in %d slices: %.1f s; most resident: mediafn %d MiB, a tool %d MiB; scratch at most %.1f MB, slices and sound %.1f MB, result %.1f MB",
		f.InputSeconds/60, float64(f.BytesIn)/1e6, f.Slices, f.Wall, w.server>>20, w.tool>>20, float64(w.scratch)/1e6, float64(slices)/1e6, float64(result)/1e6)
	if w.samples == 0 || w.server == 0 || w.tool == 0 {
		t.Fatalf("nothing was watched: %+v", &w)
	}
	if w.server > limit || w.tool > limit {
		t.Errorf("%d and %d bytes resident, the limit is %d", w.server, w.tool, limit)
	}
	if most := slices + result + 32<<20; w.scratch > most {
		t.Errorf("%d bytes of scratch; slices and result are %d", w.scratch, slices+result)
	}
	quiet(t, s)
	s.stop()
}

// within waits for the end of a task.
func (s *server) within(id string, limit time.Duration) (v *api.Task) {
	s.t.Helper()
	eventually(s.t, limit, func() (err error) {
		if v, err = s.Task(s.t.Context(), id); err == nil && !v.State.Final() {
			err = fmt.Errorf("%s is %s (%s)", id, v.State, v.Status)
		}
		return err
	})
	return v
}

// soaked is the most that was seen of what a server takes.
type soaked struct {
	server, tool int64 // bytes resident, of the process itself and of any it started
	scratch      int64 // bytes of files
	samples      int
}

// run looks every 100 ms until stop is closed.
func (w *soaked) run(s *server, scratch string, stop <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		w.samples++
		w.server = max(w.server, resident(s.cmd.Process.Pid))
		for _, p := range s.session() {
			w.tool = max(w.tool, resident(p.pid))
		}
		sum := int64(0)
		_ = filepath.WalkDir(scratch, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if info, err := d.Info(); err == nil { // else it is gone already
					sum += info.Size()
				}
			}
			return nil
		})
		w.scratch = max(w.scratch, sum)
	}
}

// resident is the memory of a process in bytes; 0 if it has ended.
func resident(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}
