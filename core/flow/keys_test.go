package flow_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// TestPublishedFile loads a file as it was published, with comments, [""] and
// "2^14". It names no functions: its components are outside services.
func TestPublishedFile(t *testing.T) {
	text, err := os.ReadFile("testdata/published/video-from-article.json")
	if err != nil {
		t.Fatal(err)
	}
	p, err := flow.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Components) != 8 || len(p.Warnings) != 8 || !strings.Contains(p.Warnings[7], "task.params.VideoRender") {
		t.Fatalf("%d components, warnings %q", len(p.Components), p.Warnings)
	}
	for _, c := range p.Components {
		if c.Fn != "service.call" || !c.Async || c.From == nil || c.From.String() != "task.params."+c.Name {
			t.Errorf("%+v", c)
		}
	}
	if d := p.Component("MaterialSearch").Depends; !cmp.Equal(d, []int{0, 1, 2}) || len(p.Component("VideoRender").Depends) != 0 {
		t.Errorf("depends %v", d)
	}
	if m := p.Modules[1]; m.Status != "generating" || m.Next != "draft" || !cmp.Equal(p.Result, [][]int{{7}}) {
		t.Errorf("%+v, result %v", m, p.Result)
	}
	wrong := strings.Replace(string(text), `"2^15"`, `"2^13"`, 1)
	if _, err := flow.Load([]byte(wrong)); err == nil || !strings.Contains(err.Error(), "VideoRender: slot_num_fail 2^13, but its slot gives 2^15") {
		t.Errorf("a wrong slot number: %v", err)
	}
}

func TestComments(t *testing.T) {
	with := `{"name": "f", // a "quoted" remark // and more
 "summary": "http://x/ // stays \" // too", //
 "modules": [{"module_name": "M", "status": "m",//x
 "components": [{"component_name": "A", "fn": "x"}]}]} // end`
	f, err := flow.Parse([]byte(with))
	if err != nil || f.Summary != `http://x/ // stays " // too` || f.Modules[0].Components[0].Fn != "x" {
		t.Errorf("%+v, %v", f, err)
	}
	f, err = flow.Parse([]byte(`{name: f, summary: http://x/y, modules: [{module_name: M, status: m, components: [{component_name: A, fn: x}]}]}`))
	if err != nil || f.Summary != "http://x/y" {
		t.Errorf("a bare URL: %+v, %v", f, err)
	}
}

const b = "{component_name: B, fn: x.b}"

func TestMistakesOfFallbacksAndOutputs(t *testing.T) {
	main := func(more string) string {
		return "{component_name: A, fn: x, on_fail: fallback, fallback: B" + more + "}"
	}
	for _, c := range []struct{ name, text, says string }{
		{"on_fail alone", one("{component_name: A, fn: x, on_fail: fallback}", b), "belong together"},
		{"fallback alone", one("{component_name: A, fn: x, fallback: B}", b), "belong together"},
		{"fallback and skip", one("{component_name: A, fn: x, on_fail: skip, fallback: B}", b), "belong together"},
		{"unknown", one("{component_name: A, fn: x, on_fail: fallback, fallback: C}", b), "does not exist"},
		{"itself", one("{component_name: A, fn: x, on_fail: fallback, fallback: A}"), "must be another component of the same module"},
		{"another module", two(main(""), b), "must be another component of the same module"},
		{"of two", one(main(""), b, "{component_name: C, fn: x, on_fail: fallback, fallback: B}"), "is the fallback of A already"},
		{"each other's", one(main(""), "{component_name: B, fn: x, on_fail: fallback, fallback: A}"), "depends on itself through others"},
		{"depends on what it follows", one(main(""), "{component_name: B, fn: x, depends: [A]}"), "runs when A has failed and can't depend on it"},
		{"depends through another", one(main(""), "{component_name: B, fn: x, depends: [C]}", "{component_name: C, fn: x, depends: [A]}"), "depends on itself through others"},
		{"depended on", one(main(""), b, "{component_name: C, fn: x, depends: [B]}"), "which is the fallback of A; depend on that"},
		{"referred to", two(main("")+", "+b, "{component_name: C, fn: x, inputs: {in: B}}"), "is the fallback of A; refer to that"},
		{"reported", one(main(""), b) + "report: {x: B.y}", "is the fallback of A; refer to that"},
		{"as result", one(main(""), b) + "result: [B]", "is the fallback of A; name that"},
		{"output unknown", strings.Replace(one(a), "components:", "output: [C], components:", 1), "output: component C does not exist"},
		{"output later", strings.Replace(two(a, b), "components:", "output: [B], components:", 1), "of a later module"},
		{"output of a fallback", strings.Replace(one(main(""), b), "components:", "output: [B], components:", 1), "is the fallback of A; name that"},
		{"result number", one(a) + "result: [3]", "is no name of a component"},
		{"result group", one(a) + "result: [[A, 3]]", "is no name of a component"},
		{"result empty group", one(a) + "result: [[]]", "an empty list"},
		{"input list", one("{component_name: A, fn: x, inputs: {in: [task.inputs.0, 3]}}"), "is not a reference or a list"},
		{"flow name", strings.Replace(one(a), "name: f", "name: a/b", 1), "letters, digits"},
		{"async text", one("{component_name: A, fn: x, async: later}"), "async"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := flow.Load([]byte(c.text)); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s\ngives %v, want Invalid with %q", c.text, err, c.says)
			}
		})
	}
}

