package task

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// Step is a decision: the task's row as it should become, the rows to create
// and the rows to change. Applying it is one transaction.
type Step struct {
	Task   Task
	Insert []Work
	Update []Work
	Stop   []Work // running rows whose workers are told to stop; they confirm
	Drafts []Draft
	Delete []Work  // only of a retry: what is made anew
	Traces []Trace // only of a retry: attempts whose rows are used anew
	Notes  []Note  // what the history keeps of the decision, beside what rows show
}

// Draft is what leaves at the end of a module that names outputs. The step that
// ends a module holds it, and no other, so that telling it in the same commit
// tells it once.
type Draft struct {
	Status     string          // of the module that has ended
	Components []string        // that gave something, in the flow's order
	Outputs    []media.Object  // their files
	Facts      json.RawMessage // an object: component name → its facts; nil if there are none
}

// Decider decides. It holds what never changes while a controller runs.
type Decider struct {
	Functions *fn.Registry
	// Inline are functions the controller itself evaluates, from facts only.
	Inline map[string]Inline
	Place  Place
	// NoOutside says why outside services can't call back here; empty = they can.
	NoOutside string
	// Learned corrects the prices functions declare. A decision's prices are kept
	// in its rows, so it may be replaced between two decisions.
	Learned map[PriceKey]Learned
}

// Place names where the platform keeps what flows produce.
type Place struct {
	Cloud    string
	Results  string // bucket of what the caller gets
	Segments string // bucket of what only the flow needs
	Arriving string // bucket of the pieces of uploads
}

// Decide returns what follows from v at time now. It is pure: the same view
// gives the same step. Deciding again on the result changes nothing.
func (d *Decider) Decide(v View, now time.Time) Step {
	r := &round{Decider: d, view: v, now: now, changed: map[string]bool{}, step: Step{Task: v.Task}}
	r.view.Work = v.Work.Clone()
	if r.view.Work == nil {
		r.view.Work = Rows{}
	}
	r.run()
	return r.finish()
}

// round is one run of Decide. It works on a copy of the view that already
// contains the rows it creates.
type round struct {
	*Decider
	view    View
	now     time.Time
	step    Step
	changed map[string]bool // existing rows that differ
	created []string
}

func (r *round) run() {
	t := &r.step.Task
	if t.State.Final() {
		return
	}
	if t.Ending == "" && len(r.view.Plan.Modules) == 0 {
		r.fail(nil, &Fault{Kind: errs.Internal, Message: "flow " + t.Flow + " is not known in version " + t.FlowVer})
	}
	if t.State == Queued && t.Ending == "" {
		t.State = Running
		if t.StartedAt.IsZero() {
			t.StartedAt = r.now
		}
		if t.Status == "" {
			t.Status = r.view.Plan.Modules[0].Status
		}
	}
	if t.Ending == "" {
		r.arrivals()
	}
	for t.Ending == "" && r.advance() {
	}
	if t.Ending != "" {
		r.wind()
	}
}

// advance makes one pass over the current module and reports whether it
// changed something that may allow more.
func (r *round) advance() bool {
	t := &r.step.Task
	m := r.view.Plan.Module(t.Status)
	if m < 0 {
		r.fail(nil, &Fault{Kind: errs.Internal, Message: "flow " + r.view.Plan.Name + " has no status " + t.Status})
		return false
	}
	module := &r.view.Plan.Modules[m]
	again, done := false, true
	for _, i := range module.Components {
		c := r.view.Plan.Components[i]
		if t.Ret.Get(i) == Untouched && t.Call.Get(i) != Untouched {
			again = r.collect(c) || again
		}
		if t.Ending != "" {
			return false
		}
		if t.Ret.Get(i) == Untouched && t.Call.Get(i) == Untouched && r.mayRun(c) {
			again = r.start(c) || again
		}
		if t.Ending != "" {
			return false
		}
		done = done && t.Ret.Get(i) != Untouched
	}
	if !done {
		return again
	}
	if len(module.Output) > 0 {
		r.step.Drafts = append(r.step.Drafts, r.draft(module))
	}
	if m == len(r.view.Plan.Modules)-1 {
		r.succeed(module)
		return false
	}
	t.Status = module.Next
	return true
}

