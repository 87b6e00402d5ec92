package task_test

import (
	"slices"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// racing is a task whose last slice runs since the beginning while the others
// took 10 s each.
func racing(t *testing.T, running time.Duration) (task.View, time.Time) {
	v := ended(t)
	v.Task.State, v.Task.Status, v.Task.Outputs = task.Running, "working", nil
	began := time.Unix(1000, 0)
	for _, name := range []string{"Big", "Merge"} {
		i := v.Plan.Component(name).Index
		v.Task.Ret = v.Task.Ret.Set(i, task.Untouched)
	}
	v.Task.Call = v.Task.Call.Set(v.Plan.Component("Merge").Index, task.Untouched)
	delete(v.Work, "t_Merge")
	event := *v.Work["t_Big"]
	event.State = task.Waiting
	v.Work.Put(event)
	for i := range 3 {
		s := *v.Work[task.SegmentID("t_Big", i)]
		s.StartedAt, s.EndedAt, s.Price = began, began.Add(10*time.Second), fn.Price{CPUSeconds: 5}
		s.Outputs = []media.Object{{Name: s.ID}}
		if i == 2 {
			s.State, s.EndedAt, s.Outputs, s.Worker = task.Running, time.Time{}, nil, "slow"
		}
		v.Work.Put(s)
	}
	return v, began.Add(running)
}

func TestTwinOfASlowSlice(t *testing.T) {
	if v, now := racing(t, 19*time.Second); len(task.Twins(v, now)) > 0 {
		t.Error("a twin before the slice is slow")
	}
	v, now := racing(t, 21*time.Second)
	twins := task.Twins(v, now)
	if len(twins) != 1 || twins[0].ID != "t_Big_2_twin" || twins[0].State != task.Ready || twins[0].Avoid != "slow" || twins[0].Trace != "" {
		t.Fatalf("%+v", twins)
	}
	v.Work.Put(twins[0])
	if len(task.Twins(v, now.Add(time.Hour))) > 0 {
		t.Error("a second twin")
	}
	waits := *v.Work["t_Big_1"]
	waits.State = task.Ready
	delete(v.Work, "t_Big_2_twin")
	v.Work.Put(waits)
	if len(task.Twins(v, now.Add(time.Hour))) > 0 {
		t.Error("a twin while a slice waits")
	}
}

// TestTheFirstWins lets the twin, and then the slice, be first.
func TestTheFirstWins(t *testing.T) {
	d := &task.Decider{Functions: fn.NewRegistry(fn.Define(fn.Spec{
		Name: "m", Version: "1", Summary: "x", Purity: fn.Exact,
		Inputs: []fn.Slot{{Name: "in", Kinds: []media.Kind{media.Video}}}, Outputs: []fn.Slot{{Name: "out", Kinds: []media.Kind{media.Video}}},
	}, fn.Body[struct{}]{}))}
	for _, first := range []string{"t_Big_2_twin", "t_Big_2"} {
		v, now := racing(t, 30*time.Second)
		twin := task.Twins(v, now)[0]
		twin.State, twin.Attempt, twin.Worker, twin.Trace = task.Running, 1, "quick", "twin"
		v.Work.Put(twin)
		won := *v.Work[first]
		won.Outputs = []media.Object{{Name: "first"}}
		v.Work.Put(won.Done(now))
		step := d.Decide(v, now)
		event, loser := task.Work{}, task.Work{}
		for _, w := range step.Update {
			switch {
			case w.ID == "t_Big":
				event = w
			case w.ID == "t_Big_2" && w.State == task.Succeeded:
			default:
				loser = w
			}
		}
		if event.State != task.Succeeded || len(event.Outputs) != 3 || event.Outputs[2].Name != "first" {
			t.Errorf("%s first: the event is %+v", first, event)
		}
		stopped := slices.ContainsFunc(step.Stop, func(w task.Work) bool { return w.ID != first })
		if !stopped || len(step.Stop) != 1 {
			t.Errorf("%s first: stopped are %+v", first, step.Stop)
		}
		if first == "t_Big_2" && (loser.ID != "t_Big_2_twin" || loser.State != task.Canceled) {
			t.Errorf("the twin is %+v", loser)
		}
	}
}

func TestTwinIDs(t *testing.T) {
	id, component, order, err := task.ParseID(task.TwinID(task.SegmentID(task.EventID("t", "Big"), 7)))
	if id != "t" || component != "Big" || order != 7 || err != nil {
		t.Error(id, component, order, err)
	}
	if _, _, _, err := task.ParseID("t_Big_7_else"); err == nil {
		t.Error("anything may follow a segment")
	}
}
