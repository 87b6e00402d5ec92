package flow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
)

// maxComponents bounds a flow file; slots grow by words, so the bound is about
// hostile files only.
const maxComponents = 1024

var (
	flowPattern   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9.-]{0,99}$`)
	namePattern   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,62}$`)
	statusPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
)

// Compile checks a file and derives its plan. All mistakes are reported at
// once, in one Invalid error.
func Compile(f *File) (*Plan, error) {
	c := compiler{plan: &Plan{Name: f.Name, Summary: f.Summary, byName: map[string]*Component{}}}
	c.declare(f)
	if len(c.faults) == 0 {
		c.connect(f)
		if c.order() { // else there is no last component to begin from
			c.finish(f)
		}
	}
	if len(c.faults) > 0 {
		return nil, errs.New(errs.Invalid, "flow "+f.Name, "%s", strings.Join(c.faults, "; "))
	}
	body, err := json.Marshal(f)
	if err != nil {
		return nil, errs.New(errs.Invalid, "flow "+f.Name, "%w", err)
	}
	sum := sha256.Sum256(body)
	c.plan.Version = hex.EncodeToString(sum[:8])
	return c.plan, nil
}

type compiler struct {
	plan   *Plan
	faults []string
}

func (c *compiler) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// declare collects modules and component names, so that connect can refer to
// components in any order.
func (c *compiler) declare(f *File) {
	if f.Name == "" {
		c.fault("name is missing")
	} else if !flowPattern.MatchString(f.Name) {
		c.fault("name %q: letters, digits, . and - only, at most 100, a letter first", f.Name)
	}
	if len(f.Modules) == 0 {
		c.fault("there are no modules")
	}
	seen := map[string]bool{}
	for m, mf := range f.Modules {
		if !statusPattern.MatchString(mf.Status) || seen[mf.Status] {
			c.fault("module %s: status %q is malformed or used twice", mf.Name, mf.Status)
		}
		seen[mf.Status] = true
		if m+1 < len(f.Modules) && mf.NextStatus != f.Modules[m+1].Status {
			c.fault("module %s: next_status %q is not the next module's status %q", mf.Name, mf.NextStatus, f.Modules[m+1].Status)
		}
		if len(mf.Components) == 0 {
			c.fault("module %s has no components", mf.Name)
		}
		module := Module{Name: mf.Name, Status: mf.Status, Next: mf.NextStatus}
		for _, cf := range mf.Components {
			comp := &Component{Index: len(c.plan.Components), Module: m, Name: cf.Name}
			if !namePattern.MatchString(cf.Name) || strings.EqualFold(cf.Name, "task") {
				c.fault("component name %q: letters, digits and - only, and not task", cf.Name)
			}
			if c.plan.byName[cf.Name] != nil {
				c.fault("component %s is there twice", cf.Name)
			}
			c.plan.byName[cf.Name] = comp
			c.plan.Components = append(c.plan.Components, comp)
			module.Components = append(module.Components, comp.Index)
		}
		c.plan.Modules = append(c.plan.Modules, module)
	}
	if len(c.plan.Components) > maxComponents {
		c.fault("more than %d components", maxComponents)
	}
}

func (c *compiler) connect(f *File) {
	for _, mf := range f.Modules {
		for i := range mf.Components {
			c.fallback(c.plan.byName[mf.Components[i].Name], &mf.Components[i])
		}
	}
	for m, mf := range f.Modules {
		for _, name := range mf.Output {
			if comp, ok := c.gives("module "+mf.Name+": output", name); ok && comp.Module > m {
				c.fault("module %s: output: %s is of a later module", mf.Name, name)
			} else if ok {
				c.plan.Modules[m].Output = append(c.plan.Modules[m].Output, comp.Index)
			}
		}
	}
	for _, mf := range f.Modules {
		for i := range mf.Components {
			cf := &mf.Components[i]
			comp := c.plan.byName[cf.Name]
			c.function(comp, cf)
			c.depends(comp, cf)
			c.inputs(comp, cf)
			c.params(comp, cf)
			c.conditions(comp, cf.When)
			c.policy(comp, cf)
			c.slots(comp, cf)
		}
	}
}

// fallback ties a component to the one that runs in its place.
func (c *compiler) fallback(comp *Component, cf *ComponentFile) {
	if (cf.Fallback != "") != (cf.OnFail == string(FallBack)) {
		c.fault("%s: on_fail: fallback and fallback: COMPONENT belong together", comp.Name)
		return
	}
	if cf.Fallback == "" {
		return
	}
	other := c.plan.byName[cf.Fallback]
	switch {
	case other == nil:
		c.fault("%s: fallback: component %s does not exist", comp.Name, cf.Fallback)
	case other == comp || other.Module != comp.Module:
		c.fault("%s: fallback %s must be another component of the same module", comp.Name, cf.Fallback)
	case other.Instead != nil:
		c.fault("%s: %s is the fallback of %s already", comp.Name, cf.Fallback, other.Instead.Name)
	default:
		comp.Fallback, other.Instead = other, comp
	}
}