// mayRun is the one comparison: all components c depends on have returned. A
// fallback waits for the fate of the one it stands in for too.
func (r *round) mayRun(c *flow.Component) bool {
	if c.Instead != nil && !r.due(c) {
		return r.step.Task.Ret.Get(c.Instead.Index) != Untouched
	}
	var mask Slots
	for _, on := range c.Depends {
		mask = mask.Set(on, Success)
	}
	return r.step.Task.Ret.Covers(mask)
}

// due reports whether c is no fallback, or one whose time has come.
func (r *round) due(c *flow.Component) bool {
	return c.Instead == nil || r.step.Task.Call.Get(c.Instead.Index) == Failure
}

// collect looks whether a called component has come back.
func (r *round) collect(c *flow.Component) bool {
	t := &r.step.Task
	if t.Call.Get(c.Index) == Failure { // its fallback is at it
		if t.Ret.Get(c.Fallback.Index) == Untouched {
			return false
		}
		t.Ret = t.Ret.Set(c.Index, Success)
		return true
	}
	w, ok := r.view.Work.Get(EventID(t.ID, c.Name))
	if !ok {
		r.fail(c, &Fault{Kind: errs.Internal, Message: "the event's row is missing"})
		return false
	}
	if w.State == Waiting && c.ForEach != nil {
		w = r.gather(w)
	}
	switch w.State {
	case Succeeded:
		t.Ret = t.Ret.Set(c.Index, Success)
		t.Usage = t.Usage.Add(w.Usage)
		return true
	case Failed:
		if c.OnFail != flow.FailTask {
			w.State = Skipped
			r.change(w)
			r.abandon(w)
			r.goOn(c, w.Error)
			return true
		}
		t.Ret = t.Ret.Set(c.Index, Failure)
		r.fail(c, w.Error)
	}
	return false
}

// goOn lets the task live on after c has failed: without it, or with the
// fallback in its place. c then returns when the fallback has returned.
func (r *round) goOn(c *flow.Component, fault *Fault) {
	t := &r.step.Task
	t.Call = t.Call.Set(c.Index, Failure)
	note := Note{TaskID: t.ID, WorkID: EventID(t.ID, c.Name), Kind: "skip", Detail: "it failed and is left out", At: r.now}
	if c.OnFail == flow.SkipIt {
		t.Ret = t.Ret.Set(c.Index, Success)
	} else {
		note.Kind, note.Detail = "fallback", "it failed; "+c.Fallback.Name+" takes its place"
	}
	if fault != nil {
		note.Detail += ": " + fault.Message
	}
	r.step.Notes = append(r.step.Notes, note)
}

// gather closes the row of a fanned out event when its segments allow.
func (r *round) gather(w Work) Work {
	segments := r.view.Work.segments(w.ID)
	open := false
	for i := range segments {
		s := r.race(segments[i])
		segments[i] = s
		if s.State == Failed {
			fault := *s.Error
			order := s.Order
			fault.Segment = &order
			w.Error = &fault
			w = w.end(Failed, r.now)
			r.change(w)
			return w
		}
		open = open || s.State != Succeeded
	}
	if open {
		return w
	}
	facts, some := make([]json.RawMessage, len(segments)), false
	for i, s := range segments {
		w.Outputs = append(w.Outputs, s.Outputs...)
		w.Usage = w.Usage.Add(s.Usage)
		if facts[i] = s.Facts; s.Facts == nil {
			facts[i] = json.RawMessage("null")
		}
		some = some || s.Facts != nil
	}
	if some {
		w.Facts, _ = json.Marshal(map[string][]json.RawMessage{"each": facts}) // facts are JSON: cannot fail
	}
	w = w.Done(r.now)
	r.change(w)
	return w
}

// abandon ends the segments of a skipped event. Those that run are told to
// stop; the task does not wait for them, and what they answer is refused.
func (r *round) abandon(event Work) {
	for _, s := range r.view.Work.segments(event.ID) {
		for _, w := range []*Work{s, r.view.Work[TwinID(s.ID)]} {
			if w != nil && !w.State.Final() {
				r.drop(w)
			}
		}
	}
}

