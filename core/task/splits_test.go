package task_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

const ahead = `
name: early
modules:
  - module_name: P
    status: p
    next_status: done
    components:
      - {component_name: Front, fn: inspect.front, inputs: {in: task.inputs.0}, when: {fact: task.splits}, on_fail: skip, depends: []}
      - {component_name: Early, fn: slice.plan, inputs: {profile: Front.facts}, when: {fact: Front.front}, depends: [Front]}
      - {component_name: Ahead, fn: {from: task.cmd}, inputs: task.inputs, for_each: Early.splits, when: {fact: Front.front}, depends: [Front, Early]}
      - {component_name: Plan, fn: slice.plan, inputs: {ahead: Ahead.facts}, depends: [Ahead]}
`

// TestSplits: what is sliced while it arrives is found out when it can be, and
// nobody else does anything for it.
func TestSplits(t *testing.T) {
	plan, err := flow.Load([]byte(ahead))
	if err != nil {
		t.Fatal(err)
	}
	video := []media.Kind{media.Video}
	define := func(name string, mode fn.Mode) fn.Function {
		body := fn.Body[none]{Run: func(fn.Context, *fn.Call, *none) (*fn.Result, error) { return nil, nil }}
		if mode != fn.Whole {
			body.Assembly = func(*none, *media.Info) fn.Assembly { return fn.Assembly{} }
		}
		return fn.Define(fn.Spec{Name: name, Version: "1", Summary: "test", Purity: fn.Exact, Slicing: fn.Slicing{Mode: mode},
			Inputs: []fn.Slot{{Name: "in", Kinds: video, Min: 1, Max: 1}}, Outputs: []fn.Slot{{Name: "out", Kinds: video}}}, body)
	}
	var told json.RawMessage // what Plan is given
	d := decider()
	d.Functions = fn.NewRegistry(define("inspect.front", fn.Whole), define("t.alone", fn.Independent), define("t.laps", fn.Overlap))
	d.Inline = map[string]task.Inline{"slice.plan": func(in task.InlineCall) (json.RawMessage, error) {
		if in.Docs["profile"] == nil {
			told = in.Docs["ahead"]
			return json.RawMessage(`{"not_ahead":"of a gap"}`), nil
		}
		parts := []fn.Part{{Stream: fn.Pictures, Order: 0, Split: &fn.Bytes{}, Bytes: fn.Bytes{Behind: 6 << 20}}, {Stream: fn.Pictures, Order: 1, Split: &fn.Bytes{}}}
		return json.Marshal(map[string]any{"splits": parts})
	}}
	now := time.Unix(100, 0)
	open := func() *arrival.Upload {
		return &arrival.Upload{ID: "u", Size: 100 << 20, State: arrival.Open, Index: arrival.Splits, Arrived: 10 << 20, Why: "it has no index"}
	}
	start := func(cmd string, u *arrival.Upload) (task.View, task.Step) {
		v := task.View{Plan: plan, Work: task.Rows{}, Task: task.Task{ID: task.NewID(), Flow: "early", State: task.Queued,
			Request: task.Request{Cmd: cmd, Inputs: []media.Ref{{Bucket: "b", Key: "k", Upload: "u"}}}}, Uploads: map[string]*arrival.Upload{"u": u}}
		return v, d.Decide(v, now)
	}
	for name, c := range map[string]struct {
		cmd    string
		change func(u *arrival.Upload)
		calls  bool // of Front
		waits  bool // nothing can be told yet
	}{
		"arriving":         {"t.alone", func(*arrival.Upload) {}, true, false},
		"nothing known":    {"t.alone", func(u *arrival.Upload) { u.Index = 0 }, false, true},
		"size not known":   {"t.alone", func(u *arrival.Upload) { u.Size = -1 }, false, true},
		"there":            {"t.alone", func(u *arrival.Upload) { u.State = arrival.Done }, false, false},
		"whole":            {"t.alone", func(u *arrival.Upload) { u.State = arrival.Whole }, false, false},
		"indexed":          {"t.alone", func(u *arrival.Upload) { u.Index = 1000 }, false, false},
		"not to be begun":  {"t.alone", func(u *arrival.Upload) { u.Index = arrival.Behind }, false, false},
		"small":            {"t.alone", func(u *arrival.Upload) { u.Size = 5 << 20 }, false, false},
		"overlap":          {"t.laps", func(*arrival.Upload) {}, false, false},
		"overlap, unknown": {"t.laps", func(u *arrival.Upload) { u.Index = 0 }, false, false},
	} {
		u := open()
		c.change(u)
		v, step := start(c.cmd, u)
		front := plan.Component("Front").Index
		if calls, waits := step.Task.Call.Get(front) == task.Success, step.Task.Ret.Get(front) == task.Untouched && step.Task.Call.Get(front) == task.Untouched; calls != c.calls || waits != c.waits || step.Task.State == task.Failed {
			t.Errorf("%s: called %v, waits %v: %+v %v", name, calls, waits, step.Task, step.Task.Error)
		}
		if !c.waits {
			continue
		}
		v.Task = step.Task
		u.Size, u.State = 100<<20, arrival.Done
		if step = d.Decide(v, now); step.Task.State != task.Succeeded {
			t.Errorf("%s: when all is there it is %s", name, step.Task.State)
		}
	}
	// What was found is given on, with the facts of the slices in their order.
	u := open()
	v, step := start("t.alone", u)
	for range 6 {
		v.Task = step.Task
		for _, w := range append(step.Insert, step.Update...) {
			if w.State == task.Ready {
				w.StartedAt = now
				switch w.Component {
				case "Front":
					w.Facts = json.RawMessage(`{"front":true,"kind":"video","format":"mpegts","size":7}`)
				case "Ahead":
					w.Facts = json.RawMessage(`{"of":` + string(rune('0'+w.Order)) + `}`)
					var j job.Job
					if err := json.Unmarshal(w.Job, &j); err != nil || j.Inputs[0].Facts == nil || j.Inputs[0].Facts.Size != 7 {
						t.Errorf("what the front told is not given to the slices: %s", w.Job)
					}
				}
				w = w.Done(now)
			}
			v.Work[w.ID] = &w
		}
		if len(v.Work) > 3 {
			if last := v.Work[v.Task.ID+"_Ahead_1"]; u.State == arrival.Open && last.State != task.Waiting {
				t.Errorf("the last slice is %s before the end", last.State)
			}
			u.State, u.Arrived, u.WholeAt = arrival.Done, u.Size, now.Add(time.Second)
		}
		step = d.Decide(v, now)
	}
	if string(told) != `{"each":[{"of":0},{"of":1}]}` || step.Task.State != task.Succeeded {
		t.Errorf("%s; %s", told, step.Task.State)
	}
	if r := string(step.Task.Report); !strings.Contains(r, `"slices_before_end":2`) || !strings.Contains(r, "not used: of a gap") {
		t.Error(r)
	}
}
