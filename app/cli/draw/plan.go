// Package draw shows plans of flows: as a table, a diagram, or values for JSON.
package draw

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/task"
)

// shownModule is a module as JSON shows it. Slots are words in hexadecimal,
// lowest first, separated by dots.
type shownModule struct {
	Name       string           `json:"module_name"`
	Status     string           `json:"status"`
	Next       string           `json:"next_status"`
	Mask       string           `json:"mask"` // return slots that are set when it has ended
	Output     []string         `json:"output,omitempty"`
	Components []shownComponent `json:"components"`
}

type shownComponent struct {
	Name     string          `json:"component_name"`
	Step     int             `json:"step"` // of its module, from 1
	Fn       string          `json:"fn"`
	Async    bool            `json:"async,omitempty"`
	Index    int             `json:"slot_index"`
	Bits     [2]int          `json:"bits"` // succeeded, failed
	Success  string          `json:"slot_success"`
	Fail     string          `json:"slot_fail"`
	Depends  []string        `json:"depends"`
	Needs    string          `json:"needs"` // return slots that must be set before it runs
	ForEach  string          `json:"for_each,omitempty"`
	Part     string          `json:"part,omitempty"`
	When     []string        `json:"when,omitempty"`
	Params   json.RawMessage `json:"params,omitempty"`
	OnFail   flow.OnFail     `json:"on_fail"`
	Fallback string          `json:"fallback,omitempty"`
	Instead  string          `json:"in_place_of,omitempty"`
}

// Values is a plan for JSON.
func Values(p *flow.Plan) any {
	modules := []shownModule{}
	for m := range p.Modules {
		mod := &p.Modules[m]
		s := shownModule{Name: mod.Name, Status: mod.Status, Next: mod.Next, Mask: mask(mod.Components).String(), Output: names(p, mod.Output)}
		for _, c := range inOrder(p, mod) {
			s.Components = append(s.Components, shown(p, c))
		}
		modules = append(modules, s)
	}
	return map[string]any{
		"name": p.Name, "version": p.Version, "summary": p.Summary, "modules": modules, "result": resultNames(p), "warnings": append([]string{}, p.Warnings...),
	}
}

func shown(p *flow.Plan, c *flow.Component) shownComponent {
	s := shownComponent{
		Name: c.Name, Step: step(p, c), Fn: functionName(c), Async: c.Async, Index: c.Index, Bits: [2]int{2 * c.Index, 2*c.Index + 1},
		Depends: names(p, c.Depends),
		Success: task.Slots(nil).Set(c.Index, task.Success).String(), Fail: task.Slots(nil).Set(c.Index, task.Failure).String(),
		Needs: mask(c.Depends).String(), Params: c.Params, OnFail: c.OnFail,
	}
	if c.ForEach != nil {
		s.ForEach = c.ForEach.String()
	}
	if c.Part != nil {
		s.Part = c.Part.String()
	}
	if c.Fallback != nil {
		s.Fallback = c.Fallback.Name
	}
	if c.Instead != nil {
		s.Instead = c.Instead.Name
	}
	for i := range c.When {
		s.When = append(s.When, conditionText(&c.When[i]))
	}
	return s
}

// notes is what the columns of a component do not say.
func (s *shownComponent) notes() string {
	var all []string
	add := func(yes bool, text string) {
		if yes {
			all = append(all, text)
		}
	}
	add(s.Instead != "", "in place of "+s.Instead)
	add(s.Async, "answered later")
	add(s.ForEach != "", "for each "+s.ForEach)
	add(s.Part != "", "part "+s.Part)
	add(len(s.When) > 0, "when "+strings.Join(s.When, " and "))
	add(s.OnFail == flow.SkipIt, "left out if it fails")
	add(s.Fallback != "", s.Fallback+" if it fails")
	return strings.Join(all, "; ")
}

