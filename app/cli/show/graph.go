package show

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/core/task/chart"
)

// Graph prints a task's flow as it stands, a line a component.
func Graph(w io.Writer, g *chart.Graph) {
	fmt.Fprintf(w, "task %s: %s\nflow %s, version %s\n", g.TaskID, strings.TrimSuffix(string(g.State)+", "+g.Status, ", "), g.Flow, g.Version)
	var table strings.Builder
	tw := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	module := ""
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Module != module {
			module = n.Module
			fmt.Fprintf(tw, "%s\t\t\t\t\n", module) // of as many columns: a line without ends them
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\n", n.Component, n.Fn, word(n), strings.Join(details(n), ", "), needs(g, n.Component))
	}
	_ = tw.Flush() // into memory
	for line := range strings.Lines(table.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}

// word is a state as people say it. The row of a fan-out waits for its slices;
// who looks at it sees that they run.
func word(n *chart.Node) string {
	switch s := n.Segments; {
	case n.State == chart.LeftOut:
		return "left out"
	case n.State == task.Waiting && s != nil && s.Done+s.Running > 0:
		return string(task.Running)
	}
	return string(n.State)
}

// details say how far a component is, and where.
func details(n *chart.Node) (all []string) {
	if s := n.Segments; s != nil {
		text := fmt.Sprintf("%d of %d done", s.Done, s.Total)
		if s.Reused > 0 {
			text += fmt.Sprintf(", %d reused", s.Reused)
		}
		if s.Running > 0 {
			text += fmt.Sprintf(", %d running", s.Running)
		}
		if s.Failed > 0 {
			text += fmt.Sprintf(", %d failed", s.Failed)
		}
		all = append(all, text)
	}
	if n.Reused {
		all = append(all, "reused")
	}
	if n.Progress != nil {
		all = append(all, fmt.Sprintf("%.0f %%", 100**n.Progress))
	}
	if n.Attempt > 1 || n.State == task.Running && n.Segments == nil {
		all = append(all, fmt.Sprintf("attempt %d", n.Attempt))
	}
	if n.State == task.Running && n.Worker != "" {
		all = append(all, "on "+n.Worker)
	}
	if took := took(n.StartedAt, n.EndedAt); took != "" {
		all = append(all, took)
	}
	if n.Error != nil {
		all = append(all, fault(n.Error))
	}
	return all
}

// needs names what a component comes after.
func needs(g *chart.Graph, name string) string {
	var after []string
	for _, e := range g.Edges {
		switch {
		case e.To != name:
		case e.Kind == "fallback":
			after = append(after, e.From+" failing")
		default:
			after = append(after, e.From)
		}
	}
	if after == nil {
		return ""
	}
	return "after " + strings.Join(after, ", ")
}

// Mermaid prints the graph as a Mermaid diagram.
func Mermaid(w io.Writer, g *chart.Graph) {
	fmt.Fprintln(w, "flowchart LR")
	ids := map[string]string{}
	module := ""
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Module != module {
			if module != "" {
				fmt.Fprintln(w, "  end")
			}
			module = n.Module
			fmt.Fprintf(w, "  subgraph %s\n", quoted(module))
		}
		ids[n.Component] = fmt.Sprintf("n%d", i)
		text := n.Component + "<br>" + strings.Join(append([]string{word(n)}, details(n)...), ", ")
		fmt.Fprintf(w, "    n%d[%s]:::%s\n", i, quoted(text), n.State)
	}
	if module != "" {
		fmt.Fprintln(w, "  end")
	}
	for _, e := range g.Edges {
		arrow := "-->"
		if e.Kind == "fallback" {
			arrow = "-. fallback .->"
		}
		fmt.Fprintf(w, "  %s %s %s\n", ids[e.From], arrow, ids[e.To])
	}
	for _, c := range [][2]string{
		{"succeeded", "fill:#c8e6c9"}, {"running", "fill:#bbdefb"}, {"ready", "fill:#fff9c4"}, {"waiting", "fill:#fff9c4"}, {"failed", "fill:#ffcdd2"},
		{"canceled", "fill:#ffe0b2"}, {"skipped", "fill:#ffe0b2"}, {"left_out", "fill:#eeeeee"}, {"pending", "fill:#ffffff"},
	} {
		fmt.Fprintf(w, "  classDef %s %s\n", c[0], c[1])
	}
}

// quoted is a text as Mermaid takes it.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`"`, "#quot;", "\n", " ", "#", "#35;").Replace(text) + `"`
}