// gives finds a component whose files or facts somebody wants. A fallback is
// reached by the name of the component it stands in for.
func (c *compiler) gives(user, name string) (*Component, bool) {
	comp := c.plan.byName[name]
	switch {
	case comp == nil:
		c.fault("%s: component %s does not exist", user, name)
	case comp.Instead != nil:
		c.fault("%s: %s is the fallback of %s; name that", user, name, comp.Instead.Name)
	default:
		return comp, true
	}
	return nil, false
}

func (c *compiler) function(comp *Component, cf *ComponentFile) {
	comp.Async = cf.Async
	if cf.Fn == nil && (cf.Index != nil || cf.Success != nil || cf.Fail != nil) {
		// The published files bind components to outside services by name.
		comp.Fn, comp.Async = job.Service, true
		if cf.Params == nil {
			comp.From = &Ref{Component: -1, Path: []string{"params", comp.Name}, text: "task.params." + comp.Name}
		}
		c.plan.Warnings = append(c.plan.Warnings, fmt.Sprintf("%s names no fn: it is called as %s, asynchronously, with the parameters in %s",
			comp.Name, job.Service, "task.params."+comp.Name))
		return
	}
	if from, ok := source(cf.Fn); ok {
		if from != "task.cmd" {
			c.fault("%s: fn can come from task.cmd only", comp.Name)
		}
		return
	}
	name, ok := cf.Fn.(string)
	if !ok || name == "" {
		c.fault("%s: fn is missing", comp.Name)
	}
	comp.Fn = name
}

func (c *compiler) depends(comp *Component, cf *ComponentFile) {
	for _, name := range cf.Depends {
		if name == "" {
			continue // the published files write depends: [""] for none
		}
		on := c.plan.byName[name]
		switch {
		case on == nil:
			c.fault("%s depends on %s, which does not exist", comp.Name, name)
		case on == comp:
			c.fault("%s depends on itself", comp.Name)
		case on.Fallback == comp:
			c.fault("%s runs when %s has failed and can't depend on it", comp.Name, name)
		case on.Instead != nil:
			c.fault("%s depends on %s, which is the fallback of %s; depend on that", comp.Name, name, on.Instead.Name)
		case on.Module > comp.Module:
			c.fault("%s depends on %s of a later module", comp.Name, name)
		case !slices.Contains(comp.Depends, on.Index):
			comp.Depends = append(comp.Depends, on.Index)
		}
	}
}

func (c *compiler) inputs(comp *Component, cf *ComponentFile) {
	switch in := cf.Inputs.(type) {
	case nil:
	case string:
		if in != "task.inputs" {
			c.fault("%s: inputs must be task.inputs or name slots", comp.Name)
		}
		comp.Passed = true
	case map[string]any:
		c.wires(comp, in)
	default:
		c.fault("%s: inputs must be task.inputs or name slots", comp.Name)
	}
	switch with := cf.With.(type) {
	case nil:
	case map[string]any:
		if !comp.Passed {
			c.fault("%s: with goes beside inputs: task.inputs", comp.Name)
		}
		c.wires(comp, with)
	default:
		c.fault("%s: with must name slots", comp.Name)
	}
}

func (c *compiler) wires(comp *Component, in map[string]any) {
	for _, slot := range slices.Sorted(maps.Keys(in)) {
		all, ok := in[slot].([]any)
		if !ok {
			all = []any{in[slot]}
		}
		for _, one := range all {
			c.wire(comp, slot, one)
		}
	}
}

func (c *compiler) wire(comp *Component, slot string, v any) {
	text, ok := v.(string)
	if !ok {
		c.fault("%s: input %s is not a reference or a list of them", comp.Name, slot)
		return
	}
	wire := Wire{Slot: slot}
	for _, alternative := range strings.Split(text, "|") {
		if ref, ok := c.ref(comp, strings.TrimSpace(alternative)); ok {
			wire.Refs = append(wire.Refs, ref)
		}
	}
	if slices.ContainsFunc(wire.Refs, Ref.Each) && !wire.Each() {
		c.fault("%s: input %s mixes files of each segment with others", comp.Name, slot)
	}
	comp.Inputs = append(comp.Inputs, wire)
}

