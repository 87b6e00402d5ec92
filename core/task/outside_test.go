package task_test

import (
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// TestOutsideNeedsAnAddress refuses to wait for a service that could not call
// back.
func TestOutsideNeedsAnAddress(t *testing.T) {
	p, err := flow.Load([]byte(`{name: f, modules: [{module_name: M, status: m, next_status: done,
 components: [{component_name: A, fn: s, async: true}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	d := task.Decider{NoOutside: "--public-url is not set", Functions: fn.NewRegistry(fn.Define(fn.Spec{
		Name: "s", Version: "1", Summary: "x", Purity: fn.Impure, Outputs: []fn.Slot{{Name: "out", Kinds: []media.Kind{media.Text}}},
	}, fn.Body[struct{}]{}))}
	step := d.Decide(task.View{Task: task.Task{ID: "t", State: task.Queued}, Plan: p, Work: task.Rows{}}, time.Now())
	if e := step.Task.Error; step.Task.State != task.Failed || e == nil || e.Kind != errs.Unsupported || e.Component != "A" {
		t.Errorf("%s: %+v", step.Task.State, e)
	}
	d.NoOutside = ""
	step = d.Decide(task.View{Task: task.Task{ID: "t", State: task.Queued}, Plan: p, Work: task.Rows{}}, time.Now())
	if step.Task.State != task.Running || len(step.Insert) != 1 {
		t.Errorf("%s: %+v", step.Task.State, step.Task.Error)
	}
}
