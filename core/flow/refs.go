package flow

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// taskFields are the roots a task reference may name.
var taskFields = []string{"inputs", "params", "cmd", "extra", "has_outputs", "splits"}

// ref parses a reference used by comp. What a component refers to it waits
// for: a reference to a component of the same module that it does not list in
// depends is a mistake, since the value might not be there yet. comp is nil for
// references of the whole flow.
func (c *compiler) ref(comp *Component, text string) (Ref, bool) {
	path := strings.Split(text, ".")
	user := "the flow"
	if comp != nil {
		user = comp.Name
	}
	if path[0] == "task" {
		if len(path) < 2 || !slices.Contains(taskFields, path[1]) {
			c.fault("%s: %q: task has %s", user, text, strings.Join(taskFields, ", "))
			return Ref{}, false
		}
		if path[1] == "inputs" && len(path) > 2 {
			if n, err := strconv.Atoi(path[2]); err != nil || n < 0 || len(path) > 3 {
				c.fault("%s: %q: task.inputs takes a number", user, text)
				return Ref{}, false
			}
		}
		return Ref{Component: -1, Path: path[1:], text: text}, true
	}
	on := c.plan.byName[path[0]]
	if on == nil {
		c.fault("%s: %q names no component", user, text)
		return Ref{}, false
	}
	if on.Instead != nil {
		c.fault("%s: %s is the fallback of %s; refer to that", user, on.Name, on.Instead.Name)
		return Ref{}, false
	}
	if comp != nil {
		if on.Module > comp.Module || on == comp {
			c.fault("%s: %q is not there yet when it runs", user, text)
			return Ref{}, false
		}
		if on.Module == comp.Module && !slices.Contains(comp.Depends, on.Index) {
			c.fault("%s uses %s and must list it in depends", user, on.Name)
			return Ref{}, false
		}
	}
	return Ref{Component: on.Index, Path: path[1:], text: text}, true
}

func (c *compiler) conditions(comp *Component, v any) {
	switch when := v.(type) {
	case nil:
	case map[string]any:
		c.condition(comp, when)
	case []any:
		for _, item := range when {
			if m, ok := item.(map[string]any); ok {
				c.condition(comp, m)
			} else {
				c.fault("%s: when must be a condition or a list of them", comp.Name)
			}
		}
	default:
		c.fault("%s: when must be a condition or a list of them", comp.Name)
	}
}

func (c *compiler) condition(comp *Component, m map[string]any) {
	cond := Condition{}
	if _, is := m["is"]; is && (m["above"] != nil || m["below"] != nil) {
		c.fault("%s: when: is excludes above and below", comp.Name)
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		v := m[key]
		switch key {
		case "fact":
			text, _ := v.(string)
			ref, ok := c.ref(comp, text)
			if !ok {
				return
			}
			if ref.Files() {
				c.fault("%s: when: %s is not a fact", comp.Name, text)
			}
			cond.Fact = ref
		case "is":
			cond.Is = plain(v)
			switch cond.Is.(type) {
			case bool, float64, string:
			default:
				c.fault("%s: when: is must be true, false, a number or a text", comp.Name)
			}
		case "not":
			not, ok := v.(bool)
			if !ok {
				c.fault("%s: when: not must be true or false", comp.Name)
			}
			cond.Not = not
		case "above", "below":
			n, ok := plain(v).(float64)
			if !ok {
				c.fault("%s: when: %s must be a number", comp.Name, key)
			}
			if key == "above" {
				cond.Above = &n
			} else {
				cond.Below = &n
			}
		default:
			c.fault("%s: when: unknown key %s (fact, is, not, above, below)", comp.Name, key)
		}
	}
	if cond.Fact.Path == nil {
		c.fault("%s: when: fact is missing", comp.Name)
	}
	comp.When = append(comp.When, cond)
}

// plain turns the YAML reader's integers into the float64 that JSON facts
// decode to, so that both compare equal.
func plain(v any) any {
	switch n := v.(type) {
	case int:
		return float64(n)
	case int64:
		return float64(n)
	case uint64:
		return float64(n)
	}
	return v
}

// order finds cycles: inside a module depends may point forward in the file.
func (c *compiler) order() bool {
	state := make([]int, len(c.plan.Components)) // 0 new, 1 on the path, 2 done
	var visit func(i int) bool
	visit = func(i int) bool {
		if state[i] != 0 {
			return state[i] == 2
		}
		state[i] = 1
		comp := c.plan.Components[i]
		for _, on := range comp.Depends {
			if !visit(on) {
				return false
			}
		}
		if comp.Fallback != nil && !visit(comp.Fallback.Index) { // it returns when its fallback has
			return false
		}
		state[i] = 2
		return true
	}
	for i, comp := range c.plan.Components {
		if !visit(i) {
			c.fault("%s depends on itself through others", comp.Name)
			return false
		}
	}
	return true
}

// Holds compares the condition with the fact's value, as JSON decodes it; a
// missing fact is nil. A missing fact is never true, equal, above or below.
func (c *Condition) Holds(value any) bool {
	ok := false
	switch n, isNumber := value.(float64); {
	case c.Above != nil || c.Below != nil:
		ok = isNumber && (c.Above == nil || n > *c.Above) && (c.Below == nil || n < *c.Below)
	case c.Is != nil:
		ok = reflect.DeepEqual(value, c.Is) || (c.Is == false && value == nil)
	default:
		ok = value == true
	}
	return ok != c.Not
}
