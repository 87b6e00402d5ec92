package flow_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/flow"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// TestPlans holds the plans of the shipped flows as text.
func TestPlans(t *testing.T) {
	files, err := filepath.Glob("../../flows/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("flows: %v, %v", files, err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := flow.Load(body)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		golden := filepath.Join("testdata", "plans", strings.TrimSuffix(filepath.Base(file), ".yaml")+".txt")
		if *update {
			if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, []byte(draw(p)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), draw(p)); diff != "" {
			t.Errorf("%s (-golden +plan):\n%s", file, diff)
		}
	}
}

func draw(p *flow.Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "flow %s\n", p.Name)
	names := func(all []int) string {
		var out []string
		for _, i := range all {
			out = append(out, p.Components[i].Name)
		}
		return strings.Join(out, ", ")
	}
	for _, m := range p.Modules {
		fmt.Fprintf(&b, "\n%s: %s → %s\n", m.Name, m.Status, m.Next)
		if len(m.Output) > 0 {
			fmt.Fprintf(&b, "  output %s\n", names(m.Output))
		}
		for _, i := range m.Components {
			c := p.Components[i]
			fn := c.Fn
			if fn == "" {
				fn = "(the task's)"
			}
			fmt.Fprintf(&b, "  %d %s = %s\n", c.Index, c.Name, fn)
			line := func(key, value string) {
				if value != "" {
					fmt.Fprintf(&b, "      %s %s\n", key, value)
				}
			}
			line("after", names(c.Depends))
			for _, cond := range c.When {
				line("when", condition(cond))
			}
			if c.Passed {
				line("in", "the task's inputs")
			}
			for _, wire := range c.Inputs {
				var refs []string
				for _, r := range wire.Refs {
					refs = append(refs, r.String())
				}
				line("in", wire.Slot+" ← "+strings.Join(refs, ", else "))
			}
			line("params", string(c.Params))
			for _, r := range []struct {
				key string
				ref *flow.Ref
			}{{"params ←", c.From}, {"part", c.Part}, {"for each", c.ForEach}} {
				if r.ref != nil {
					line(r.key, r.ref.String())
				}
			}
			if c.OnFail == flow.SkipIt {
				line("on fail", string(c.OnFail))
			}
			if c.Fallback != nil {
				line("on fail", c.Fallback.Name)
			}
			if c.Instead != nil {
				line("in place of", c.Instead.Name)
			}
			if c.Async {
				line("answered", "later")
			}
		}
	}
	groups := []string{}
	for _, group := range p.Result {
		groups = append(groups, strings.ReplaceAll(names(group), ", ", " and "))
	}
	fmt.Fprintf(&b, "\nresult: %s\n", strings.Join(groups, ", "))
	keys := []string{}
	for key, refs := range p.Report {
		texts := make([]string, len(refs))
		for i, ref := range refs {
			texts[i] = ref.String()
		}
		keys = append(keys, key+" ← "+strings.Join(texts, " | "))
	}
	slices.Sort(keys)
	fmt.Fprintf(&b, "report: %s\n", strings.Join(keys, ", "))
	return b.String()
}

func condition(c flow.Condition) string {
	text := c.Fact.String()
	if c.Is != nil {
		text += fmt.Sprintf(" = %v", c.Is)
	}
	if c.Above != nil {
		text += fmt.Sprintf(" > %v", *c.Above)
	}
	if c.Below != nil {
		text += fmt.Sprintf(" < %v", *c.Below)
	}
	if c.Not {
		text = "not " + text
	}
	return text
}

// FuzzLoad feeds the parser and compiler any text: it gives a plan that holds
// together, or an error, and never panics.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("../../flows/*.yaml")
	for _, file := range files {
		if body, err := os.ReadFile(file); err == nil {
			f.Add(body)
		}
	}
	f.Add([]byte(one("{component_name: A, fn: x, slot_num_success: '2^0', depends: ['']}")))
	f.Add([]byte("a: &a [*a, *a]\n<<: *a"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := flow.Load(text)
		if err != nil {
			return
		}
		if p.Version == "" || len(p.Modules) == 0 || len(p.Components) == 0 {
			t.Fatalf("an empty plan: %+v", p)
		}
		for i, c := range p.Components {
			if c.Index != i || p.Component(c.Name) != c {
				t.Fatalf("component %d: %+v", i, c)
			}
			if c.Fallback != nil && c.Fallback.Instead != c {
				t.Fatalf("%s and its fallback disagree", c.Name)
			}
			for _, on := range c.Depends {
				if p.Components[on].Module > c.Module {
					t.Fatalf("%s waits for a later module", c.Name)
				}
			}
		}
		draw(p)
	})
}
