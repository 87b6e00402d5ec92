package task_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// freshOf is what the job of a row is told to compute in any case.
func freshOf(t *testing.T, w task.Work) []string {
	t.Helper()
	if w.Made != nil {
		t.Errorf("%s: the job as it was made would be granted", w.ID)
	}
	var j job.Job
	if err := json.Unmarshal(w.Job, &j); err != nil {
		t.Fatal(err)
	}
	return j.Fresh
}

// withJobs gives every row one.
func withJobs(v task.View) task.View {
	for _, w := range v.Work {
		w.Made = &job.Job{Fn: "t"}
		w.Job, _ = json.Marshal(w.Made)
	}
	return v
}

// TestFresh: what runs again is told what to compute in any case, and only in
// this generation.
func TestFresh(t *testing.T) {
	two := 2
	for name, s := range map[string]task.Scope{
		"one rendition":            {Component: "Big", Fresh: []string{"720p"}},
		"everything of one slice":  {Component: "Big", Segment: &two, Fresh: []string{fn.AllFresh}},
		"nothing":                  {Component: "Big"},
		"nothing of another slice": {Component: "Small"},
	} {
		v := withJobs(ended(t))
		step, err := task.Retry(v, s, time.Unix(9, 0))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range step.Update {
			if diff := cmp.Diff(s.Fresh, freshOf(t, w)); diff != "" {
				t.Errorf("%s: %s\n%s", name, w.ID, diff)
			}
			v.Work.Put(w.Done(time.Unix(10, 0)))
		}
		v.Task = step.Task
		v.Task.State = task.Succeeded
		again, err := task.Retry(v, task.Scope{Component: s.Component}, time.Unix(11, 0))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range again.Update {
			if names := freshOf(t, w); names != nil {
				t.Errorf("%s: the next generation of %s computes %v afresh", name, w.ID, names)
			}
		}
	}
}

// TestFreshOfATask: without a component the work of the task's own function is
// meant, its slices where there are some.
func TestFreshOfATask(t *testing.T) {
	const sliced = `
name: f
modules:
  - module_name: P
    status: p
    next_status: done
    components:
      - {component_name: Plan, fn: slice.plan, depends: []}
      - {component_name: Sound, fn: {from: task.cmd}, inputs: task.inputs, part: Plan.sound, depends: [Plan]}
      - {component_name: Segments, fn: {from: task.cmd}, inputs: task.inputs, for_each: Plan.segments, when: {fact: Plan.sliced}, depends: [Plan]}
      - {component_name: Whole, fn: {from: task.cmd}, inputs: task.inputs, when: {fact: Plan.sliced, is: false}, depends: [Plan]}
`
	plan, err := flow.Load([]byte(sliced))
	if err != nil {
		t.Fatal(err)
	}
	for _, ran := range [][]string{{"Plan", "Sound", "Segments"}, {"Plan", "Whole"}, {"Plan"}} {
		v := task.View{Task: task.Task{ID: "t", State: task.Succeeded, Status: "done"}, Plan: plan, Work: task.Rows{}}
		for _, name := range ran {
			v.Work.Put(task.Work{ID: task.EventID("t", name), TaskID: "t", Component: name, Order: -1, State: task.Succeeded, Attempt: 1, Job: []byte(`{}`)})
		}
		step, err := task.Retry(v, task.Scope{Fresh: []string{"all"}}, time.Now())
		if len(ran) == 1 {
			if errs.FieldOf(err) != "component" {
				t.Errorf("nothing to run again: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"t_" + ran[len(ran)-1]}; !slices.Equal(ids(step.Update), want) {
			t.Errorf("%v: reset %v, want %v", ran, ids(step.Update), want)
		}
	}
}

// TestReusedSaysNothingOfTime: slices that were there already are no measure for
// one that is computed.
func TestReusedSaysNothingOfTime(t *testing.T) {
	v, now := racing(t, 30*time.Second)
	for _, id := range []string{"t_Big_0", "t_Big_1"} {
		w := *v.Work[id]
		w.EndedAt, w.Usage.Reused = w.StartedAt.Add(time.Millisecond), 1
		v.Work.Put(w)
	}
	if twins := task.Twins(v, now); len(twins) > 0 {
		t.Errorf("%s is called slow beside slices nobody computed", twins[0].ID)
	}
}

// TestReusedFigures counts slices of which nothing was computed.
func TestReusedFigures(t *testing.T) {
	file := []media.Object{{Name: "a"}, {Name: "b"}}
	rows := task.Rows{}
	for i, reused := range []int{2, 1, 2} { // of two files each
		for _, component := range []string{"Analyse", "Segments"} {
			w := task.Work{ID: task.SegmentID(task.EventID("t", component), i), Component: component, Order: i, State: task.Succeeded, Attempt: 1, Outputs: file, Usage: fn.Usage{Reused: 2}}
			if component == "Segments" {
				w.Usage.Reused = reused
			}
			rows.Put(w)
		}
	}
	if f := task.FiguresOf(&task.Task{}, rows); f.Slices != 3 || f.Reused != 2 {
		t.Errorf("%+v", f)
	}
}
