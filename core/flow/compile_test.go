package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
)

// one is a flow of one module with the given components, in YAML flow style.
func one(components ...string) string {
	return "name: f\nmodules:\n- {module_name: M, status: m, next_status: done, components: [" + strings.Join(components, ", ") + "]}\n"
}

func two(first, second string) string {
	return "name: f\nmodules:\n- {module_name: M, status: m, next_status: n, components: [" + first + "]}\n" +
		"- {module_name: N, status: n, next_status: done, components: [" + second + "]}\n"
}

const a = "{component_name: A, fn: x.a}"

func TestMistakes(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"not yaml", "{", "1:"},
		{"empty", "", "name is missing"},
		{"unknown key", "name: f\nmodule: []", "module"},
		{"wrong type", "name: f\nmodules: 3", "modules"},
		{"no modules", "name: f", "there are no modules"},
		{"no components", "name: f\nmodules: [{module_name: M, status: m}]", "has no components"},
		{"bad status", "name: f\nmodules: [{module_name: M, status: M_1, components: [" + a + "]}]", "malformed"},
		{"status twice", strings.ReplaceAll(two(a, strings.Replace(a, "A", "B", 1)), "n, next_status: done", "m, next_status: done"), "used twice"},
		{"next status", strings.Replace(two(a, strings.Replace(a, "A", "B", 1)), "next_status: n", "next_status: x", 1), "is not the next module's"},
		{"name with _", one("{component_name: A_B, fn: x}"), "letters, digits and - only"},
		{"name is task", one("{component_name: Task, fn: x}"), "not task"},
		{"name twice", one(a, a), "is there twice"},
		{"no fn", one("{component_name: A}"), "fn is missing"},
		{"fn from", one("{component_name: A, fn: {from: task.params}}"), "task.cmd only"},
		{"depends on nothing", one("{component_name: A, fn: x, depends: [B]}"), "does not exist"},
		{"depends on itself", one("{component_name: A, fn: x, depends: [A]}"), "depends on itself"},
		{"depends later", two("{component_name: A, fn: x, depends: [B]}", "{component_name: B, fn: x}"), "later module"},
		{"cycle", one("{component_name: A, fn: x, depends: [B]}", "{component_name: B, fn: x, depends: [C]}",
			"{component_name: C, fn: x, depends: [A]}"), "depends on itself through others"},
		{"inputs text", one("{component_name: A, fn: x, inputs: task.params}"), "inputs must be task.inputs"},
		{"inputs list", one("{component_name: A, fn: x, inputs: [a]}"), "inputs must be task.inputs"},
		{"input number", one("{component_name: A, fn: x, inputs: {in: 3}}"), "is not a reference"},
		{"input unknown", one("{component_name: A, fn: x, inputs: {in: B}}"), "names no component"},
		{"input itself", one("{component_name: A, fn: x, inputs: {in: A}}"), "not there yet"},
		{"input undeclared", one(a, "{component_name: B, fn: x, inputs: {in: A}}"), "must list it in depends"},
		{"input later", two("{component_name: A, fn: x, inputs: {in: B}}", "{component_name: B, fn: x}"), "not there yet"},
		{"alternative unknown", one("{component_name: A, fn: x, inputs: {in: task.inputs | B}}"), "names no component"},
		{"task field", one("{component_name: A, fn: x, inputs: {in: task.x}}"), "task has inputs"},
		{"task input", one("{component_name: A, fn: x, inputs: {in: task.inputs.x}}"), "takes a number"},
		{"task input deep", one("{component_name: A, fn: x, inputs: {in: task.inputs.0.url}}"), "takes a number"},
		{"params text", one("{component_name: A, fn: x, params: 3}"), "params must be an object"},
		{"params from files", one("{component_name: A, fn: x, params: {from: task.inputs}}"), "means files"},
		{"params number", one("{component_name: A, fn: x, params: {a: .inf}}"), "params"},
		{"timeout", one("{component_name: A, fn: x, timeout: 3}"), "is not a positive duration"},
		{"timeout negative", one("{component_name: A, fn: x, timeout: -3s}"), "is not a positive duration"},
		{"on_fail", one("{component_name: A, fn: x, on_fail: ignore}"), "on_fail must be"},
		{"retry", one("{component_name: A, fn: x, retry: 0}"), "retry must be 1–100"},
		{"for_each files", two(a, "{component_name: B, fn: x, for_each: A}"), "is not a list or field"},
		{"for_each and part", two(a, "{component_name: B, fn: x, for_each: A.l, part: A.p}"), "exclude each other"},
		{"with alone", one("{component_name: A, fn: x, with: {in: task.inputs}}"), "with goes beside inputs: task.inputs"},
		{"with text", one("{component_name: A, fn: x, inputs: task.inputs, with: a}"), "with must name slots"},
		{"each of one", two(a, "{component_name: B, fn: x, inputs: {in: A.each}, for_each: A.l}"), "from fan-out to fan-out"},
		{"each for one", two("{component_name: A, fn: x, for_each: task.params.l}", "{component_name: B, fn: x, inputs: {in: A.each}}"), "from fan-out to fan-out"},
		{"each and all", two("{component_name: A, fn: x, for_each: task.params.l}", "{component_name: B, fn: x, inputs: {in: A.each | A}, for_each: A.l}"), "mixes files"},
		{"when text", one("{component_name: A, fn: x, when: yes please}"), "when must be a condition"},
		{"when list", one("{component_name: A, fn: x, when: [a]}"), "when must be a condition"},
		{"when no fact", one("{component_name: A, fn: x, when: {is: 3}}"), "fact is missing"},
		{"when files", two(a, "{component_name: B, fn: x, when: {fact: A}}"), "is not a fact"},
		{"when key", two(a, "{component_name: B, fn: x, when: {fact: A.b, equals: 1}}"), "unknown key equals"},
		{"when above", two(a, "{component_name: B, fn: x, when: {fact: A.b, above: x}}"), "must be a number"},
		{"when not", two(a, "{component_name: B, fn: x, when: {fact: A.b, not: 1}}"), "not must be true or false"},
		{"when is list", two(a, "{component_name: B, fn: x, when: {fact: A.b, is: [1]}}"), "is must be"},
		{"when both", two(a, "{component_name: B, fn: x, when: {fact: A.b, is: 1, below: 2}}"), "excludes"},
		{"slot index", one("{component_name: A, fn: x, slot_index: 1}"), "slot_index 1, but it is component 0"},
		{"slot success", one("{component_name: A, fn: x, slot_num_success: '2^14'}"), "its slot gives 2^0"},
		{"slot fail", one("{component_name: A, fn: x, slot_num_fail: 1}"), "its slot gives 2^1"},
		{"slot nonsense", one("{component_name: A, fn: x, slot_num_fail: '2^999999999'}"), "slot_num_fail"},
		{"result", one(a) + "result: [B]", "result: component B does not exist"},
		{"report", one(a) + "report: {x: B.y}", "names no component"},
		{"report files", one(a) + "report: {x: A}", "means files"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := flow.Load([]byte(c.text))
			if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s\ngives %v, want Invalid with %q", c.text, err, c.says)
			}
			_, again := flow.Load([]byte(c.text))
			if again == nil || err == nil || again.Error() != err.Error() {
				t.Errorf("another message the second time: %v", again)
			}
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := flow.Load([]byte(one("{component_name: A, fn: x, retry: 0, timeout: x}", "{component_name: B, on_fail: x}")))
	for _, want := range []string{"A: retry", "A: timeout", "B: fn", "B: on_fail"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

// TestPublishedKeys takes what published files write beside what a flow needs.
func TestPublishedKeys(t *testing.T) {
	text := `{"name": "published", "modules": [{"module_name": "M", "status": "m", "next_status": "done", "components": [
	 {"component_name": "A", "fn": "x.a", "depends": [""], "slot_index": 0, "slot_num_success": "2^0", "slot_num_fail": 2},
	 {"component_name": "B", "fn": "x.b", "depends": ["A"], "slot_num_success": "4", "slot_num_fail": "2^3", "timeout": "90s", "retry": 2}]}]}`
	p, err := flow.Load([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b := p.Component("B")
	if len(p.Component("A").Depends) != 0 || len(b.Depends) != 1 || b.Timeout != 90*time.Second || b.Retry != 2 {
		t.Errorf("%+v", b)
	}
	var many []string
	for i := range 40 {
		name := string(rune('A'+i/26)) + string(rune('a'+i%26))
		many = append(many, "{component_name: "+name+", fn: x}")
	}
	many[7] = strings.Replace(many[7], "fn: x", `fn: x, slot_num_success: "2^14"`, 1)
	many[39] = strings.Replace(many[39], "fn: x", `fn: x, slot_num_success: "2^78", slot_num_fail: 604462909807314587353088`, 1)
	if _, err := flow.Load([]byte(one(many...))); err != nil {
		t.Errorf("slots of more than 32 components: %v", err)
	}
}

// TestVersion holds that a flow's version follows its content, not its spelling.
func TestVersion(t *testing.T) {
	load := func(text string) string {
		p, err := flow.Load([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return p.Version
	}
	v := load(one(a))
	if v != load("# a comment\n"+one(a)) || v != load(strings.ReplaceAll(one(a), ", ", ",   ")) {
		t.Error("spelling changes the version")
	}
	if v == load(one(strings.Replace(a, "x.a", "x.b", 1))) {
		t.Error("another function, the same version")
	}
}

func TestHolds(t *testing.T) {
	n := func(f float64) *float64 { return &f }
	for _, c := range []struct {
		name  string
		cond  flow.Condition
		value any
		want  bool
	}{
		{"true", flow.Condition{}, true, true},
		{"false", flow.Condition{}, false, false},
		{"missing", flow.Condition{}, nil, false},
		{"text is not true", flow.Condition{}, "true", false},
		{"not true", flow.Condition{Not: true}, true, false},
		{"not missing", flow.Condition{Not: true}, nil, true},
		{"is false", flow.Condition{Is: false}, false, true},
		{"missing is false", flow.Condition{Is: false}, nil, true},
		{"number", flow.Condition{Is: 3.0}, 3.0, true},
		{"text", flow.Condition{Is: "a"}, "b", false},
		{"above", flow.Condition{Above: n(2)}, 2.5, true},
		{"not above itself", flow.Condition{Above: n(2)}, 2.0, false},
		{"between", flow.Condition{Above: n(2), Below: n(3)}, 3.0, false},
		{"text is not above", flow.Condition{Above: n(2)}, "3", false},
		{"missing is not below", flow.Condition{Below: n(2)}, nil, false},
	} {
		if got := c.cond.Holds(c.value); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	p, err := flow.Load([]byte(two(a, "{component_name: B, fn: x, when: [{fact: A.n, is: 3}, {fact: task.extra.slice, is: off, not: true}]}")))
	if err != nil {
		t.Fatal(err)
	}
	want := []any{3.0, "off"}
	for i, cond := range p.Component("B").When {
		if diff := cmp.Diff(want[i], cond.Is); diff != "" {
			t.Errorf("condition %d: %s", i, diff)
		}
	}
}