// Text prints a plan as a table: order, slots with their bits, and masks.
func Text(w io.Writer, p *flow.Plan) error {
	fmt.Fprintf(w, "%s  version %s\n", p.Name, p.Version)
	if p.Summary != "" {
		fmt.Fprintln(w, p.Summary)
	}
	for m := range p.Modules {
		mod := &p.Modules[m]
		fmt.Fprintf(w, "\nmodule %s  status %s → %s  mask %s\n", mod.Name, mod.Status, mod.Next, mask(mod.Components))
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "  STEP\tCOMPONENT\tFUNCTION\tSLOT\tBITS\tSUCCESS\tFAIL\tNEEDS\tDEPENDS\tNOTES")
		for _, c := range inOrder(p, mod) {
			s := shown(p, c)
			fmt.Fprintf(tw, "  %d\t%s\t%s\t%d\t%d,%d\t%s\t%s\t%s\t%s\t%s\n", s.Step, s.Name, s.Fn, s.Index, s.Bits[0], s.Bits[1],
				s.Success, s.Fail, dash(s.Needs), dash(strings.Join(s.Depends, " ")), dash(s.notes()))
		}
		if err := tw.Flush(); err != nil {
			return errs.As(errs.Internal, "output", err)
		}
		if len(mod.Output) > 0 {
			fmt.Fprintf(w, "  leaves at its end: %s\n", strings.Join(names(p, mod.Output), ", "))
		}
	}
	fmt.Fprintf(w, "\nresult: the first that ran of %s\n", strings.Join(resultNames(p), ", "))
	for _, text := range p.Warnings {
		fmt.Fprintf(w, "warning: %s\n", text)
	}
	return nil
}

// Mermaid draws a plan: a box a module, an arrow a dependency, a dotted arrow a
// fallback. A double frame is fanned out, a round one answers later.
func Mermaid(w io.Writer, p *flow.Plan) error {
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	for m := range p.Modules {
		mod := &p.Modules[m]
		fmt.Fprintf(&b, "  subgraph m%d[\"%s: %s\"]\n", m, mermaidText(mod.Name), mod.Status)
		for _, i := range mod.Components {
			c := p.Components[i]
			open, shut := `["`, `"]`
			switch {
			case c.ForEach != nil:
				open, shut = `[["`, `"]]`
			case c.Async:
				open, shut = `(["`, `"])`
			}
			fmt.Fprintf(&b, "    c%d%s%s<br/>%s%s\n", i, open, c.Name, mermaidText(functionName(c)), shut)
		}
		b.WriteString("  end\n")
	}
	for m := 1; m < len(p.Modules); m++ {
		fmt.Fprintf(&b, "  m%d --> m%d\n", m-1, m)
	}
	for _, c := range p.Components {
		for _, on := range c.Depends {
			fmt.Fprintf(&b, "  c%d --> c%d\n", on, c.Index)
		}
		if c.Fallback != nil {
			fmt.Fprintf(&b, "  c%d -. fails .-> c%d\n", c.Index, c.Fallback.Index)
		}
	}
	_, err := io.WriteString(w, b.String())
	return errs.As(errs.Internal, "output", err)
}

// mermaidText makes any text one that may stand between quotes in a diagram.
func mermaidText(text string) string {
	return strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;", "#", "#35;", "\n", " ", "\r", " ").Replace(text)
}

// inOrder lists a module's components by step.
func inOrder(p *flow.Plan, m *flow.Module) []*flow.Component {
	all := []*flow.Component{}
	for _, i := range m.Components {
		all = append(all, p.Components[i])
	}
	slices.SortStableFunc(all, func(a, b *flow.Component) int { return step(p, a) - step(p, b) })
	return all
}

// step is how many components of its module must end one after another before
// c can run, plus one.
func step(p *flow.Plan, c *flow.Component) int {
	deepest := 0
	if c.Instead != nil {
		deepest = step(p, c.Instead)
	}
	for _, on := range c.Depends {
		d := p.Components[on]
		if d.Module != c.Module {
			continue
		}
		for ; d.Fallback != nil; d = d.Fallback {
		}
		deepest = max(deepest, step(p, d))
	}
	return deepest + 1
}

func mask(components []int) task.Slots {
	var s task.Slots
	for _, i := range components {
		s = s.Set(i, task.Success)
	}
	return s
}

func names(p *flow.Plan, indexes []int) []string {
	out := make([]string, len(indexes))
	for i, index := range indexes {
		out[i] = p.Components[index].Name
	}
	return out
}

// resultNames lists what may be the result; what counts together is joined.
func resultNames(p *flow.Plan) []string {
	all := []string{}
	for _, group := range p.Result {
		all = append(all, strings.Join(names(p, group), " + "))
	}
	return all
}

func functionName(c *flow.Component) string {
	if c.Fn == "" {
		return "task.cmd"
	}
	return c.Fn
}

func conditionText(c *flow.Condition) string {
	text := c.Fact.String()
	switch {
	case c.Above != nil || c.Below != nil:
		if c.Above != nil {
			text += " > " + strconv.FormatFloat(*c.Above, 'f', -1, 64)
		}
		if c.Below != nil {
			text += " < " + strconv.FormatFloat(*c.Below, 'f', -1, 64)
		}
	case c.Is != nil:
		text += fmt.Sprintf(" = %v", c.Is)
	}
	if c.Not {
		text = "not " + text
	}
	return text
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
