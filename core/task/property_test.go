package task_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// TestDecisions drives random flows with random answers, in random order, with
// duplicates, losses, crashes, cancels and retries; answers of outside services
// come long after their worker's. The world checks each step; here: every task
// ends, every row with it, what left on the way left once, and the result is the
// right one.
func TestDecisions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, randomFlow(t))
		kinds := rapid.SampledFrom([]errs.Kind{errs.Transient, errs.Timeout, errs.Busy, errs.Internal, errs.Invalid,
			errs.Unsupported, errs.Canceled})
		pick := func(ids []string) string {
			if len(ids) == 0 {
				t.Skip("none")
			}
			return rapid.SampledFrom(ids).Draw(t, "id")
		}
		worker := rapid.SampledFrom([]string{"w1", "w2", "w3"})
		answer := func(t *rapid.T) {
			if len(w.grants) == 0 {
				t.Skip("no grants")
			}
			g := w.grants[rapid.IntRange(0, len(w.grants)-1).Draw(t, "grant")]
			what := rapid.SampledFrom([]string{"success", "success", "success", "failure", "failure", "returned", "lost", "pending", "short"}).Draw(t, "what")
			w.answer(g, what, kinds.Draw(t, "kind"), rapid.Bool().Draw(t, "ok"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"decide": func(*rapid.T) { w.decide() },
			"grant":  func(t *rapid.T) { w.grant(pick(w.in(task.Ready)), worker.Draw(t, "worker")) },
			"grants": func(t *rapid.T) {
				for _, id := range w.in(task.Ready) {
					w.grant(id, worker.Draw(t, "worker"))
				}
			},
			"answer": answer, "answer more": answer, "answer again": answer,
			"due": func(t *rapid.T) { w.due(pick(w.in(task.Waiting))) },
			"cancel": func(t *rapid.T) {
				if rapid.IntRange(0, 4).Draw(t, "seldom") > 0 {
					t.Skip("not now")
				}
				if next, err := task.Cancel(w.task); err == nil {
					w.apply(task.Step{Task: next})
				} else if !errs.Is(err, errs.Conflict) {
					t.Fatal(err)
				}
			},
			"arrive": func(t *rapid.T) {
				if w.upload == nil {
					t.Skip("it is there")
				}
				w.arrive(rapid.SampledFrom([]string{"", "", "", "", "", "", "", "gone"}).Draw(t, "how"))
			},
			"retry": func(*rapid.T) { w.retry() },
			"":      func(*rapid.T) { w.slots() },
		})
		w.finish()
		w.result()
	})
}

func (w *world) due(id string) {
	row := w.work[id]
	if row.NotBefore.After(w.now) {
		w.now = row.NotBefore
	}
	row.State = task.Ready
	w.together(row)
}

func (w *world) retry() {
	step, err := task.Retry(w.view(), task.Scope{}, w.now)
	if over := w.task.State == task.Failed || w.task.State == task.Canceled; over != (err == nil) {
		w.t.Fatalf("retry of a task %s: %v", w.task.State, err)
	}
	if err == nil {
		w.apply(step)
	}
}

// finish plays workers that succeed until nothing is left to do.
func (w *world) finish() {
	for round := 0; !w.task.State.Final(); round++ {
		if round > 200 {
			w.t.Fatalf("the task does not end: %+v", w.task)
		}
		w.decide()
		if w.upload != nil {
			w.arrive("")
		}
		for _, id := range w.in(task.Waiting) {
			w.due(id)
		}
		for _, id := range w.in(task.Ready) {
			w.grant(id, "w1")
		}
		for _, id := range w.in(task.Running) {
			row := w.work[id]
			w.answer(grant{work: id, trace: row.Trace, attempt: row.Attempt}, "success", 0, true)
		}
	}
}

// result checks a task that is over.
func (w *world) result() {
	w.slots()
	for id, row := range w.work {
		if !row.State.Final() {
			w.t.Fatalf("the task is %s and %s still %s", w.task.State, id, row.State)
		}
	}
	ended := w.upload != nil && w.upload.State == arrival.Gone
	if w.task.State == task.Failed && (w.task.Error == nil || w.task.Error.Component == "" && !ended) {
		w.t.Fatalf("a failed task names no component: %+v", w.task.Error)
	}
	if w.task.State != task.Succeeded {
		return
	}
	var want []media.Object
	for _, group := range w.plan.Result {
		ran := false
		for _, i := range group {
			if row, ok := w.came(i); ok {
				ran, want = true, append(want, row.Outputs...)
			}
		}
		if ran {
			break
		}
	}
	if diff := cmp.Diff(want, w.task.Outputs); diff != "" {
		w.t.Fatalf("the result (-want +got):\n%s", diff)
	}
	for _, m := range w.plan.Modules {
		if left := w.left[m.Status]; left != (len(m.Output) > 0) {
			w.t.Fatalf("module %s with output %v ended: it left %v", m.Status, m.Output, left)
		}
	}
}

