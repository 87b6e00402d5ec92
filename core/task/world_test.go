package task_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// world is a database, a controller without memory, and workers, in one. Rows
// change only through apply, which guards them as the store does.
type world struct {
	t       *rapid.T
	decider task.Decider
	plan    *flow.Plan
	now     time.Time
	task    task.Task
	work    map[string]task.Work
	grants  []grant           // every grant ever made
	commits map[string]string // work id → the trace whose result counts
	left    map[string]bool   // statuses of modules whose output has left
	limits  task.Limits
	upload  *arrival.Upload // that brings the input; nil = it is there
}

type grant struct {
	work, trace string
	attempt     int
}

func newWorld(t *rapid.T, file *flow.File) *world {
	plan, err := flow.Compile(file)
	if err != nil {
		t.Fatalf("%v", err)
	}
	w := &world{
		t: t, plan: plan, now: time.Unix(1_700_000_000, 0).UTC(), work: map[string]task.Work{}, commits: map[string]string{}, left: map[string]bool{},
		limits: task.DefaultLimits, decider: decider(),
	}
	w.task = task.Task{
		ID: "01890a5d-ac96-774b-bcce-b302099a8057", Tenant: "a", Flow: plan.Name, FlowVer: plan.Version, State: task.Queued,
		CreatedAt: w.now, Request: task.Request{Cmd: plan.Name, Priority: 5, Inputs: []media.Ref{{Bucket: "in", Key: "0"}}},
	}
	if rapid.Bool().Draw(t, "arrives") {
		w.upload = &arrival.Upload{ID: "u", Size: 8 << 20, State: arrival.Open, Index: rapid.SampledFrom([]int64{arrival.Behind, arrival.Splits, 0, 100}).Draw(t, "index"), Why: "x"}
		w.task.Request.Inputs[0].Upload = "u"
	}
	if rapid.Bool().Draw(t, "publish") {
		w.task.Request.Outputs = []media.Ref{{Bucket: "out", Key: "o"}}
	}
	return w
}

type none struct{}

func simple(name string, check func(*none, []media.Kind) error) fn.Function {
	any := []media.Kind{media.Video, media.Text}
	return fn.Define(fn.Spec{
		Name: name, Version: "1", Summary: "test", Purity: fn.Exact,
		Inputs: []fn.Slot{{Name: "in", Kinds: any}, {Name: "doc", Kinds: any}}, Outputs: []fn.Slot{{Name: "out", Kinds: any}},
	}, fn.Body[none]{Check: check, Run: func(fn.Context, *fn.Call, *none) (*fn.Result, error) { return nil, nil }})
}

func decider() task.Decider {
	return task.Decider{
		Functions: fn.NewRegistry(simple("t.work", nil), simple("t.picky", func(*none, []media.Kind) error {
			return errs.InField("params.x", "never right")
		})),
		Inline: map[string]task.Inline{"slice.plan": func(in task.InlineCall) (json.RawMessage, error) {
			var p struct{ Parts int }
			if err := json.Unmarshal(in.Params, &p); err != nil || p.Parts < 0 {
				return nil, errs.New(errs.Unsupported, "plan", "no such plan")
			}
			parts := []fn.Part{}
			for i := range p.Parts {
				parts = append(parts, fn.Part{
					Stream: fn.Pictures, Order: i, Of: p.Parts, Frames: int64(i + 1), Bytes: fn.Bytes{First: 1, Behind: int64(i) << 20},
				})
			}
			return json.Marshal(map[string]any{"ok": p.Parts%2 == 0, "segments": parts})
		}},
		Place: task.Place{Cloud: "main", Results: "results", Segments: "segments"},
	}
}

