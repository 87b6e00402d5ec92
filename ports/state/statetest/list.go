package statetest

import (
	"slices"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// testStuck makes one task of every kind that moves or does not.
func testStuck(t *testing.T, b *bench) {
	since := epoch.Add(time.Hour)
	begin := func(name string, started time.Time, rows ...func(*task.Task) task.Work) {
		tk := b.submit("a", name)
		tk.State, tk.StartedAt = task.Running, started
		c := state.Change{Task: &tk}
		for _, row := range rows {
			c.Insert = append(c.Insert, row(&tk))
		}
		b.apply(c)
	}
	held := func(lease, deadline time.Time) func(*task.Task) task.Work {
		return func(tk *task.Task) task.Work {
			w := running(work(tk, "A", -1, task.Ready), lease)
			w.Deadline = deadline
			return w
		}
	}
	in := func(s task.State) func(*task.Task) task.Work {
		return func(tk *task.Task) task.Work { return work(tk, "A", -1, s) }
	}
	late, soon := epoch.Add(59*time.Minute), epoch.Add(2*time.Hour)
	b.submit("a", "stuck: never decided")
	begin("stuck: no work", epoch)
	begin("stuck: all work done", epoch, in(task.Succeeded))
	begin("stuck: lease", epoch, held(late, soon))
	begin("stuck: deadline", epoch, held(soon, late))
	begin("begun just now", soon)
	begin("runs", epoch, held(soon, soon))
	begin("waits for an answer from outside", epoch, held(time.Time{}, soon))
	begin("ready", epoch, in(task.Ready))
	over := b.submit("a", "over")
	over.State = task.Succeeded
	b.apply(state.Change{Task: &over})
	all, err := b.Tasks(t.Context(), state.Filter{Stuck: since, Limit: 99})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, tk := range all {
		got = append(got, tk.Request.MsgID)
	}
	slices.Reverse(got)
	want := []string{"stuck: never decided", "stuck: no work", "stuck: all work done", "stuck: lease", "stuck: deadline"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	none, err := b.Tasks(t.Context(), state.Filter{Stuck: since, Tenant: "b", Limit: 99})
	if err != nil || len(none) != 0 {
		t.Errorf("of another tenant: %d, %v", len(none), err)
	}
}

func testByTrace(t *testing.T, b *bench) {
	tk := b.submit("a", "1")
	w := running(work(&tk, "A", -1, task.Ready), epoch.Add(time.Hour))
	b.insert(w, work(&tk, "B", -1, task.Ready))
	got, err := b.WorkByTrace(t.Context(), w.Trace)
	if err != nil || got.ID != w.ID {
		t.Errorf("%+v, %v", got, err)
	}
	for _, trace := range []string{"", "nobody"} { // B has no trace, and none is none
		if _, err := b.WorkByTrace(t.Context(), trace); !errs.Is(err, errs.NotFound) {
			t.Errorf("%q: %v", trace, err)
		}
	}
	if _, err := b.Trace(t.Context(), w.Trace); !errs.Is(err, errs.NotFound) {
		t.Errorf("of an attempt that runs: %v", err)
	}
	b.apply(state.Change{
		Update: []state.Guarded{{Work: w.Done(epoch), Was: task.Running, Attempt: 1}},
		Traces: []state.Trace{{ID: w.Trace, WorkID: w.ID, TaskID: tk.ID, Attempt: 1, Outcome: "succeeded", EndedAt: epoch}},
	})
	if _, err := b.WorkByTrace(t.Context(), w.Trace); !errs.Is(err, errs.NotFound) {
		t.Errorf("of an attempt that is over: %v", err)
	}
	if ended, err := b.Trace(t.Context(), w.Trace); err != nil || ended.WorkID != w.ID || ended.Outcome != "succeeded" {
		t.Errorf("%+v, %v", ended, err)
	}
}

// testPriority holds that what was asked for and what counts may differ, and
// that idempotency goes by what was asked for.
func testPriority(t *testing.T, b *bench) {
	tk := b.submit("a", "1")
	tk.Request.Priority = 9
	b.apply(state.Change{Task: &tk})
	if got, err := b.Task(t.Context(), tk.ID); err != nil || got.Request.Priority != 9 {
		t.Errorf("%+v, %v", got, err)
	}
	again, existed, err := b.Submit(t.Context(), NewTask("a", "1"))
	if err != nil || !existed || again.ID != tk.ID {
		t.Errorf("%+v, %v, %v", again, existed, err)
	}
}