// came is the row with what a component gave: its own, or its fallback's.
func (w *world) came(i int) (task.Work, bool) {
	c := w.plan.Components[i]
	row, ok := w.work[task.EventID(w.task.ID, c.Name)]
	if ok && row.State == task.Succeeded {
		return row, true
	}
	if c.Fallback == nil {
		return row, false
	}
	return w.came(c.Fallback.Index)
}

// randomFlow draws modules of components, depending on each other in any order
// that has no cycle, with every policy a component may have.
func randomFlow(t *rapid.T) *flow.File {
	f := &flow.File{Name: "random"}
	chance := func(label string, of int) bool { return rapid.IntRange(1, of).Draw(t, label) == 1 }
	var earlier []flow.ComponentFile // of the modules before, without fallbacks
	for m := range rapid.IntRange(1, 3).Draw(t, "modules") {
		mf := flow.ModuleFile{Name: fmt.Sprintf("M%d", m), Status: fmt.Sprintf("m%d", m), NextStatus: fmt.Sprintf("m%d", m+1)}
		var here []flow.ComponentFile
		for c := range rapid.IntRange(1, 4).Draw(t, "components") {
			one := randomComponent(t, fmt.Sprintf("C%d-%d", m, c), here, earlier)
			mf.Components = append(mf.Components, one)
			for chance("fallback", 3) {
				main := &mf.Components[len(mf.Components)-1]
				main.OnFail, main.Fallback = "fallback", main.Name+"f"
				mf.Components = append(mf.Components, randomComponent(t, main.Fallback, here, earlier))
			}
			here = append(here, one)
		}
		earlier = append(earlier, here...)
		for _, cf := range earlier {
			if chance("output", 4) {
				mf.Output = append(mf.Output, cf.Name)
			}
		}
		// The order in the file is not the order of dependence.
		mf.Components = rapid.Permutation(mf.Components).Draw(t, "order")
		f.Modules = append(f.Modules, mf)
	}
	for _, cf := range earlier {
		if !rapid.Bool().Draw(t, "result") {
			continue
		}
		if len(f.Result) > 0 && rapid.Bool().Draw(t, "together") {
			group, isGroup := f.Result[len(f.Result)-1].([]any)
			if !isGroup {
				group = []any{f.Result[len(f.Result)-1]}
			}
			f.Result[len(f.Result)-1] = append(group, cf.Name)
			continue
		}
		f.Result = append(f.Result, cf.Name)
	}
	return f
}

func randomComponent(t *rapid.T, name string, here, before []flow.ComponentFile) flow.ComponentFile {
	cf := flow.ComponentFile{Name: name, Fn: "t.work", Depends: []string{""}, Async: rapid.Bool().Draw(t, "async")}
	chance := func(label string, of int) bool { return rapid.IntRange(1, of).Draw(t, label) == 1 }
	reach := slices.Clone(before)
	for _, other := range here {
		if rapid.Bool().Draw(t, "depends") {
			cf.Depends = append(cf.Depends, other.Name)
			reach = append(reach, other)
		}
	}
	inputs := map[string]any{"in": "task.inputs.0"}
	var plans []string
	for _, other := range reach {
		if other.Fn == "slice.plan" {
			plans = append(plans, other.Name)
		}
		if rapid.Bool().Draw(t, "wire") {
			inputs["in"] = other.Name + " | " + inputs["in"].(string)
		}
		if chance("when", 6) {
			cf.When = map[string]any{"fact": other.Name + ".ok", "is": rapid.Bool().Draw(t, "is")}
		}
	}
	cf.Inputs = inputs
	if chance("skip", 3) {
		cf.OnFail = "skip"
	}
	if chance("retry", 4) {
		limit := rapid.IntRange(1, 2).Draw(t, "limit")
		cf.Retry = &limit
	}
	switch {
	case chance("plan", 3):
		cf.Fn, cf.Inputs = "slice.plan", nil
		cf.Params = map[string]any{"parts": rapid.IntRange(-1, 4).Draw(t, "parts")}
	case chance("picky", 12):
		cf.Fn = "t.picky"
	case len(plans) > 0 && rapid.Bool().Draw(t, "fan out"):
		cf.ForEach = rapid.SampledFrom(plans).Draw(t, "plan of") + ".segments"
	}
	return cf
}
