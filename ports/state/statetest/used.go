package statetest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// testUsed: what tasks were given or have made is used until they are over.
func testUsed(t *testing.T, b *bench) {
	give := func(name string, s task.State, made ...string) {
		nt := NewTask("a", name)
		nt.Request.Inputs = []media.Ref{{Cloud: "main", Bucket: "in", Key: name}, {URL: "http://far/" + name}}
		tk, _, err := b.Submit(t.Context(), nt)
		if err != nil {
			t.Fatal(err)
		}
		w := work(&tk, "A", -1, task.Succeeded)
		for _, key := range made {
			w.Outputs = append(w.Outputs, media.Object{Ref: media.Ref{Cloud: "main", Bucket: "segments", Key: key}, Size: 1})
		}
		tk.State = s
		b.apply(state.Change{Task: &tk, Insert: []task.Work{w, work(&tk, "B", -1, task.Ready)}})
	}
	give("waits", task.Queued)
	give("runs", task.Running, "one", "two")
	give("ended", task.Succeeded, "three")
	give("failed", task.Failed, "four")
	give("more", task.Queued)
	var got []string
	if err := b.Used(t.Context(), func(r media.Ref) { got = append(got, r.String()) }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	want := []string{"http://far/more", "http://far/runs", "http://far/waits", "main:in/more", "main:in/runs", "main:in/waits", "main:segments/one", "main:segments/two"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// testRetriedJob: what is run again does what it is told then, nothing else
// changes a job.
func testRetriedJob(t *testing.T, b *bench) {
	tk := b.submit("a", "1")
	w := work(&tk, "A", -1, task.Ready)
	b.insert(w)
	for _, c := range []struct {
		to   task.State
		want string
	}{{task.Running, `{"fn":"t.work"}`}, {task.Succeeded, `{"fn":"t.work"}`}, {task.Ready, `{"fn":"t.work","fresh":["all"]}`}} {
		was := w.State
		w.State, w.Job = c.to, []byte(`{"fn":"t.work","fresh":["all"]}`)
		b.apply(state.Change{Update: []state.Guarded{{Work: w, Was: was, Attempt: w.Attempt}}})
		v, err := b.View(t.Context(), tk.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(v.Work[w.ID].Job); got != c.want {
			t.Errorf("from %s to %s: the job is %s, want %s", was, c.to, got, c.want)
		}
	}
}
