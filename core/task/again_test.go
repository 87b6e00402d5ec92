package task_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

const ladder = `
name: ladder
modules:
  - module_name: Look
    status: looking
    next_status: working
    components:
      - {component_name: Probe, fn: p, depends: []}
  - module_name: Work
    status: working
    next_status: done
    components:
      - {component_name: Big,   fn: t, for_each: Probe.parts, depends: []}
      - {component_name: Small, fn: t, depends: []}
      - {component_name: Merge, fn: m, inputs: {in: Big}, depends: [Big]}
`

// ended is a task of the flow that succeeded.
func ended(t *testing.T) task.View {
	p, err := flow.Load([]byte(ladder))
	if err != nil {
		t.Fatal(err)
	}
	v := task.View{Task: task.Task{ID: "t", State: task.Succeeded, Status: "done", Outputs: []media.Object{{}}}, Plan: p, Work: task.Rows{}}
	for _, c := range p.Components {
		v.Task.Call, v.Task.Ret = v.Task.Call.Set(c.Index, task.Success), v.Task.Ret.Set(c.Index, task.Success)
		v.Work.Put(task.Work{ID: task.EventID("t", c.Name), TaskID: "t", Component: c.Name, Order: -1, State: task.Succeeded, Attempt: 1, Trace: "of-" + c.Name})
	}
	for i := range 3 {
		v.Work.Put(task.Work{ID: task.SegmentID("t_Big", i), TaskID: "t", Component: "Big", Order: i, State: task.Succeeded, Attempt: 1,
			Trace: "s" + string(rune('0'+i)), Facts: json.RawMessage(`{}`)})
	}
	return v
}

func ids(all []task.Work) (names []string) {
	for _, w := range all {
		names = append(names, w.ID)
	}
	slices.Sort(names)
	return names
}

// TestRetryOfAPart keeps what was not made from the part.
func TestRetryOfAPart(t *testing.T) {
	two := 2
	for name, c := range map[string]struct {
		scope          task.Scope
		reset, deleted []string
		status         string
	}{
		"a slice":       {task.Scope{Component: "Big", Segment: &two}, []string{"t_Big", "t_Big_2"}, []string{"t_Merge"}, "working"},
		"all slices":    {task.Scope{Component: "Big"}, []string{"t_Big", "t_Big_0", "t_Big_1", "t_Big_2"}, []string{"t_Merge"}, "working"},
		"nothing after": {task.Scope{Component: "Small"}, []string{"t_Small"}, nil, "working"},
		"the first": {task.Scope{Component: "Probe"}, []string{"t_Probe"},
			[]string{"t_Big", "t_Big_0", "t_Big_1", "t_Big_2", "t_Merge"}, "looking"},
	} {
		v := ended(t)
		before := maps.Clone(v.Work)
		step, err := task.Retry(v, c.scope, time.Unix(9, 0))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(c.reset, ids(step.Update)); d != "" {
			t.Errorf("%s: reset:\n%s", name, d)
		}
		if d := cmp.Diff(c.deleted, ids(step.Delete)); d != "" {
			t.Errorf("%s: deleted:\n%s", name, d)
		}
		if len(step.Traces) != len(step.Update)+len(step.Delete) {
			t.Errorf("%s: %d attempts kept of %d rows", name, len(step.Traces), len(step.Update)+len(step.Delete))
		}
		if s := step.Task; s.State != task.Queued || s.Status != c.status || s.Generation != 1 || s.Outputs != nil {
			t.Errorf("%s: %+v", name, s)
		}
		for _, w := range step.Update {
			event := w.Component == "Big" && w.Order < 0
			if want := map[bool]task.State{true: task.Waiting, false: task.Ready}[event]; w.State != want || w.Trace != "" || w.Facts != nil {
				t.Errorf("%s: %+v", name, w)
			}
		}
		for _, w := range step.Delete {
			if i := v.Plan.Component(w.Component).Index; step.Task.Call.Get(i) != task.Untouched || step.Task.Ret.Get(i) != task.Untouched {
				t.Errorf("%s: slots of %s are touched", name, w.Component)
			}
		}
		if d := cmp.Diff(before, v.Work); d != "" {
			t.Errorf("%s: the view was changed:\n%s", name, d)
		}
	}
}

func TestRetryRefuses(t *testing.T) {
	nine := 9
	running := ended(t)
	running.Task.State = task.Running
	for name, c := range map[string]struct {
		view  task.View
		scope task.Scope
		kind  errs.Kind
		field string
	}{
		"one that runs":           {running, task.Scope{Component: "Big"}, errs.Conflict, ""},
		"success, without a part": {ended(t), task.Scope{}, errs.Conflict, ""},
		"no such component":       {ended(t), task.Scope{Component: "Huge"}, errs.Invalid, "component"},
		"no such slice":           {ended(t), task.Scope{Component: "Big", Segment: &nine}, errs.Invalid, "segment"},
	} {
		if _, err := task.Retry(c.view, c.scope, time.Now()); !errs.Is(err, c.kind) || errs.FieldOf(err) != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
}
