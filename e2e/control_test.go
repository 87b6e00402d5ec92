package e2e_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/task"
)

// segments lists a task's slices in a state.
func segments(v *api.Task, in task.State) (all []api.Work) {
	for _, w := range v.Work {
		if w.Component == "Segments" && w.State == in {
			all = append(all, w)
		}
	}
	return all
}

// midway waits until some slices of a task are done and others run.
func (s *server) midway(id string) (v *api.Task) {
	s.t.Helper()
	eventually(s.t, 2*time.Minute, func() (err error) {
		if v, err = s.Task(s.t.Context(), id); err != nil {
			return err
		}
		if v.State.Final() {
			s.t.Fatalf("task ended %s too early: %s", v.State, shown(v))
		}
		if len(segments(v, task.Succeeded)) == 0 || len(segments(v, task.Running)) == 0 || len(s.tools()) == 0 {
			return fmt.Errorf("not midway: %s", shown(v))
		}
		return nil
	})
	return v
}

// tools lists the tools that run in the sandbox.
func (s *server) tools() (all []process) {
	for _, p := range s.busy() {
		if name, _, _ := strings.Cut(p.args, " "); strings.HasSuffix(name, "ffmpeg") {
			all = append(all, p)
		}
	}
	return all
}

// TestCancel: a canceled task ends canceled, its processes and files are gone;
// retried, it goes on from the parts that are done.
func TestCancel(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	id := s.submit(slow(s.upload("in", reel(t)), "force"))
	before := s.midway(id)
	if _, err := s.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	asked := time.Now()
	end := s.ended(id)
	// Workers confirm: a task is canceled when its tools are gone, not before.
	if left := s.tools(); len(left) > 0 {
		t.Errorf("the task is %s and tools run: %v", end.State, left)
	}
	t.Logf("canceled after %s", time.Since(asked).Round(time.Millisecond))
	if end.State != task.Canceled || end.Error == nil || len(segments(end, task.Running)) > 0 {
		t.Errorf("ended %s: %s", end.State, shown(end))
	}
	quiet(t, s)
	if _, err := s.Cancel(t.Context(), id); err == nil {
		t.Error("a task that is over can be canceled")
	}
	if _, err := s.Retry(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	end = s.succeeded(id)
	if end.Generation != before.Generation+1 {
		t.Errorf("generation %d after %d", end.Generation, before.Generation)
	}
	attempts := map[string]int{}
	for _, w := range end.Work {
		attempts[w.ID] = w.Attempt
	}
	for _, w := range segments(before, task.Succeeded) {
		if attempts[w.ID] != w.Attempt {
			t.Errorf("slice %s was done and was computed again", w.ID)
		}
	}
	if r := reportOf(t, end.Result); r.Certificate == nil || !r.Certificate.OK {
		t.Errorf("report %s", end.Result)
	}
	quiet(t, s)
	s.stop()
}

// TestToolKilled: when the ffmpeg of one slice dies, that slice alone is
// computed again.
func TestToolKilled(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	id := s.submit(slow(s.upload("in", reel(t)), "force"))
	s.midway(id)
	eventually(t, time.Minute, func() error {
		victims := s.tools()
		if len(victims) == 0 {
			return errors.New("no ffmpeg runs")
		}
		// The youngest has most of its work before it.
		return syscall.Kill(victims[len(victims)-1].pid, syscall.SIGKILL)
	})
	end := s.succeeded(id)
	again := 0
	for _, w := range end.Work {
		again += w.Failures
		if w.Losses > 0 || (w.Failures > 0 && (w.Component != "Segments" || w.Attempt < 2)) {
			t.Errorf("not a slice alone: %s", shown(end))
		}
	}
	if again != 1 {
		t.Errorf("%d attempts failed: %s", again, shown(end))
	}
	quiet(t, s)
	s.stop()
}

// TestStop: a busy server that is told to end hands back what it cannot
// finish, and nothing of it is lost or counts as a fault.
func TestStop(t *testing.T) {
	t.Parallel()
	data, hooks := t.TempDir(), receive(t)
	s := serve(t, data, "", hooksAllowed, "--grace", "300ms")
	w := newWorkload(t, s, hooks, "stop")
	id := s.submit(slow(s.upload("in", reel(t)), "force"))
	w.submit(s)
	s.midway(id)
	s.stop()
	s = serve(t, data, "", hooksAllowed)
	w.submit(s)
	w.verify(s)
	for _, part := range s.succeeded(id).Work {
		if part.Failures > 0 || part.Losses > 0 {
			history, err := s.History(t.Context(), id)
			t.Errorf("%s failed %d times and was lost %d times: %+v (%v)", part.ID, part.Failures, part.Losses, history.Traces, err)
		}
	}
	quiet(t, s)
	s.stop()
}