// decide runs the decision on the rows alone and applies it.
func (w *world) decide() {
	step := w.decider.Decide(w.view(), w.now)
	if diff := cmp.Diff(step, w.decider.Decide(w.view(), w.now)); diff != "" {
		w.t.Fatalf("the same view gave another step:\n%s", diff)
	}
	w.apply(step)
	again := w.decider.Decide(w.view(), w.now.Add(time.Second))
	if len(again.Insert)+len(again.Update)+len(again.Drafts)+len(again.Notes) > 0 || !cmp.Equal(again.Task, w.task) {
		w.t.Fatalf("deciding twice changed something: %s", cmp.Diff(step, again))
	}
}

// view is what a controller reads after a crash: copies that share nothing.
func (w *world) view() task.View {
	v := task.View{Task: copied(w.t, w.task), Plan: w.plan, Work: task.Rows{}}
	v.Task.Report = absent(v.Task.Report)
	for id, row := range w.work {
		c := copiedWork(w.t, row)
		v.Work[id] = &c
	}
	if w.upload != nil {
		u := *w.upload
		v.Uploads = map[string]*arrival.Upload{"u": &u}
	}
	return v
}

func copied[T any](t *rapid.T, v T) (out T) {
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatalf("copy: %v", err)
	}
	return out
}

func copiedWork(t *rapid.T, w task.Work) task.Work {
	w = copied(t, w)
	w.Job, w.Facts = absent(w.Job), absent(w.Facts)
	return w
}

