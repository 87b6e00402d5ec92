package flow

import (
	"encoding/json"
	"slices"
	"time"
)

// Plan is a checked flow, ready to be decided on. It is immutable.
type Plan struct {
	Name       string
	Version    string // digest of the file's content
	Summary    string
	Modules    []Module
	Components []*Component     // by index, in the order of the file
	Result     [][]int          // the first entry of which one ran; its files together
	Report     map[string][]Ref // of each the first that is there
	Warnings   []string         // what was understood, though it was probably not meant so
	byName     map[string]*Component
}

// Module is a status and the components that run while it lasts.
type Module struct {
	Name       string
	Status     string
	Next       string
	Components []int
	Output     []int // components whose files and facts leave when it ends
}

// Component is one node of the graph.
type Component struct {
	Index   int // slot index: its two bits in the call and return slots
	Module  int
	Name    string
	Fn      string          // empty: the function the task names
	Async   bool            // an outside service does the work and answers later
	Inputs  []Wire          // with Passed: beside, or in place of, the task's inputs
	Passed  bool            // the task's inputs as they are
	Params  json.RawMessage // literal
	From    *Ref            // params taken from a reference instead
	Part    *Ref
	Depends []int
	When    []Condition // all must hold
	ForEach *Ref
	OnFail  OnFail
	// Fallback runs in this component's place when it has failed; everything
	// that refers to this one then means the fallback. Instead is the way back.
	Fallback, Instead *Component
	Retry             int // failures allowed; 0 = the platform's limit
	Timeout           time.Duration
}

// OnFail says what a final failure of a component means.
type OnFail string

const (
	FailTask OnFail = "fail"
	SkipIt   OnFail = "skip"     // dependents run as if it had been left out
	FallBack OnFail = "fallback" // another component takes its place
)

// Wire connects an input slot to where its files or document come from.
type Wire struct {
	Slot string
	Refs []Ref // alternatives: the first that has something
}

// Ref is a parsed reference:
//
//	task.inputs  task.inputs.0  task.params  task.cmd  task.extra.slice  task.has_outputs
//	Name         the files of a component
//	Name.each    in a fan-out: the files of its segment of the same order
//	Name.facts   its facts, whole
//	Name.a.b     a field of its facts
type Ref struct {
	Component int // -1 = the task
	Path      []string
	text      string
}

func (r Ref) String() string { return r.text }

// Files reports whether the reference means files rather than a JSON value.
func (r Ref) Files() bool {
	if r.Component < 0 {
		return r.Path[0] == "inputs"
	}
	return len(r.Path) == 0 || r.Each()
}

// Each reports whether the reference means, segment by segment, the files of
// another fan-out.
func (r Ref) Each() bool { return r.Component >= 0 && len(r.Path) == 1 && r.Path[0] == "each" }

// Each reports whether the wire is one of each segment by itself.
func (w Wire) Each() bool { return !slices.ContainsFunc(w.Refs, func(r Ref) bool { return !r.Each() }) }

// Condition compares one fact.
type Condition struct {
	Fact  Ref
	Is    any // nil: the fact is true
	Not   bool
	Above *float64
	Below *float64
}

// Component returns the component of that name, or nil.
func (p *Plan) Component(name string) *Component { return p.byName[name] }

// Leaves reports whether a component's files may leave: as a part of the task's
// result or of a module's output, itself or in place of the one it stands in for.
func (p *Plan) Leaves(c *Component) bool {
	for main := c; main != nil; main = main.Instead {
		for _, group := range p.Result {
			if slices.Contains(group, main.Index) {
				return true
			}
		}
	}
	return p.Drafted(c)
}

// Drafted reports whether a component's files leave at the end of a module,
// itself or in place of the one it stands in for.
func (p *Plan) Drafted(c *Component) bool {
	for ; c != nil; c = c.Instead {
		for i := range p.Modules {
			if slices.Contains(p.Modules[i].Output, c.Index) {
				return true
			}
		}
	}
	return false
}

// Module returns the index of the module with that status, or -1.
func (p *Plan) Module(status string) int {
	for i := range p.Modules {
		if p.Modules[i].Status == status {
			return i
		}
	}
	return -1
}

// Uses lists the components that a component waits for or whose results it
// refers to, directly; what it stands in for is one of them.
func (c *Component) Uses() []int {
	uses := slices.Clone(c.Depends)
	see := func(refs ...*Ref) {
		for _, r := range refs {
			if r != nil && r.Component >= 0 && !slices.Contains(uses, r.Component) {
				uses = append(uses, r.Component)
			}
		}
	}
	for i := range c.Inputs {
		for n := range c.Inputs[i].Refs {
			see(&c.Inputs[i].Refs[n])
		}
	}
	for i := range c.When {
		see(&c.When[i].Fact)
	}
	see(c.From, c.Part, c.ForEach)
	if c.Instead != nil && !slices.Contains(uses, c.Instead.Index) {
		uses = append(uses, c.Instead.Index)
	}
	return uses
}
