package task_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// TestSlots compares slots of any length with a plain map.
func TestSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s task.Slots
		model := map[int]task.Slot{}
		index := rapid.IntRange(0, 300)
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				i, v := index.Draw(t, "i"), task.Slot(rapid.IntRange(0, 2).Draw(t, "v"))
				before := s.String()
				next := s.Set(i, v)
				if s.String() != before {
					t.Fatal("Set changed its receiver")
				}
				s, model[i] = next, v
			},
			"": func(t *rapid.T) {
				for i := range 310 {
					if s.Get(i) != model[i] {
						t.Fatalf("slot %d is %d, want %d", i, s.Get(i), model[i])
					}
				}
				back, err := task.ParseSlots(s.String())
				if err != nil || back.String() != s.String() {
					t.Fatalf("%q reads back as %q: %v", s, back, err)
				}
			},
			"covers": func(t *rapid.T) {
				var mask task.Slots
				want := true
				for _, i := range rapid.SliceOf(index).Draw(t, "mask") {
					mask = mask.Set(i, task.Success)
					want = want && model[i] == task.Success
				}
				if s.Covers(mask) != want {
					t.Fatalf("%s covers %s: %v", s, mask, !want)
				}
			},
		})
	})
}

func TestParseSlotsRefusesNonsense(t *testing.T) {
	for _, text := range []string{"x", ".", "1..2", "1ffffffffffffffff", "-1"} {
		if s, err := task.ParseSlots(text); err == nil {
			t.Errorf("%q is read as %s", text, s)
		}
	}
}

func TestIDs(t *testing.T) {
	id := task.NewID()
	event := task.EventID(id, "Segments")
	for _, c := range []struct {
		id, task, component string
		order               int
		ok                  bool
	}{
		{event, id, "Segments", -1, true},
		{task.SegmentID(event, 12), id, "Segments", 12, true},
		{id, "", "", 0, false},
		{event + "_x", "", "", 0, false},
		{event + "_-1", "", "", 0, false},
		{event + "_1_2", "", "", 0, false},
		{"", "", "", 0, false},
	} {
		taskID, component, order, err := task.ParseID(c.id)
		if (err == nil) != c.ok || taskID != c.task || component != c.component || order != c.order {
			t.Errorf("%q: %q %q %d %v", c.id, taskID, component, order, err)
		}
	}
	if a, b := task.NewID(), task.NewID(); a >= b {
		t.Errorf("ids do not rise: %s, %s", a, b)
	}
}

func TestFailures(t *testing.T) {
	now := time.Unix(1000, 0)
	limits := task.DefaultLimits
	w := task.Work{State: task.Running, Attempt: 1, Trace: "t", Worker: "w", LeaseTill: now, Deadline: now}
	fault := func(k errs.Kind) *task.Fault { return &task.Fault{Kind: k} }
	for _, k := range []errs.Kind{errs.Invalid, errs.Unsupported, errs.TooLarge, errs.Denied, errs.NotFound, errs.Conflict} {
		if got := limits.Fail(w, fault(k), now); got.State != task.Failed || got.Failures != 1 || !got.EndedAt.Equal(now) {
			t.Errorf("%s is tried again: %+v", k, got)
		}
	}
	for _, k := range []errs.Kind{errs.Transient, errs.Timeout, errs.Busy, errs.Internal, errs.Canceled} {
		got := w
		for try, wait := range []time.Duration{time.Second, 2 * time.Second} {
			got = limits.Fail(got, fault(k), now)
			if got.State != task.Waiting || got.NotBefore.Sub(now) != wait || got.Trace+got.Worker != "" || !got.LeaseTill.IsZero() {
				t.Errorf("%s, failure %d: %+v", k, try+1, got)
			}
		}
		if got = limits.Fail(got, fault(k), now); got.State != task.Failed || got.Failures != 3 {
			t.Errorf("%s: the third failure is not the last: %+v", k, got)
		}
	}
	w.Limit = 1
	if got := limits.Fail(w, fault(errs.Transient), now); got.State != task.Failed {
		t.Errorf("the component's own limit does not count: %+v", got)
	}
}

func TestBackoffIsBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	limits := task.DefaultLimits
	limits.Failures = 100
	w := task.Work{State: task.Running}
	last := time.Duration(0)
	for range 99 {
		w = limits.Fail(w, &task.Fault{Kind: errs.Transient}, now)
		wait := w.NotBefore.Sub(now)
		if wait < last || wait > limits.MaxBackoff {
			t.Fatalf("failure %d waits %s after %s", w.Failures, wait, last)
		}
		last = wait
	}
	if last != limits.MaxBackoff {
		t.Errorf("the longest wait is %s", last)
	}
}

