package task

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
)

func TestPrioritize(t *testing.T) {
	v := View{Task: Task{ID: "t", State: Running, Request: Request{Priority: 5}}, Work: Rows{}}
	for _, s := range []State{Ready, Waiting, Running, Succeeded} {
		v.Work["t_"+string(s)] = &Work{ID: "t_" + string(s), State: s, Priority: 5, Attempt: 2, Trace: "x"}
	}
	step, err := Prioritize(v, 9)
	if err != nil || step.Task.Request.Priority != 9 {
		t.Fatalf("%+v, %v", step, err)
	}
	want := []Work{*v.Work["t_ready"], *v.Work["t_waiting"]}
	for i := range want {
		want[i].Priority = 9
	}
	if d := cmp.Diff(want, step.Update); d != "" {
		t.Error(d)
	}
	for _, n := range []int{-1, 10} {
		if _, err := Prioritize(v, n); !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != "priority" {
			t.Errorf("%d: %v", n, err)
		}
	}
	for _, over := range []Task{{State: Succeeded}, {State: Running, Ending: Canceled}} {
		if _, err := Prioritize(View{Task: over}, 1); !errs.Is(err, errs.Conflict) {
			t.Errorf("%+v: %v", over, err)
		}
	}
}
