package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
)

// paramRow is one parameter as tables show it; members of objects have rows of
// their own.
type paramRow struct{ name, kind, preset, bounds, unit, help string }

func rows(s fn.Schema, prefix string) []paramRow {
	var all []paramRow
	for i := range s {
		p := &s[i]
		all = append(all, paramRow{
			name: prefix + p.Name, kind: typeText(p), preset: presetText(p), bounds: boundsText(p), unit: unitText(p), help: helpText(p),
		})
		all = append(all, rows(p.Fields, prefix+p.Name+".")...)
		if p.Item != nil {
			all = append(all, rows(p.Item.Fields, prefix+p.Name+"[].")...)
		}
	}
	return all
}

func typeText(p *fn.Param) string {
	if p.Item != nil {
		return "list of " + typeText(p.Item)
	}
	return string(p.Type)
}

func presetText(p *fn.Param) string {
	switch {
	case p.Required:
		return "required"
	case p.Default == nil:
		return ""
	}
	text, err := json.Marshal(p.Default)
	if err != nil {
		return fmt.Sprint(p.Default)
	}
	return string(text)
}

// boundsText is the values a parameter takes. Of a list it is the number of its
// elements and what each may be.
func boundsText(p *fn.Param) string {
	var parts []string
	switch what := map[fn.Type]string{fn.String: " characters", fn.Array: " elements"}[p.Type]; {
	case p.Min != nil && p.Max != nil:
		parts = append(parts, number(*p.Min)+"–"+number(*p.Max)+what)
	case p.Min != nil:
		parts = append(parts, "≥ "+number(*p.Min)+what)
	case p.Max != nil:
		parts = append(parts, "≤ "+number(*p.Max)+what)
	}
	if p.Enum != nil {
		shown := make([]string, len(p.Enum))
		for i, v := range p.Enum {
			if shown[i] = v; v == "" {
				shown[i] = `""`
			}
		}
		parts = append(parts, strings.Join(shown, ", "))
	}
	if p.Pattern != "" {
		parts = append(parts, "matches "+p.Pattern)
	}
	if p.Item != nil {
		if each := boundsText(p.Item); each != "" {
			parts = append(parts, "each "+each)
		}
	}
	return strings.Join(parts, "; ")
}

func unitText(p *fn.Param) string {
	if p.Unit == "" && p.Item != nil {
		return p.Item.Unit
	}
	return p.Unit
}

func helpText(p *fn.Param) string {
	if p.Example == "" {
		return p.Help
	}
	return p.Help + "; as " + p.Example
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// markdown prints the reference of all functions. It depends on declarations
// alone, not on the tools of this machine.
func markdown(w io.Writer, menu *fn.Registry) error {
	var b strings.Builder
	b.WriteString("# Functions\n\nWritten by `mediafn functions --markdown`; a test compares. Parameters are given as `-p name=value`, or as the\n" +
		"object `params` of a request. A range counts characters of a string and elements of a list.\n\n")
	b.WriteString("| function | signature | |\n|---|---|---|\n")
	for _, s := range offered(menu) {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", s.Name, anchor(s.Name), cell(signature(s)), cell(s.Summary))
	}
	for _, s := range offered(menu) {
		section(&b, s)
	}
	var hidden []string
	for _, name := range menu.Names() {
		if f, err := menu.Get(name); err == nil && f.Spec().Hidden {
			hidden = append(hidden, fmt.Sprintf("- `%s`: %s", name, f.Spec().Summary))
		}
	}
	if len(hidden) > 0 {
		b.WriteString("\n## Parts of flows\n\nThese can't be called alone.\n\n" + strings.Join(hidden, "\n") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return errs.As(errs.Internal, "output", err)
}

func section(b *strings.Builder, s *fn.Spec) {
	fmt.Fprintf(b, "\n## %s\n\n%s", s.Name, strings.TrimSuffix(s.Summary, ".")+".")
	if s.Doc != "" {
		b.WriteString(" " + s.Doc)
	}
	fmt.Fprintf(b, "\n\nVersion %s, pool %s, purity %s, slicing %s.\n\n", s.Version, s.Pool, s.Purity, s.Slicing.Mode)
	for _, slot := range s.Inputs {
		fmt.Fprintf(b, "- in `%s`: %s, %s%s\n", slot.Name, kinds(slot.Kinds), count(slot), colon(slot.Help))
	}
	for _, slot := range s.Outputs {
		fmt.Fprintf(b, "- out `%s`: %s, %s%s\n", slot.Name, kinds(slot.Kinds), count(slot), colon(slot.Help))
	}
	if len(s.Params) == 0 {
		b.WriteString("\nNo parameters.\n")
		return
	}
	b.WriteString("\n| parameter | type | default | range | unit | |\n|---|---|---|---|---|---|\n")
	for _, p := range rows(s.Params, "") {
		preset := p.preset
		if preset != "" && preset != "required" {
			preset = "`" + preset + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", p.name, p.kind, cell(preset), cell(p.bounds), cell(p.unit), cell(p.help))
	}
}

func colon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// anchor is the link name GitHub gives a heading.
func anchor(name string) string { return strings.ReplaceAll(strings.ToLower(name), ".", "") }

// cell keeps a text inside its table cell.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(text)
}