// absent undoes that JSON writes a missing raw value as null.
func absent(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

// apply writes a step; what it must never do ends the test.
func (w *world) apply(step task.Step) {
	if from, to := w.task.State, step.Task.State; from != to && !task.Allowed(task.TaskTransitions, from, to) {
		w.t.Fatalf("task: %s → %s is in no table", from, to)
	}
	for _, row := range step.Insert {
		if _, ok := w.work[row.ID]; ok {
			w.t.Fatalf("%s is created twice", row.ID)
		}
		w.started(&row, &step)
		w.change(task.Work{}, row)
	}
	for _, row := range step.Update {
		had, ok := w.work[row.ID]
		if !ok {
			w.t.Fatalf("%s is changed but does not exist", row.ID)
		}
		w.change(had, row)
	}
	w.task = step.Task
	for i := range step.Drafts {
		w.draft(&step.Drafts[i])
	}
}

// draft checks what leaves at the end of a module: once, when all of it is
// there, and the results that counted.
func (w *world) draft(d *task.Draft) {
	m := &w.plan.Modules[w.plan.Module(d.Status)]
	if w.left[d.Status] {
		w.t.Fatalf("%s leaves twice", d.Status)
	}
	w.left[d.Status] = true
	for _, i := range m.Components {
		if w.task.Ret.Get(i) != task.Success {
			w.t.Fatalf("%s leaves before %s returned", d.Status, w.plan.Components[i].Name)
		}
	}
	want := task.Draft{Status: d.Status}
	facts := map[string]json.RawMessage{}
	for _, i := range m.Output {
		if row, ok := w.came(i); ok {
			name := w.plan.Components[i].Name
			want.Components, want.Outputs = append(want.Components, name), append(want.Outputs, row.Outputs...)
			if row.Facts != nil {
				facts[name] = row.Facts
			}
		}
	}
	if len(facts) > 0 {
		want.Facts, _ = json.Marshal(facts)
	}
	if diff := cmp.Diff(&want, d); diff != "" {
		w.t.Fatalf("the draft of %s (-want +got):\n%s", d.Status, diff)
	}
}

func (w *world) change(had, row task.Work) {
	if had.State != row.State && !task.Allowed(task.WorkTransitions, had.State, row.State) {
		w.t.Fatalf("%s: %q → %s is in no table", row.ID, had.State, row.State)
	}
	if had.State == task.Succeeded {
		w.t.Fatalf("%s changed after it had committed: %s", row.ID, cmp.Diff(had, row))
	}
	if row.Attempt < had.Attempt {
		w.t.Fatalf("%s: the attempt went back", row.ID)
	}
	w.work[row.ID] = row
}

// started checks a row that comes to life: everything it depends on has
// returned, its module is the current one, and its inputs are the results that
// counted of the components it is wired to.
func (w *world) started(row *task.Work, step *task.Step) {
	c := w.plan.Component(row.Component)
	for _, on := range c.Depends {
		if step.Task.Ret.Get(on) != task.Success {
			w.t.Fatalf("%s started before %s returned", row.ID, w.plan.Components[on].Name)
		}
	}
	for _, earlier := range w.plan.Components {
		if earlier.Module < c.Module && step.Task.Ret.Get(earlier.Index) != task.Success {
			w.t.Fatalf("%s started before module %d was done", row.ID, earlier.Module)
		}
	}
	if main := c.Instead; main != nil {
		if had, ok := w.work[task.EventID(w.task.ID, main.Name)]; step.Task.Call.Get(main.Index) != task.Failure || ok && had.State == task.Succeeded {
			w.t.Fatalf("%s runs though %s has not failed", row.ID, main.Name)
		}
	}
	if row.Job == nil {
		return
	}
	var j job.Job
	if err := json.Unmarshal(row.Job, &j); err != nil {
		w.t.Fatalf("%s: %v", row.ID, err)
	}
	if j.Async != c.Async {
		w.t.Fatalf("%s: asynchronous %v in the flow, %v in its job", row.ID, c.Async, j.Async)
	}
	for _, in := range j.Inputs {
		if in.Ref.Bucket != "made" {
			continue
		}
		id, trace, _ := strings.Cut(in.Ref.Key, "/")
		_, from, _, _ := task.ParseID(id)
		if w.commits[id] != trace {
			w.t.Fatalf("%s reads %s, which did not count", row.ID, in.Ref.Key)
		}
		if !wired(w.plan, c, from) {
			w.t.Fatalf("%s reads from %s, to which it is not wired", row.ID, from)
		}
	}
}

func wired(p *flow.Plan, c *flow.Component, from string) bool {
	for _, wire := range c.Inputs {
		for _, ref := range wire.Refs {
			for on := p.Component(from); ref.Component >= 0 && on != nil; on = on.Instead {
				if on.Index == ref.Component {
					return true
				}
			}
		}
	}
	return false
}

// in lists ids of rows in a state, in order; of those that wait the ones that wait
// for a time.
func (w *world) in(state task.State) (ids []string) {
	for _, id := range slices.Sorted(maps.Keys(w.work)) {
		if row := w.work[id]; row.State == state && (state != task.Waiting || row.Job != nil && row.NotBefore.Year() < 9999) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (w *world) grant(id, worker string) grant {
	row := w.work[id]
	row.State, row.Attempt, row.Worker = task.Running, row.Attempt+1, worker
	if event, _, cut := strings.Cut(strings.TrimPrefix(id, w.task.ID+"_"), "_"); cut && w.work[task.EventID(w.task.ID, event)].State != task.Waiting {
		w.t.Fatalf("%s runs though its event waits for no segment", id)
	}
	if w.task.State.Final() {
		w.t.Fatalf("%s could run though the task is over", id)
	}
	row.Trace = fmt.Sprintf("trace%d", len(w.grants))
	g1, err := row.Grant(time.Second, 1)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	w.arrived(&row, &g1.Job)
	w.change(w.work[id], row)
	g := grant{work: id, trace: row.Trace, attempt: row.Attempt}
	w.grants = append(w.grants, g)
	return g
}

// arrived checks that what a granted job reads has arrived.
func (w *world) arrived(row *task.Work, j *job.Job) {
	for i, in := range j.Inputs {
		if in.Ref.Upload == "" {
			continue
		}
		if need := arrival.Need(j, i, w.upload, row.Short()); !w.upload.There(need) {
			w.t.Fatalf("%s is granted with %d bytes there; it needs %d", row.ID, w.upload.Arrived, need)
		}
	}
}

// arrive lets bytes come, or the upload end.
func (w *world) arrive(what string) {
	u := w.upload
	switch {
	case u.State == arrival.Open && what == "gone":
		u.State = arrival.Gone
	case u.State == arrival.Open:
		u.Arrived += 1 << 20
		if u.Index == 0 && u.Arrived > 2<<20 {
			u.Index = 100
		}
		if u.Arrived == u.Size {
			u.State, u.WholeAt = arrival.Whole, w.now
		}
	case u.State == arrival.Whole:
		u.State = arrival.Done
	}
	w.decide()
}

// answer does what the controller does with an answer: fence, change the row,
// decide, write both together.
func (w *world) answer(g grant, what string, kind errs.Kind, ok bool) {
	row := w.work[g.work]
	if row.State != task.Running || row.Attempt != g.attempt || row.Trace != g.trace {
		return
	}
	ending := w.task.Ending != ""
	switch {
	case what == "pending": // an outside service has it; the same attempt is answered later, or lost
		if w.plan.Component(row.Component).Async {
			row.Worker = ""
			w.change(w.work[g.work], row)
		}
		return
	case what == "success":
		row = row.Done(w.now)
		row.Outputs = []media.Object{{Ref: media.Ref{Bucket: "made", Key: g.work + "/" + g.trace}}}
		row.Facts, _ = json.Marshal(map[string]any{"ok": ok})
		row.Usage = fn.Usage{CPUSeconds: 1}
		if w.commits[g.work] != "" {
			w.t.Fatalf("%s commits twice", g.work)
		}
		w.commits[g.work] = g.trace
	case ending:
		row = row.Cancel(w.now)
	case what == "returned":
		row = row.HandBack()
	case what == "short" && w.upload != nil:
		row = w.limits.Fail(row, &task.Fault{Kind: errs.Transient, Message: "not there", Short: w.upload.Arrived + 1}, w.now)
	case what == "lost":
		row = w.limits.Lose(row, "lost", w.now)
	default:
		row = w.limits.Fail(row, &task.Fault{Kind: kind, Message: "it failed"}, w.now)
	}
	w.together(row)
}

// together applies a row's change and the decision that follows in one write,
// so that the row shows only its last state.
func (w *world) together(row task.Work) {
	v := w.view()
	v.Work.Put(copiedWork(w.t, row))
	step := w.decider.Decide(v, w.now)
	if !slices.ContainsFunc(step.Update, func(u task.Work) bool { return u.ID == row.ID }) {
		step.Update = append(step.Update, row)
	}
	w.apply(step)
	w.decide()
}

// slots checks that one look at the slots tells what the rows tell.
func (w *world) slots() {
	for _, c := range w.plan.Components {
		call, ret := w.task.Call.Get(c.Index), w.task.Ret.Get(c.Index)
		row, ok := w.work[task.EventID(w.task.ID, c.Name)]
		bad := false
		switch {
		case !ok:
			bad = call == task.Success
		case row.State == task.Skipped && c.Fallback != nil:
			back := w.task.Ret.Get(c.Fallback.Index)
			bad = call != task.Failure || ret == task.Failure || ret == task.Success && back != task.Success ||
				ret != task.Success && back == task.Success && (w.task.State == task.Running && w.task.Ending == "" || w.task.State == task.Succeeded)
		case row.State == task.Skipped:
			bad = call != task.Failure || ret != task.Success
		case row.State == task.Succeeded:
			bad = call != task.Success || (ret != task.Success && w.task.State == task.Succeeded) || ret == task.Failure
		case row.State == task.Failed:
			bad = call != task.Success || ret == task.Success
		default:
			bad = call != task.Success || ret != task.Untouched
		}
		if bad {
			w.t.Fatalf("%s: row %v (%q), call %d, ret %d", c.Name, ok, row.State, call, ret)
		}
	}
}
