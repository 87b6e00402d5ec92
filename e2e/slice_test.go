package e2e_test

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/task"
)

// rangeOf finds in a tool's arguments which slice it computes.
var rangeOf = regexp.MustCompile(`gte\(pts\\*,(\d+)\)`)

// assassinate kills every tool that computes one slice of a task, the second
// one it meets, until it has killed so often or the task is over. It returns
// how the task stood then.
func (s *server) assassinate(id string, often int) *api.Task {
	s.t.Helper()
	slice, killed := "", map[int]bool{}
	var v *api.Task
	eventually(s.t, 2*time.Minute, func() (err error) {
		if v, err = s.Task(s.t.Context(), id); err != nil {
			return err
		}
		for _, p := range s.tools() {
			m := rangeOf.FindStringSubmatch(p.args)
			if m == nil || m[1] == "0" || killed[p.pid] || len(killed) == often {
				continue
			}
			if slice == "" {
				slice = m[0]
			}
			if strings.Contains(p.args, slice) && syscall.Kill(p.pid, syscall.SIGKILL) == nil {
				killed[p.pid] = true
			}
		}
		if !v.State.Final() && len(killed) < often {
			return fmt.Errorf("%d killed: %s", len(killed), shown(v))
		}
		return nil
	})
	return v
}

// TestSliceKilledTwice: a slice whose tool is killed twice is computed a third
// time, alone.
func TestSliceKilledTwice(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	id := s.submit(slow(s.upload("in", reel(t)), "force"))
	s.assassinate(id, 2)
	end := s.succeeded(id)
	again := 0
	for _, w := range end.Work {
		switch {
		case w.Component == "Segments" && w.Failures == 2 && w.Attempt == 3 && w.State == task.Succeeded:
			again++
		case w.Failures+w.Losses > 0 || w.Attempt > 1:
			t.Errorf("%s %s was done again too", w.Component, w.ID)
		}
	}
	if again != 1 {
		t.Errorf("%d slices were done three times: %s", again, shown(end))
	}
	quiet(t, s)
	s.stop()
}

// TestSliceFailsAlways: a slice that fails every time fails the task after its
// limit, and the error says which slice it was and how often it was tried; the
// other slices are not waited for, and nothing is left.
func TestSliceFailsAlways(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	id := s.submit(slow(s.upload("in", reel(t)), "force"))
	s.assassinate(id, 100)
	end := s.ended(id)
	if end.State != task.Failed || end.Error == nil {
		t.Fatalf("the task is %s: %s", end.State, shown(end))
	}
	limit := task.DefaultLimits.Failures
	for _, w := range segments(end, task.Failed) {
		if w.Failures != 0 && w.Failures != limit { // none: the event of all slices
			t.Errorf("%s failed %d times, the limit is %d", w.ID, w.Failures, limit)
		}
	}
	if e := end.Error; e.Component != "Segments" || e.Segment == nil || *e.Segment == 0 || !strings.Contains(e.Message, fmt.Sprintf("given up after %d failures", limit)) {
		t.Errorf("the error says too little: %+v", e)
	}
	if len(end.Outputs) > 0 {
		t.Errorf("a failed task has outputs: %s", shown(end))
	}
	quiet(t, s)
	s.stop()
}