func TestLosses(t *testing.T) {
	now := time.Unix(1000, 0)
	lose := func(workers func(i int) string, times int) task.Work {
		w := task.Work{State: task.Running}
		for i := range times {
			w.Worker = workers(i)
			w = task.DefaultLimits.Lose(w, "gone", now)
		}
		return w
	}
	same := func(int) string { return "w" }
	if w := lose(same, 1); w.State != task.Waiting || !w.NotBefore.Equal(now) || w.Failures != 0 {
		t.Errorf("the first loss waits or counts as a failure: %+v", w)
	}
	if w := lose(same, 29); w.State != task.Waiting || len(w.LostBy) != 1 {
		t.Errorf("29 losses: %+v", w)
	}
	if w := lose(same, 30); w.State != task.Failed || w.Error == nil {
		t.Errorf("30 losses: %+v", w)
	}
	each := func(i int) string { return string(rune('a' + i)) }
	if w := lose(each, 4); w.State != task.Waiting {
		t.Errorf("four workers: %+v", w)
	}
	if w := lose(each, 5); w.State != task.Failed {
		t.Errorf("five workers lost it and it is not quarantined: %+v", w)
	}
}

func TestUnknownFlowFails(t *testing.T) {
	d := decider()
	v := task.View{Task: task.Task{ID: "x", State: task.Queued, Flow: "gone", FlowVer: "9"}, Plan: &flow.Plan{Name: "gone"}}
	step := d.Decide(v, time.Unix(1, 0))
	if step.Task.State != task.Failed || step.Task.Error == nil {
		t.Errorf("%+v", step.Task)
	}
	v.Task.Ending = task.Canceled
	if step = d.Decide(v, time.Unix(1, 0)); step.Task.State != task.Canceled {
		t.Errorf("canceled: %+v", step.Task)
	}
}

// TestNumbersSurvive holds that a parameter reaches its function as it was
// written, up to 2^53.
func TestNumbersSurvive(t *testing.T) {
	type params struct {
		Seed int64 `json:"seed" default:"0" help:"x"`
	}
	f := fn.Define(fn.Spec{Name: "t.seed", Version: "1", Summary: "x", Purity: fn.Exact},
		fn.Body[params]{Price: func(*params, []*media.Info) fn.Price { return fn.Price{CPUSeconds: 1e300} }})
	plan, err := flow.Compile(&flow.File{Name: "single", Modules: []flow.ModuleFile{{Name: "M", Status: "m", Components: []flow.ComponentFile{
		{Name: "Run", Fn: map[string]any{"from": "task.cmd"}, Params: map[string]any{"from": "task.params"}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	d := task.Decider{Functions: fn.NewRegistry(f)}
	step := d.Decide(task.View{Plan: plan, Task: task.Task{ID: "x", State: task.Queued, Request: task.Request{
		Cmd: "t.seed", Params: json.RawMessage(`{"seed":9007199254740991}`)}}}, time.Unix(1, 0))
	var j job.Job
	if len(step.Insert) != 1 || json.Unmarshal(step.Insert[0].Job, &j) != nil || string(j.Params) != `{"seed":9007199254740991}` {
		t.Fatalf("params became %s (%+v)", j.Params, step.Task.Error)
	}
	if limit := step.Insert[0].Timeout; limit <= 0 {
		t.Errorf("an absurd price gives a timeout of %s", limit)
	}
}

func TestFigures(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(s float64) time.Time { return began.Add(time.Duration(s * float64(time.Second))) }
	slice := func(order int, from, till float64) *task.Work {
		return &task.Work{Component: "S", Order: order, Attempt: 1, State: task.Succeeded, StartedAt: at(from), EndedAt: at(till)}
	}
	tk := &task.Task{CreatedAt: began, EndedAt: at(20), Outputs: []media.Object{{Size: 50}},
		Usage: fn.Usage{CPUSeconds: 7, FetchSeconds: 1, StoreSeconds: 2, BytesIn: 210, BytesOut: 120}}
	twin := slice(3, 11, 12)
	twin.ID = task.TwinID("t_S_3")
	f := task.FiguresOf(tk, task.Rows{
		"p": {Fn: "inspect.probe", Order: -1, State: task.Succeeded, Attempt: 1, Facts: json.RawMessage(`{"size":200,"duration":10}`)},
		"d": {Fn: "slice.plan", Order: -1, State: task.Succeeded, Facts: json.RawMessage(`{"prediction":{"whole_seconds":16,"whole_cost":5.6}}`)},
		// Two at a time for four seconds, one for two, a pause, two again.
		"s0": slice(0, 1, 5), "s1": slice(1, 1, 7), "s2": slice(2, 10, 12), "s3": slice(3, 10, 12), "s4": twin,
		"a0": {Component: "A", Order: 0, Attempt: 2},
	})
	want := task.Figures{Wall: 20, CPU: 7, Transfer: 3, InputSeconds: 10, ProcessingRatio: 2, ComputingRatio: 0.7, TransferRatio: 0.3, CompressionRatio: 0.25,
		CostRatio: 1.25, WallRatio: 1.25, BytesIn: 200, BytesOut: 50, BytesFetched: 210, BytesStored: 120,
		Slices: 4, Concurrency: 15.0 / 8 / 4, PeakConcurrency: 0.75, Attempts: 8}
	if diff := cmp.Diff(want, *f, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Error(diff)
	}
	if whole := task.FiguresOf(&task.Task{}, task.Rows{"w": {Order: -1, Attempt: 1}}); *whole != (task.Figures{Attempts: 1}) {
		t.Errorf("%+v", whole)
	}
}
