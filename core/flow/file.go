// Package flow turns a flow file, which is data, into a checked plan.
//
// A flow is a list of modules that run strictly one after another. A module is
// a set of components; a component runs as soon as the components it depends
// on are done. A component names a function; what flows between components is
// wired by references, and a condition may leave a component out. There is no
// expression language.
package flow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/mediafn/mediafn/core/errs"
)

// File is a flow as written, in YAML or JSON.
type File struct {
	Name    string       `yaml:"name" json:"name"`
	Summary string       `yaml:"summary" json:"summary,omitempty"`
	Modules []ModuleFile `yaml:"modules" json:"modules"`
	// Result lists what may be the task's result: names of components, or lists
	// of names that give it together. The first entry of which one ran counts.
	// Default: the last component.
	Result []any `yaml:"result" json:"result,omitempty"`
	// Report lists references to facts that are part of the task's result.
	Report map[string]string `yaml:"report" json:"report,omitempty"`
}

// ModuleFile is one module as written.
type ModuleFile struct {
	Name       string          `yaml:"module_name" json:"module_name"`
	Status     string          `yaml:"status" json:"status"`
	NextStatus string          `yaml:"next_status" json:"next_status"`
	Components []ComponentFile `yaml:"components" json:"components"`
	// Output lists components whose files and facts leave when the module ends.
	Output []string `yaml:"output" json:"output,omitempty"`
}

// ComponentFile is one component as written. SlotIndex and the two slot
// numbers are accepted from published files and checked against what the plan
// derives; nobody needs to write them.
type ComponentFile struct {
	Name     string   `yaml:"component_name" json:"component_name"`
	Fn       any      `yaml:"fn" json:"fn"`
	Async    bool     `yaml:"async" json:"async,omitempty"`
	Inputs   any      `yaml:"inputs" json:"inputs,omitempty"`
	With     any      `yaml:"with" json:"with,omitempty"`
	Params   any      `yaml:"params" json:"params,omitempty"`
	Part     string   `yaml:"part" json:"part,omitempty"`
	Depends  []string `yaml:"depends" json:"depends"`
	When     any      `yaml:"when" json:"when,omitempty"`
	ForEach  string   `yaml:"for_each" json:"for_each,omitempty"`
	OnFail   string   `yaml:"on_fail" json:"on_fail,omitempty"`
	Fallback string   `yaml:"fallback" json:"fallback,omitempty"`
	Retry    *int     `yaml:"retry" json:"retry,omitempty"`
	Timeout  string   `yaml:"timeout" json:"timeout,omitempty"`
	Index    *int     `yaml:"slot_index" json:"slot_index,omitempty"`
	Success  any      `yaml:"slot_num_success" json:"slot_num_success,omitempty"`
	Fail     any      `yaml:"slot_num_fail" json:"slot_num_fail,omitempty"`
}

// maxText bounds a flow file: the longest one possible with sense is far shorter.
const maxText = 1 << 20

// Parse reads a flow file. Unknown keys and wrong types are Invalid, more than
// 1 MiB is TooLarge. JSON may hold // comments, as the published files do.
func Parse(text []byte) (*File, error) {
	if len(text) > maxText {
		return nil, errs.New(errs.TooLarge, "flow", "a flow file may have at most %d bytes", maxText)
	}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		text = uncomment(text)
	}
	var f File
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.Strict()); err != nil {
		return nil, errs.New(errs.Invalid, "flow", "%s", strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	return &f, nil
}

// uncomment blanks // comments of a JSON text: outside strings, and not in the
// middle of a word, since a YAML text in braces may hold a bare URL.
func uncomment(text []byte) []byte {
	out := bytes.Clone(text)
	inString := false
	for i := 0; i < len(out); i++ {
		switch {
		case inString && out[i] == '\\':
			i++
		case out[i] == '"':
			inString = !inString
		case !inString && bytes.HasPrefix(out[i:], []byte("//")) && (i == 0 || bytes.IndexByte([]byte(" \t\r\n,[]{}"), out[i-1]) >= 0):
			for ; i < len(out) && out[i] != '\n'; i++ {
				out[i] = ' '
			}
		}
	}
	return out
}

// Load parses and compiles.
func Load(text []byte) (*Plan, error) {
	f, err := Parse(text)
	if err != nil {
		return nil, err
	}
	return Compile(f)
}

// source is the "{from: ref}" form of a field.
func source(v any) (string, bool) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return "", false
	}
	from, ok := m["from"].(string)
	return from, ok
}

func parseDuration(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("timeout %q is not a positive duration such as 90s", s)
	}
	return d, nil
}

// literal renders a params object written in the file as JSON.
func literal(v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("params: %w", err)
	}
	return raw, nil
}