func (c *compiler) params(comp *Component, cf *ComponentFile) {
	if from, ok := source(cf.Params); ok {
		if ref, ok := c.ref(comp, from); ok {
			if ref.Files() {
				c.fault("%s: params: %s means files, not a value", comp.Name, from)
			}
			comp.From = &ref
		}
		return
	}
	if cf.Params == nil {
		return
	}
	if _, ok := cf.Params.(map[string]any); !ok {
		c.fault("%s: params must be an object or {from: …}", comp.Name)
		return
	}
	raw, err := literal(cf.Params)
	if err != nil {
		c.fault("%s: %v", comp.Name, err)
	}
	comp.Params = raw
}

func (c *compiler) policy(comp *Component, cf *ComponentFile) {
	var err error
	if comp.Timeout, err = parseDuration(cf.Timeout); err != nil {
		c.fault("%s: %v", comp.Name, err)
	}
	switch comp.OnFail = OnFail(cf.OnFail); comp.OnFail {
	case "":
		comp.OnFail = FailTask
	case FailTask, SkipIt, FallBack:
	default:
		c.fault("%s: on_fail must be fail, skip or fallback, not %q", comp.Name, cf.OnFail)
	}
	if cf.Retry != nil {
		if *cf.Retry < 1 || *cf.Retry > 100 {
			c.fault("%s: retry must be 1–100", comp.Name)
		}
		comp.Retry = *cf.Retry
	}
	for _, field := range []struct {
		text string
		to   **Ref
	}{{cf.ForEach, &comp.ForEach}, {cf.Part, &comp.Part}} {
		if field.text == "" {
			continue
		}
		if ref, ok := c.ref(comp, field.text); ok {
			if ref.Files() {
				c.fault("%s: %s is not a list or field of facts", comp.Name, field.text)
			}
			*field.to = &ref
		}
	}
	if comp.ForEach != nil && comp.Part != nil {
		c.fault("%s: for_each and part exclude each other", comp.Name)
	}
}

// slots checks what published files say about slot numbers.
func (c *compiler) slots(comp *Component, cf *ComponentFile) {
	if cf.Index != nil && *cf.Index != comp.Index {
		c.fault("%s: slot_index %d, but it is component %d", comp.Name, *cf.Index, comp.Index)
	}
	for _, n := range []struct {
		name  string
		value any
		bit   int
	}{{"slot_num_success", cf.Success, 2 * comp.Index}, {"slot_num_fail", cf.Fail, 2*comp.Index + 1}} {
		if n.value == nil {
			continue
		}
		got, err := slotNumber(n.value)
		if want := new(big.Int).Lsh(big.NewInt(1), uint(n.bit)); err != nil || got.Cmp(want) != 0 {
			c.fault("%s: %s %v, but its slot gives 2^%d", comp.Name, n.name, n.value, n.bit)
		}
	}
}

// slotNumber reads 64, "64" or "2^14".
func slotNumber(v any) (*big.Int, error) {
	text := fmt.Sprint(v)
	if exp, ok := strings.CutPrefix(text, "2^"); ok {
		n, err := strconv.Atoi(strings.TrimSpace(exp))
		if err != nil || n < 0 || n > 2*maxComponents {
			return nil, fmt.Errorf("bad exponent")
		}
		return new(big.Int).Lsh(big.NewInt(1), uint(n)), nil
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return nil, fmt.Errorf("not a number")
	}
	return n, nil
}

func (c *compiler) finish(f *File) {
	for _, comp := range c.plan.Components {
		for _, wire := range comp.Inputs {
			for _, ref := range wire.Refs {
				if ref.Each() && (comp.ForEach == nil || c.plan.Components[ref.Component].ForEach == nil) {
					c.fault("%s: input %s: %s goes from fan-out to fan-out", comp.Name, wire.Slot, ref)
				}
			}
		}
	}
	c.result(f.Result)
	c.plan.Report = map[string][]Ref{}
	for _, key := range slices.Sorted(maps.Keys(f.Report)) {
		for _, alternative := range strings.Split(f.Report[key], "|") {
			ref, ok := c.ref(nil, strings.TrimSpace(alternative))
			if ok && ref.Files() {
				c.fault("report: %s: %s means files, not a value", key, ref)
			} else if ok {
				c.plan.Report[key] = append(c.plan.Report[key], ref)
			}
		}
	}
}

func (c *compiler) result(entries []any) {
	if entries == nil {
		last := c.plan.Components[len(c.plan.Components)-1]
		for last.Instead != nil {
			last = last.Instead
		}
		entries = []any{last.Name}
	}
	for _, entry := range entries {
		names, ok := entry.([]any)
		if !ok {
			names = []any{entry}
		}
		var group []int
		for _, v := range names {
			name, ok := v.(string)
			if !ok {
				c.fault("result: %v is no name of a component and no list of names", v)
			} else if comp, ok := c.gives("result", name); ok {
				group = append(group, comp.Index)
			}
		}
		if len(names) == 0 {
			c.fault("result: an empty list")
		}
		c.plan.Result = append(c.plan.Result, group)
	}
}