func TestLeaves(t *testing.T) {
	p, err := flow.Load([]byte("name: f\nresult: [[A, D]]\nmodules:\n" +
		"- {module_name: M, status: m, next_status: n, output: [E], components: [{component_name: A, fn: x, on_fail: fallback, fallback: B}, " +
		"{component_name: B, fn: x, on_fail: fallback, fallback: C}, {component_name: C, fn: x}, {component_name: E, fn: x}]}\n" +
		"- {module_name: N, status: n, next_status: done, components: [{component_name: D, fn: x}, {component_name: F, fn: x, inputs: {in: [A, E | D]}, depends: [D]}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var leave []string
	for _, c := range p.Components {
		if p.Leaves(c) {
			leave = append(leave, c.Name)
		}
	}
	if diff := cmp.Diff([]string{"A", "B", "C", "E", "D"}, leave); diff != "" {
		t.Error(diff)
	}
	if in := p.Component("F").Inputs; len(in) != 2 || in[0].Slot != "in" || len(in[1].Refs) != 2 {
		t.Errorf("%+v", in)
	}
}

// menu is what flows of TestCheck may name.
func menu() *fn.Registry {
	type params struct {
		Level int `json:"level" default:"1" min:"1" max:"9" help:"x"`
	}
	video, image := []media.Kind{media.Video}, []media.Kind{media.Image}
	spec := func(name string, in, out []fn.Slot) fn.Spec {
		return fn.Spec{Name: name, Version: "1", Summary: "x", Purity: fn.Exact, Inputs: in, Outputs: out}
	}
	service := spec("t.service", nil, nil)
	service.Outside = true
	return fn.NewRegistry(
		fn.Define(spec("t.video", []fn.Slot{{Name: "in", Kinds: video, Min: 1, Max: 1}, {Name: "logo", Kinds: image, Max: 1}}, []fn.Slot{{Name: "out", Kinds: video, Min: 1, Max: 1}}), fn.Body[params]{
			Check: func(_ *params, inputs []media.Kind) error {
				if len(inputs) == 0 {
					return errs.InField("input_files", "nothing to do")
				}
				return nil
			},
		}),
		fn.Define(spec("t.frames", []fn.Slot{{Name: "in", Kinds: video, Min: 1, Max: 1}}, []fn.Slot{{Name: "out", Kinds: image, Min: 1}}), fn.Body[params]{}),
		fn.Define(spec("t.join", []fn.Slot{{Name: "in", Kinds: video, Min: 2}}, []fn.Slot{{Name: "out", Kinds: video, Min: 1, Max: 1}}), fn.Body[params]{}),
		fn.Define(service, fn.Body[params]{}),
	)
}

func TestCheck(t *testing.T) {
	source := "inputs: {in: task.inputs.0}"
	fine := "{component_name: A, fn: t.video, " + source + "}"
	for _, c := range []struct{ name, text, says string }{
		{"fine", one(fine), ""},
		{"task's own function", one("{component_name: A, fn: {from: task.cmd}, inputs: task.inputs}"), ""},
		{"inline", one("{component_name: A, fn: slice.plan}"), ""},
		{"unknown function", one("{component_name: A, fn: t.vido}"), `A: fn: no function is named "t.vido"; did you mean t.video?`},
		{"unknown slot", one("{component_name: A, fn: t.video, inputs: {film: task.inputs.0}}"), `has no input slot "film"`},
		{"slot missing", one("{component_name: A, fn: t.video}"), "slot in of t.video needs 1, and gets 0 at the most"},
		{"params", one("{component_name: A, fn: t.video, " + source + ", params: {level: 10}}"), "params.level: must be at most 9"},
		{"params, number of files not known", one("{component_name: A, fn: t.video, inputs: {in: task.inputs}, params: {level: 10}}"), "params.level: must be at most 9"},
		{"too few", one(fine, "{component_name: B, fn: t.join, depends: [A], inputs: {in: A}}"), "slot in of t.join needs 2, and gets 1 at the most"},
		{"two of a list", one(fine, "{component_name: B, fn: t.join, depends: [A], inputs: {in: [A, task.inputs.0]}}"), ""},
		{"too many", one(fine, "{component_name: B, fn: t.video, depends: [A], inputs: {in: [A, task.inputs.0]}}"), "takes 1 at the most, and gets 2"},
		{"maybe enough", one("{component_name: A, fn: t.video, "+source+", on_fail: skip}", "{component_name: B, fn: t.video, depends: [A], inputs: {in: [A, task.inputs.0]}}"), ""},
		{"kinds", one("{component_name: A, fn: t.frames, "+source+"}", "{component_name: B, fn: t.video, depends: [A], inputs: {in: A}}"), "slot in takes [video], not [image]"},
		{"kinds of an alternative", one("{component_name: A, fn: t.frames, "+source+"}", "{component_name: B, fn: t.video, depends: [A], inputs: {in: A | task.inputs.0}}"), ""},
		{"a document where a video goes", one(fine, "{component_name: B, fn: t.video, depends: [A], inputs: {in: A.facts}}"), "slot in takes [video], not [text]"},
		{"async of what is done here", one("{component_name: A, fn: t.video, " + source + ", async: true}"), "can't be asynchronous"},
		{"async service", one("{component_name: A, fn: t.service, async: true}"), ""},
		{"async of the task's", one("{component_name: A, fn: {from: task.cmd}, inputs: task.inputs, async: true}"), "async needs a function"},
		{"async inline", one("{component_name: A, fn: slice.plan, async: true}"), "neither asynchronous nor fanned out"},
		{"fanned out", two(fine, "{component_name: B, fn: t.video, inputs: {in: A}, for_each: A.l}"), "works on whole media only"},
		{"name of a function", strings.Replace(one(fine), "name: f", "name: t.video", 1), "is the name of a function"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := flow.Load([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			err = p.Check(menu())
			if c.says == "" && err != nil || c.says != "" && (!errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
	p, err := flow.Load([]byte(one("{component_name: A, fn: t.x}", "{component_name: B, fn: t.y}")))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(menu()); err == nil || !strings.Contains(err.Error(), "t.x") || !strings.Contains(err.Error(), "t.y") {
		t.Errorf("not all at once: %v", err)
	}
}

// TestBook holds that a book may be read while it is replaced.
func TestBook(t *testing.T) {
	plan := func(name, summary string) *flow.Plan {
		p, err := flow.Load([]byte(fmt.Sprintf("summary: %s\n%s", summary, strings.Replace(one(a), "name: f", "name: "+name, 1))))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	book := flow.NewBook(plan("one", "old"), plan("one", "first"), plan("two", "first"))
	if diff := cmp.Diff([]string{"one", "two"}, book.Names()); diff != "" || book.Get("one").Summary != "first" || book.Get("three") != nil {
		t.Errorf("%s, %+v", diff, book.Get("one"))
	}
	next := plan("one", "second")
	done := make(chan struct{})
	go func() { defer close(done); book.Replace(next) }()
	for replaced := false; !replaced; {
		replaced = book.Get("one") == next
		if p := book.Get("one"); p == nil {
			t.Fatal("for a moment it was gone")
		}
	}
	<-done
	if book.Get("two") != nil {
		t.Error("what was left out is still there")
	}
}
