package chart

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

func TestGraph(t *testing.T) {
	p, err := flow.Load([]byte(`{name: f, modules: [{module_name: M, status: init, next_status: done, components: [
 {component_name: A, fn: {from: task.cmd}}, {component_name: B, fn: t.b, depends: [A], when: {fact: A.x}},
 {component_name: C, fn: t.c, depends: [A], for_each: A.list}, {component_name: D, fn: t.d, depends: [C, B], on_fail: fallback, fallback: E},
 {component_name: E, fn: t.e}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	row := func(name string, order int, s task.State) task.Work {
		w := task.Work{ID: task.EventID("t", name), Component: name, Order: order, Fn: "t." + name, State: s}
		if order >= 0 {
			w.ID = task.SegmentID(w.ID, order)
		}
		return w
	}
	tk := &task.Task{ID: "t", Flow: "f", FlowVer: "v", State: task.Running, Status: "init", Request: task.Request{Cmd: "x.y"}}
	tk.Ret = tk.Ret.Set(1, task.Success) // B came back without having been called
	work := []task.Work{row("A", -1, task.Succeeded), row("C", -1, task.Waiting), row("C", 0, task.Succeeded), row("C", 1, task.Running), row("C", 2, task.Ready), row("C", 3, task.Failed)}
	work[0].Usage.Reused, work[0].Outputs = 1, make([]media.Object, 1)
	work[2].Usage.Reused, work[2].Outputs = 2, make([]media.Object, 2)
	done := 0.375
	want := Graph{TaskID: "t", Flow: "f", Version: "v", State: task.Running, Status: "init",
		Nodes: []Node{
			{Component: "A", Module: "M", Fn: "t.A", State: task.Succeeded, Reused: true},
			{Component: "B", Module: "M", Fn: "t.b", State: LeftOut},
			{Component: "C", Module: "M", Fn: "t.C", State: task.Waiting, Progress: &done, Segments: &Segments{Total: 4, Done: 1, Running: 1, Failed: 1, Reused: 1}},
			{Component: "D", Module: "M", Fn: "t.d", State: Pending},
			{Component: "E", Module: "M", Fn: "t.e", State: Pending},
		},
		Edges: []Edge{{"A", "B", "depends"}, {"A", "C", "depends"}, {"C", "D", "depends"}, {"B", "D", "depends"}, {"D", "E", "fallback"}},
	}
	got := Of(p, tk, work, map[string]fn.Progress{"t_C_1": {Done: 0.5}, "t_A": {Done: 1}})
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	tk.State = task.Succeeded
	if last := Of(p, tk, nil, nil); last.Nodes[4].State != LeftOut {
		t.Errorf("at the end %+v", last.Nodes[4])
	}
	tk.State = task.Queued
	if first := Of(p, tk, nil, nil); first.Nodes[0].Fn != "x.y" || first.Nodes[0].State != Pending {
		t.Errorf("at first %+v", first.Nodes[0])
	}
}
