package task_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

const reducible = `
name: r
modules:
  - module_name: P
    status: p
    next_status: done
    components:
      - {component_name: Plan, fn: slice.plan, params: {parts: 2}}
      - {component_name: Better, fn: t.dual, inputs: task.inputs, depends: []}
      - {component_name: Analyse, fn: t.dual, inputs: task.inputs, for_each: Plan.segments, depends: [Plan]}
      - {component_name: Reduce, fn: t.dual, inputs: task.inputs, with: {all: Analyse}, depends: [Analyse]}
      - component_name: Segments
        fn: t.dual
        inputs: task.inputs
        with: {in: Better, reduced: Reduce, own: Analyse.each}
        for_each: Plan.segments
        depends: [Plan, Better, Analyse, Reduce]
`

// A fan-out takes what another fan-out over the same list gave, element by
// element, beside what all its elements take; and a file that stands in for
// the task's own stays the first input.
func TestWithAndEach(t *testing.T) {
	plan, err := flow.Load([]byte(reducible))
	if err != nil {
		t.Fatal(err)
	}
	video := []media.Kind{media.Video}
	dual := fn.Define(fn.Spec{Name: "t.dual", Version: "1", Summary: "test", Purity: fn.Exact,
		Inputs:   []fn.Slot{{Name: "in", Kinds: video, Min: 1, Max: 1}, {Name: "logo", Kinds: video, Max: 1}},
		Internal: []fn.Slot{{Name: "all", Kinds: []media.Kind{media.Data}}, {Name: "reduced", Kinds: []media.Kind{media.Data}}, {Name: "own", Kinds: []media.Kind{media.Data}}},
		Outputs:  []fn.Slot{{Name: "out", Kinds: video}},
	}, fn.Body[none]{Check: func(_ *none, kinds []media.Kind) error {
		if len(kinds) != 2 {
			t.Errorf("Check sees %d inputs, the caller gave 2", len(kinds))
		}
		return nil
	}, Run: func(fn.Context, *fn.Call, *none) (*fn.Result, error) { return nil, nil }})
	d := decider()
	d.Functions = fn.NewRegistry(dual)
	v := task.View{Plan: plan, Work: task.Rows{}, Task: task.Task{ID: task.NewID(), Flow: "r", State: task.Queued,
		Request: task.Request{Cmd: "r", Inputs: []media.Ref{{Bucket: "b", Key: "source"}, {Bucket: "b", Key: "logo"}}}}}
	now := time.Unix(1, 0)
	for range 4 { // every ready row succeeds and gives a file named after itself
		step := d.Decide(v, now)
		v.Task = step.Task
		for _, w := range append(step.Insert, step.Update...) {
			if w.State == task.Ready {
				w.Outputs = []media.Object{{Ref: media.Ref{Bucket: "s", Key: w.ID[len(v.Task.ID)+1:]}}}
				w = w.Done(now)
			}
			v.Work[w.ID] = &w
		}
	}
	for id, want := range map[string][]string{
		"Reduce":     {"in source", "logo logo", "all Analyse_0", "all Analyse_1"},
		"Segments_1": {"in Better", "logo logo", "reduced Reduce", "own Analyse_1"},
	} {
		w, ok := v.Work[v.Task.ID+"_"+id]
		if !ok {
			t.Fatalf("%s did not run; the task is %s: %v", id, v.Task.State, v.Task.Error)
		}
		var j job.Job
		if err := json.Unmarshal(w.Job, &j); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, in := range j.Inputs {
			got = append(got, in.Slot+" "+in.Ref.Key)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
}
