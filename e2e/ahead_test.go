package e2e_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/core/task"
)

// aheadOf are the rows of slices that are made while their source arrives.
func aheadOf(v *api.Task, in task.State) (all []api.Work) {
	for _, w := range v.Work {
		if w.Component == "Ahead" && w.Segment != nil && w.State == in {
			all = append(all, w)
		}
	}
	return all
}

// untilOneIsDone sends all but the last bytes and waits for a slice.
func (a *arriving) untilOneIsDone(id string) {
	a.s.t.Helper()
	for len(a.body)-a.sent > mib {
		a.must(min(mib, len(a.body)-a.sent-mib/2))
	}
	eventually(a.s.t, time.Minute, func() error {
		v, err := a.s.Task(a.s.t.Context(), id)
		if err == nil && len(aheadOf(v, task.Succeeded)) == 0 {
			err = fmt.Errorf("no slice is done: %s", shown(v))
		}
		return err
	})
}

// sameFrames fails unless two results have the same frames at the same times.
func sameFrames(t *testing.T, what, a, b string) {
	t.Helper()
	x, y := timesOf(t, a), timesOf(t, b) // their clocks may differ
	same := func(i, j int64) bool { return math.Abs(float64(i)*x.unit-float64(j)*y.unit) < 1e-5 }
	if !slices.EqualFunc(x.ticks, y.ticks, same) {
		t.Errorf("%s: %d frames, %d whole, at other times", what, len(x.ticks), len(y.ticks))
	}
}

// TestSlicesWithoutIndex: slices of films that have no index are computed while they
// are still being sent, and the results are those of films that were there.
func TestSlicesWithoutIndex(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	source := noisy(t)
	for _, c := range []struct{ name, args, reason string }{
		{"film.ts", "", "MPEG-TS"},
		{"film.mkv", "", "Matroska"},
		{"fragments.mp4", "-movflags frag_keyframe+empty_moov", "fragmented"},
	} {
		path := clip(t, "ahead-"+c.name, "-i "+source+" -c copy "+c.args)
		rq := inSlices()
		a, id := s.arrive(path, rq)
		a.untilOneIsDone(id)
		a.must(mib)
		end := s.succeeded(id)
		if got := arrivalOf(t, end); !got.Early || got.Slices == 0 || !strings.Contains(got.Reason, c.reason) || !strings.HasSuffix(got.Reason, "as their bytes arrived") {
			t.Errorf("%s: arrival: %+v", c.name, got)
		}
		if p := reportOf(t, end.Result); p.Code != string(slice.Arriving) || p.Certificate == nil || !p.Certificate.OK {
			t.Errorf("%s: %s: %s, certificate %+v", c.name, p.Code, p.Reason, p.Certificate)
		}
		for _, w := range end.Work {
			if w.Failures+w.Losses > 0 || w.Component == "Segments" || w.Component == "Redo" {
				t.Errorf("%s: %s failed %d times and was lost %d times", c.name, w.ID, w.Failures, w.Losses)
			}
		}
		rq.Inputs, rq.Extra.Slice = []media.Ref{s.upload("in-"+c.name, path)}, "off"
		whole := s.succeeded(s.submit(rq))
		sameFrames(t, c.name, s.download(end.Outputs[0].Ref), s.download(whole.Outputs[0].Ref))
		if n := len(aheadOf(whole, task.Succeeded)); n > 0 {
			t.Errorf("%s: %d slices ahead of a film that was there", c.name, n)
		}
	}
	nothingArrives(t, s)
	quiet(t, s)
	s.stop()
}

// TestAheadIsNotUsed: slices of a film whose clock jumps are made while it arrives, and
// it is processed whole when that shows; an upload that ends half way ends its task.
func TestAheadIsNotUsed(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	one, two := clip(t, "jump-1.ts", "-i "+noisy(t)+" -c copy -output_ts_offset 3000"), clip(t, "jump-2.ts", "-i "+noisy(t)+" -c copy -t 12")
	var body []byte
	for _, part := range []string{one, two} {
		b, err := os.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		body = append(body, b...)
	}
	path := filepath.Join(t.TempDir(), "jump.ts")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	rq := inSlices()
	a, id := s.arrive(path, rq)
	a.untilOneIsDone(id)
	a.must(mib)
	end := s.succeeded(id)
	if got := arrivalOf(t, end); got.Slices == 0 || !strings.Contains(got.Reason, "are not used") {
		t.Errorf("arrival: %+v", got)
	}
	if p := reportOf(t, end.Result); p.Sliced || !strings.Contains(p.Reason, "are not used") {
		t.Errorf("%s: %s", p.Code, p.Reason)
	}
	a, id = s.arrive(path, rq)
	for range len(a.body) / mib * 2 / 3 {
		a.must(mib)
	}
	eventually(t, time.Minute, func() error {
		v, err := s.Task(t.Context(), id)
		if err == nil && len(aheadOf(v, task.Succeeded)) == 0 {
			err = fmt.Errorf("no slice is done: %s", shown(v))
		}
		return err
	})
	if resp, err := a.do("DELETE", a.at, nil); err != nil || resp.StatusCode != 204 {
		t.Errorf("DELETE: %v %v", resp, err)
	}
	if end := s.ended(id); end.State != task.Failed || end.Error == nil || end.Error.Field != "input_files.0.upload" {
		t.Errorf("%s, %+v", end.State, end.Error)
	}
	nothingArrives(t, s)
	quiet(t, s)
	s.stop()
}
