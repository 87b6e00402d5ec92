package draw

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/core/flow"
)

var update = flag.Bool("update", false, "rewrite the goldens")

func load(file string) (*flow.Plan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return flow.Load(text)
}

// shownPlans are the shipped flows, the ones under testdata/flows, and what others published.
func shownPlans(t *testing.T) map[string]*flow.Plan {
	_, book, err := app.Offer()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*flow.Plan{}
	for _, name := range book.Names() {
		all[name] = book.Get(name)
	}
	files, err := filepath.Glob("testdata/flows/*.yaml")
	published, err2 := filepath.Glob("../../../core/flow/testdata/published/*.json")
	if err != nil || err2 != nil || len(files) == 0 || len(published) == 0 {
		t.Fatalf("no files: %v, %v", err, err2)
	}
	files = append(files, published...)
	for _, file := range files {
		p, err := load(file)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[p.Name] = p
	}
	return all
}

// TestShow holds what flow show prints.
func TestShow(t *testing.T) {
	for name, p := range shownPlans(t) {
		for format, print := range map[string]func(*bytes.Buffer) error{
			"txt": func(b *bytes.Buffer) error { return Text(b, p) },
			"mmd": func(b *bytes.Buffer) error { return Mermaid(b, p) },
			"json": func(b *bytes.Buffer) error {
				e := json.NewEncoder(b)
				e.SetIndent("", "  ")
				e.SetEscapeHTML(false)
				return e.Encode(Values(p))
			},
		} {
			var b bytes.Buffer
			if err := print(&b); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "show", name+"."+format)
			if *update {
				if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("%s (-golden +shown):\n%s", golden, diff)
			}
		}
	}
}

// What a line of a Mermaid flowchart may be, of the grammar's part that is
// used: https://mermaid.js.org/syntax/flowchart.html. A text stands between
// quotes and holds none, and no bare < or > but <br/>; ids are not the word end.
var (
	mermaidLabel    = `"(?:[^"<>\n]|<br/>)+"`
	mermaidSubgraph = regexp.MustCompile(`^subgraph (m\d+)\[` + mermaidLabel + `\]$`)
	mermaidNode     = regexp.MustCompile(`^(c\d+)(?:\[` + mermaidLabel + `\]|\[\[` + mermaidLabel + `\]\]|\(\[` + mermaidLabel + `\]\))$`)
	mermaidEdge     = regexp.MustCompile(`^([mc]\d+) (?:-->|-\. [a-z]+ \.->) ([mc]\d+)$`)
)

// parseMermaid counts nodes and edges of a diagram and fails on anything that
// the rules above do not allow.
func parseMermaid(t *testing.T, text string) (nodes, edges int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != "flowchart TD" {
		t.Fatalf("it begins with %q", lines[0])
	}
	declared, inside := map[string]bool{}, false
	for _, line := range lines[1:] {
		line = strings.TrimSpace(line)
		if m := mermaidSubgraph.FindStringSubmatch(line); m != nil && !inside && !declared[m[1]] {
			declared[m[1]], inside = true, true
		} else if m := mermaidNode.FindStringSubmatch(line); m != nil && inside && !declared[m[1]] {
			declared[m[1]] = true
			nodes++
		} else if line == "end" && inside {
			inside = false
		} else if m := mermaidEdge.FindStringSubmatch(line); m != nil && !inside && declared[m[1]] && declared[m[2]] {
			edges++
		} else {
			t.Fatalf("not Mermaid: %q in\n%s", line, text)
		}
	}
	if inside {
		t.Fatal("a subgraph has no end")
	}
	return nodes, edges
}

func TestMermaid(t *testing.T) {
	plans := shownPlans(t)
	hostile, err := flow.Load([]byte(`{"name": "h", "modules": [{"module_name": "a \"b\"] --> <i>\n#end", "status": "m", "next_status": "n", "components": [{"component_name": "A", "fn": "x\"]"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	plans["h"] = hostile
	for name, p := range plans {
		var b bytes.Buffer
		if err := Mermaid(&b, p); err != nil {
			t.Fatal(err)
		}
		nodes, edges := parseMermaid(t, b.String())
		want := len(p.Modules) - 1
		for _, c := range p.Components {
			want += len(c.Depends)
			if c.Fallback != nil {
				want++
			}
		}
		if nodes != len(p.Components) || edges != want {
			t.Errorf("%s: %d nodes and %d edges of %d components and %d edges", name, nodes, edges, len(p.Components), want)
		}
	}
}