// start calls a component: creates its row, evaluates it here, or leaves it
// out. It reports whether the component has returned already.
func (r *round) start(c *flow.Component) bool {
	t := &r.step.Task
	if !r.due(c) {
		t.Ret = t.Ret.Set(c.Index, Success) // not needed: returned without a call
		return true
	}
	for i := range c.When {
		value, err := r.value(c.When[i].Fact)
		if errors.Is(err, errLater) {
			return false // what comes next decides
		}
		if err != nil {
			r.fail(c, FaultOf(err))
			return false
		}
		if !c.When[i].Holds(value) {
			t.Ret = t.Ret.Set(c.Index, Success) // left out: returned without a call
			return true
		}
	}
	rows, err := r.rows(c)
	if err != nil {
		if c.OnFail != flow.FailTask {
			r.goOn(c, FaultOf(err))
			return true
		}
		r.fail(c, FaultOf(err))
		return false
	}
	t.Call = t.Call.Set(c.Index, Success)
	for _, w := range rows {
		r.create(w)
	}
	if rows[0].State == Succeeded || (rows[0].State == Waiting && len(rows) == 1) {
		return r.collect(c)
	}
	return false
}

func (r *round) create(w Work) {
	if w.State == Ready {
		w = r.await(w)
	}
	r.view.Work.Put(w)
	r.created = append(r.created, w.ID)
}

func (r *round) change(w Work) {
	r.view.Work.Put(w)
	r.changed[w.ID] = true
}

// fail begins the end of the task. c is nil when no component is to blame.
func (r *round) fail(c *flow.Component, fault *Fault) {
	t := &r.step.Task
	f := Fault{Kind: errs.Internal, Message: "failed without an error"}
	if fault != nil {
		f = *fault
	}
	if c != nil {
		f.Component = c.Name
	}
	t.Ending, t.Error = Failed, &f
}

// wind brings a task to its end: what has not started is canceled, what runs
// is told to stop, and when nothing runs any more the task is over.
func (r *round) wind() {
	running := false
	for id, w := range r.view.Work {
		switch {
		case w.State == Running:
			running = true
			r.step.Stop = append(r.step.Stop, *w)
		case !w.State.Final():
			r.view.Work.Put(w.end(Canceled, r.now))
			r.changed[id] = true
		}
	}
	if running {
		return
	}
	t := &r.step.Task
	t.State, t.Ending, t.EndedAt = t.Ending, "", r.now
	t.Usage = r.total()
	if t.State == Canceled && t.Error == nil {
		t.Error = &Fault{Kind: errs.Canceled, Message: "canceled on request"}
	}
}

// succeed ends the task with the first entry of the flow's result that ran.
func (r *round) succeed(last *flow.Module) {
	t := &r.step.Task
	t.State, t.EndedAt, t.Error = Succeeded, r.now, nil
	t.Status = last.Next
	t.Outputs = nil
	for _, group := range r.view.Plan.Result {
		ran := false
		for _, i := range group {
			if files, ok := r.files(i); ok {
				t.Outputs, ran = append(t.Outputs, files...), true
			}
		}
		if ran {
			break
		}
	}
	t.Report = r.report()
	t.Usage = r.total()
}

func (r *round) total() fn.Usage {
	var u fn.Usage
	for _, w := range r.view.Work {
		if c := r.view.Plan.Component(w.Component); w.Order < 0 && c != nil && c.ForEach != nil {
			continue // its segments are counted
		}
		if w.IsTwin() {
			continue // its segment has it, if it was first
		}
		u = u.Add(w.Usage)
	}
	return u
}

// finish sorts the collected changes, so that equal views give equal steps.
func (r *round) finish() Step {
	created := map[string]bool{}
	for _, id := range r.created {
		created[id] = true
		r.step.Insert = append(r.step.Insert, *r.view.Work[id])
	}
	for id := range r.changed {
		if !created[id] {
			r.step.Update = append(r.step.Update, *r.view.Work[id])
		}
	}
	byID := func(a, b Work) int {
		if a.Component == b.Component {
			return a.Order - b.Order
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	}
	slices.SortFunc(r.step.Update, byID)
	slices.SortFunc(r.step.Stop, byID)
	return r.step
}
