// Package flow turns a flow file, which is data, into a checked plan.
//
// A flow is a list of modules that run strictly one after another. A module is
// a set of components; a component runs as soon as the components it depends
// on are done. A component names a function; what flows between components is
// wired by references, and a condition may leave a component out. There is no
// expression language.
package flow

import (
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
	// Result lists the components whose files may be the task's result; the
	// first that ran gives it. Default: the last component.
	Result []string `yaml:"result" json:"result,omitempty"`
	// Report lists references to facts that are part of the task's result.
	Report map[string]string `yaml:"report" json:"report,omitempty"`
}

// ModuleFile is one module as written.
type ModuleFile struct {
	Name       string          `yaml:"module_name" json:"module_name"`
	Status     string          `yaml:"status" json:"status"`
	NextStatus string          `yaml:"next_status" json:"next_status"`
	Components []ComponentFile `yaml:"components" json:"components"`
}

// ComponentFile is one component as written. SlotIndex and the two slot
// numbers are accepted from published files and checked against what the plan
// derives; nobody needs to write them.
type ComponentFile struct {
	Name    string   `yaml:"component_name" json:"component_name"`
	Fn      any      `yaml:"fn" json:"fn"`
	Inputs  any      `yaml:"inputs" json:"inputs,omitempty"`
	Params  any      `yaml:"params" json:"params,omitempty"`
	Part    string   `yaml:"part" json:"part,omitempty"`
	Depends []string `yaml:"depends" json:"depends"`
	When    any      `yaml:"when" json:"when,omitempty"`
	ForEach string   `yaml:"for_each" json:"for_each,omitempty"`
	OnFail  string   `yaml:"on_fail" json:"on_fail,omitempty"`
	Retry   *int     `yaml:"retry" json:"retry,omitempty"`
	Timeout string   `yaml:"timeout" json:"timeout,omitempty"`
	Index   *int     `yaml:"slot_index" json:"slot_index,omitempty"`
	Success any      `yaml:"slot_num_success" json:"slot_num_success,omitempty"`
	Fail    any      `yaml:"slot_num_fail" json:"slot_num_fail,omitempty"`
}

// maxText bounds a flow file: the longest one possible with sense is far shorter.
const maxText = 1 << 20

// Parse reads a flow file. Unknown keys and wrong types are Invalid, more than
// 1 MiB is TooLarge.
func Parse(text []byte) (*File, error) {
	if len(text) > maxText {
		return nil, errs.New(errs.TooLarge, "flow", "a flow file may have at most %d bytes", maxText)
	}
	var f File
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.Strict()); err != nil {
		return nil, errs.New(errs.Invalid, "flow", "%s", strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	return &f, nil
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
