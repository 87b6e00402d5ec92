package flow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
)

// Inline are the functions a flow may name that are on no menu: the controller
// evaluates them itself.
var Inline = []string{"slice.plan"}

// Check compares a plan with a menu, as far as a file can be judged before a
// task runs: every function exists, its required slots are wired and no others,
// with as many files and of such kinds as it takes, and the parameters written
// down are ones it accepts. All faults are reported at once, as one Invalid
// error.
func (p *Plan) Check(functions *fn.Registry) error {
	c := checker{plan: p, functions: functions}
	if _, err := functions.Get(p.Name); err == nil {
		c.fault("name %s is the name of a function", p.Name)
	}
	for _, comp := range p.Components {
		c.component(comp)
	}
	if len(c.faults) > 0 {
		return errs.New(errs.Invalid, "flow "+p.Name, "%s", strings.Join(c.faults, "; "))
	}
	return nil
}

type checker struct {
	plan      *Plan
	functions *fn.Registry
	faults    []string
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func (c *checker) component(comp *Component) {
	switch {
	case comp.Fn == "": // the task names it, and the gateway checks it then
		if comp.Async {
			c.fault("%s: async needs a function that is known here", comp.Name)
		}
		return
	case slices.Contains(Inline, comp.Fn):
		if comp.Async || comp.ForEach != nil || comp.Part != nil {
			c.fault("%s: %s is evaluated by the controller: it is neither asynchronous nor fanned out", comp.Name, comp.Fn)
		}
		return
	}
	f, err := c.functions.Get(comp.Fn)
	if err != nil {
		hint := ""
		if near := fn.Near(comp.Fn, c.functions.Names()); len(near) > 0 {
			hint = "; did you mean " + strings.Join(near, ", ") + "?"
		}
		c.fault("%s: fn: no function is named %q%s", comp.Name, comp.Fn, hint)
		return
	}
	spec := f.Spec()
	if comp.Async && !spec.Outside {
		c.fault("%s: %s does its work itself and can't be asynchronous", comp.Name, comp.Fn)
	}
	// A function that takes no media may be run once for each of a list.
	if (comp.ForEach != nil || comp.Part != nil) && spec.Slicing.Mode == fn.Whole && len(spec.Inputs) > 0 {
		c.fault("%s: %s works on whole media only", comp.Name, comp.Fn)
	}
	kinds, known := c.slots(comp, spec)
	if comp.From != nil || !known {
		if comp.From == nil && comp.Params != nil {
			var full map[string]any
			if err := spec.Params.Decode(comp.Params, &full); err != nil {
				c.fault("%s: %v", comp.Name, err)
			}
		}
		return
	}
	if _, err := f.Check(comp.Params, kinds); err != nil {
		c.fault("%s: %v", comp.Name, err)
	}
}

// supply is what a reference gives: at least and at most so many files (-1 = no
// bound), of one of these kinds (nil = not known).
type supply struct {
	least, most int
	kinds       []media.Kind
}

func (s supply) add(o supply) supply {
	sum := supply{least: s.least + o.least, most: s.most + o.most, kinds: slices.Concat(s.kinds, o.kinds)}
	if s.most < 0 || o.most < 0 {
		sum.most = -1
	}
	return sum
}

// slots compares wires with slots. It returns the kinds of the inputs, empty
// where one can't tell, and whether their number is known.
func (c *checker) slots(comp *Component, spec *fn.Spec) (kinds []media.Kind, known bool) {
	if comp.Passed {
		return nil, false
	}
	given := map[string]supply{}
	known = true
	for _, wire := range comp.Inputs {
		slot := spec.Slot(wire.Slot)
		if slot == nil {
			c.fault("%s: %s has no input slot %q", comp.Name, comp.Fn, wire.Slot)
			continue
		}
		s := c.either(wire)
		if s.kinds != nil && !slices.ContainsFunc(s.kinds, slot.Accepts) {
			c.fault("%s: slot %s takes %v, not %v", comp.Name, slot.Name, slot.Kinds, s.kinds)
		}
		given[slot.Name] = given[slot.Name].add(s)
		known = known && s.least == s.most
		for range s.least {
			kind := media.Kind("")
			if len(s.kinds) == 1 {
				kind = s.kinds[0]
			}
			kinds = append(kinds, kind)
		}
	}
	for i := range spec.Inputs {
		slot := &spec.Inputs[i]
		switch s := given[slot.Name]; {
		case s.most >= 0 && s.most < slot.Min:
			c.fault("%s: slot %s of %s needs %d, and gets %d at the most", comp.Name, slot.Name, comp.Fn, slot.Min, s.most)
		case slot.Max > 0 && s.least > slot.Max:
			c.fault("%s: slot %s of %s takes %d at the most, and gets %d", comp.Name, slot.Name, comp.Fn, slot.Max, s.least)
		}
	}
	return kinds, known
}

// either joins a wire's alternatives: any of them may be the one.
func (c *checker) either(w Wire) supply {
	all := c.supply(w.Refs[0])
	for _, ref := range w.Refs[1:] {
		s := c.supply(ref)
		all.least = min(all.least, s.least)
		if all.most < 0 || s.most < 0 {
			all.most = -1
		} else {
			all.most = max(all.most, s.most)
		}
		if all.kinds == nil || s.kinds == nil {
			all.kinds = nil
		} else {
			all.kinds = slices.Concat(all.kinds, s.kinds)
		}
	}
	return all
}

func (c *checker) supply(ref Ref) supply {
	switch {
	case !ref.Files():
		return supply{least: 1, most: 1, kinds: []media.Kind{media.Text}}
	case ref.Component < 0 && len(ref.Path) > 1:
		return supply{least: 1, most: 1} // one that the request lacks fails the task
	case ref.Component < 0:
		return supply{most: -1}
	}
	comp := c.plan.Components[ref.Component]
	s := c.outputs(comp)
	if len(comp.When) > 0 || comp.OnFail == SkipIt || comp.Fallback != nil {
		s.least = 0
	}
	return s
}

func (c *checker) outputs(comp *Component) supply {
	f, err := c.functions.Get(comp.Fn)
	if err != nil || comp.Fn == job.Publish || comp.Fallback != nil || f.Spec().Outside {
		return supply{most: -1}
	}
	s := supply{}
	for _, slot := range f.Spec().Outputs {
		most := slot.Max
		if most == 0 {
			most = -1
		}
		s = s.add(supply{least: slot.Min, most: most, kinds: slot.Kinds})
	}
	if comp.ForEach != nil {
		s.least, s.most = 0, -1
	}
	return s
}
