package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/task"
)

type flowCmd struct {
	Check flowCheckCmd `cmd:"" help:"Check flow files."`
	Show  flowShowCmd  `cmd:"" help:"Show the plan of a flow."`
}

type flowCheckCmd struct {
	Files []string `arg:"" name:"file" help:"Flow files, YAML or JSON."`
}

// Run checks every file and reports all that is wrong.
func (f *flowCheckCmd) Run(_ context.Context, std *std) error {
	functions, _, err := app.Offer()
	if err != nil {
		return err
	}
	wrong := 0
	for _, path := range f.Files {
		plan, err := loadFlow(path)
		if err == nil {
			err = plan.Check(functions)
		}
		if err != nil {
			wrong++
			fmt.Fprintf(std.err, "mediafn: %s: %v\n", path, err)
			continue
		}
		fmt.Fprintf(std.out, "%s: flow %s, version %s, %d modules, %d components\n", path, plan.Name, plan.Version, len(plan.Modules), len(plan.Components))
	}
	if wrong > 0 {
		return errs.As(errs.Invalid, "flow check", errSilent)
	}
	return nil
}

func loadFlow(path string) (*flow.Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		var inner *os.PathError
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, errs.As(errs.NotFound, "", err)
	}
	return flow.Load(text)
}

type flowShowCmd struct {
	Name    string `arg:"" help:"Name of a flow, or a flow file."`
	Mermaid bool   `name:"mermaid" env:"-" help:"Print a Mermaid diagram."`
	JSON    bool   `name:"json" env:"-" help:"Print JSON."`
}

// Run shows a plan.
func (f *flowShowCmd) Run(_ context.Context, std *std) error {
	_, book, err := app.Offer()
	if err != nil {
		return err
	}
	plan := book.Get(f.Name)
	if plan == nil {
		if _, serr := os.Stat(f.Name); serr != nil {
			return unknown("name", "flow or file", f.Name, book.Names())
		}
		if plan, err = loadFlow(f.Name); err != nil {
			return errs.Wrap(f.Name, err)
		}
	}
	switch {
	case f.Mermaid:
		return mermaid(std.out, plan)
	case f.JSON:
		return printJSON(std.out, planShown(plan))
	}
	return printPlan(std.out, plan)
}

// shownComponent is a component as JSON shows it.
type shownComponent struct {
	Name    string          `json:"component_name"`
	Module  string          `json:"module_name"`
	Fn      string          `json:"fn"`
	Index   int             `json:"slot_index"`
	Depends []string        `json:"depends"`
	Success string          `json:"slot_success"` // words in hexadecimal, lowest first
	Fail    string          `json:"slot_fail"`
	Needs   string          `json:"needs"` // return slots that must be set before it runs
	ForEach string          `json:"for_each,omitempty"`
	Part    string          `json:"part,omitempty"`
	When    []string        `json:"when,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	OnFail  flow.OnFail     `json:"on_fail"`
}

func planShown(p *flow.Plan) any {
	all := []shownComponent{}
	for _, c := range inOrder(p) {
		all = append(all, shown(p, c))
	}
	return map[string]any{"name": p.Name, "version": p.Version, "summary": p.Summary, "components": all, "result": resultNames(p)}
}

func shown(p *flow.Plan, c *flow.Component) shownComponent {
	s := shownComponent{
		Name: c.Name, Module: p.Modules[c.Module].Name, Fn: functionName(c), Index: c.Index, Depends: names(p, c.Depends),
		Success: task.Slots(nil).Set(c.Index, task.Success).String(), Fail: task.Slots(nil).Set(c.Index, task.Failure).String(),
		Needs: mask(c.Depends).String(), Params: c.Params, OnFail: c.OnFail,
	}
	if c.ForEach != nil {
		s.ForEach = c.ForEach.String()
	}
	if c.Part != nil {
		s.Part = c.Part.String()
	}
	for i := range c.When {
		s.When = append(s.When, conditionText(&c.When[i]))
	}
	return s
}

func printPlan(w io.Writer, p *flow.Plan) error {
	fmt.Fprintf(w, "%s  version %s\n", p.Name, p.Version)
	if p.Summary != "" {
		fmt.Fprintln(w, p.Summary)
	}
	for m := range p.Modules {
		mod := &p.Modules[m]
		fmt.Fprintf(w, "\nmodule %s  status %s → %s  mask %s\n", mod.Name, mod.Status, mod.Next, mask(mod.Components))
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "  STEP\tCOMPONENT\tFUNCTION\tSLOT\tSUCCESS\tFAIL\tNEEDS\tDEPENDS\tNOTES")
		for _, c := range inOrder(p) {
			if c.Module != m {
				continue
			}
			s := shown(p, c)
			notes := []string{}
			for label, text := range map[string]string{"for each ": s.ForEach, "part ": s.Part} {
				if text != "" {
					notes = append(notes, label+text)
				}
			}
			if len(s.When) > 0 {
				notes = append(notes, "when "+strings.Join(s.When, " and "))
			}
			if s.OnFail == flow.SkipIt {
				notes = append(notes, "left out if it fails")
			}
			fmt.Fprintf(tw, "  %d\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", step(p, c), s.Name, s.Fn, s.Index, s.Success, s.Fail, dash(s.Needs),
				dash(strings.Join(s.Depends, " ")), strings.Join(notes, "; "))
		}
		if err := tw.Flush(); err != nil {
			return errs.As(errs.Internal, "output", err)
		}
	}
	fmt.Fprintf(w, "\nresult: the first that ran of %s\n", strings.Join(resultNames(p), ", "))
	return nil
}

// mermaid draws a plan: a box a module, an arrow a dependency.
func mermaid(w io.Writer, p *flow.Plan) error {
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	for m := range p.Modules {
		mod := &p.Modules[m]
		fmt.Fprintf(&b, "  subgraph m%d[\"%s: %s\"]\n", m, mod.Name, mod.Status)
		for _, i := range mod.Components {
			c := p.Components[i]
			open, shut := `["`, `"]`
			if c.ForEach != nil {
				open, shut = `[["`, `"]]`
			}
			fmt.Fprintf(&b, "    c%d%s%s<br/>%s%s\n", i, open, c.Name, functionName(c), shut)
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
	}
	_, err := io.WriteString(w, b.String())
	return errs.As(errs.Internal, "output", err)
}

// inOrder lists components by module and step.
func inOrder(p *flow.Plan) []*flow.Component {
	all := slices.Clone(p.Components)
	slices.SortStableFunc(all, func(a, b *flow.Component) int {
		if a.Module != b.Module {
			return a.Module - b.Module
		}
		return step(p, a) - step(p, b)
	})
	return all
}

// step is how many components of its module must end one after another before
// c can run, plus one.
func step(p *flow.Plan, c *flow.Component) int {
	deepest := 0
	for _, on := range c.Depends {
		if d := p.Components[on]; d.Module == c.Module {
			deepest = max(deepest, step(p, d))
		}
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
			text += " > " + number(*c.Above)
		}
		if c.Below != nil {
			text += " < " + number(*c.Below)
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
