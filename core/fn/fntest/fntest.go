// Package fntest is the suite every function passes.
//
//	func TestFunction(t *testing.T) {
//		rig := fnrig.New(t)
//		fntest.Run(t, fntest.Suite{
//			Function: video.Transcode(rig.FFmpeg),
//			Open:     rig.Open,
//			Probe:    rig.Probe,
//			Cases: []fntest.Case{{
//				Name:   "half size",
//				Params: `{"width":160}`,
//				Inputs: []fntest.File{{Slot: "source", Path: clip}},
//				Want: func(t *testing.T, r *fn.Result) { … },
//			}},
//		})
//	}
//
// Run checks, without more being said: the declaration is complete and its
// defaults are valid; every bound of every parameter is enforced and the error
// names the field; unknown parameters are named; every case succeeds, its
// outputs lie in the call's directory and are what they are declared to be; a
// second run agrees with the first as far as the purity says; a canceled run
// ends as canceled, and leaves no process and no file outside its directory;
// hostile inputs end in Invalid, Unsupported, TooLarge or Denied, and open no
// connection.
//
// The suite imports the standard library and core only; how a file becomes an
// fn.Input and how an output is read come in as the hooks Open and Probe.
package fntest

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// Suite is one function and what to try it with.
type Suite struct {
	Function fn.Function
	Cases    []Case

	// Open makes an input of a local file, as the executor does. An error
	// counts as the refusal of the file, for hostile ones. Needed if there are
	// cases with files.
	Open func(t testing.TB, slot, path string) (fn.Input, error)
	// Probe reads an output's facts. Needed for outputs that are media.
	Probe func(t testing.TB, path string) (*media.Info, error)

	// Slow is the case that is canceled on its way; it must run for a second or
	// more. "" is the first case; a case too quick to be caught is canceled
	// before it starts.
	Slow string
	// SkipHostile names a reason why no hostile input is tried, such as that
	// the function takes documents only.
	SkipHostile string
}

// Case is one call that must succeed.
type Case struct {
	Name   string
	Params string // JSON object; "" is {}
	Inputs []File
	Docs   map[string]string // slot → JSON document
	Part   *fn.Part
	Want   func(t *testing.T, r *fn.Result) // further checks; may be nil
}

// File is an input file for a slot.
type File struct{ Slot, Path string }

// Run runs the whole suite.
func Run(t *testing.T, s Suite) {
	t.Helper()
	t.Run("spec", s.spec)
	t.Run("params", s.params)
	for _, c := range s.Cases {
		t.Run("case/"+c.Name, func(t *testing.T) { s.one(t, c) })
	}
	if len(s.Cases) > 0 {
		t.Run("cancel", s.cancel)
		if s.SkipHostile == "" && len(s.Cases[0].Inputs) > 0 {
			t.Run("hostile", s.hostile)
		}
	}
}

func (s Suite) spec(t *testing.T) {
	spec := s.Function.Spec()
	if spec.Doc == "" || spec.Summary == "" || !strings.Contains(spec.Name, ".") {
		t.Errorf("%q: name with a dot, summary and doc are required", spec.Name)
	}
	if spec.Missing != "" {
		t.Errorf("missing: %s; the suite runs with the real tool", spec.Missing)
	}
	for _, slot := range append(append([]fn.Slot{}, spec.Inputs...), spec.Outputs...) {
		if slot.Help == "" {
			t.Errorf("slot %s has no help", slot.Name)
		}
	}
	var walk func(path string, schema fn.Schema)
	walk = func(path string, schema fn.Schema) {
		seen := map[string]bool{}
		for i := range schema {
			p := &schema[i]
			if p.Help == "" || p.Name != strings.ToLower(p.Name) || seen[p.Name] {
				t.Errorf("parameter %s%s: needs help and a name of its own in lower case", path, p.Name)
			}
			seen[p.Name] = true
			if p.Min != nil && p.Max != nil && *p.Min > *p.Max {
				t.Errorf("parameter %s%s: min > max", path, p.Name)
			}
			walk(path+p.Name+".", p.Fields)
			if p.Item != nil {
				walk(path+p.Name+"[].", p.Item.Fields)
			}
		}
	}
	walk("", spec.Params)
	if _, err := json.Marshal(spec.Params.JSONSchema()); err != nil {
		t.Error(err)
	}
	if spec.Slicing.Mode == fn.Whole {
		if _, err := s.Function.Assembly(json.RawMessage(`{}`), nil); !errs.Is(err, errs.Unsupported) {
			t.Errorf("assembly of a function that is not sliced: %v", err)
		}
	}
}

// kinds are the kinds of a case's inputs, in order.
func (s Suite) kinds(t testing.TB, c Case) []media.Kind {
	var kinds []media.Kind
	for _, f := range c.Inputs {
		in, err := s.Open(t, f.Slot, f.Path)
		if err != nil {
			t.Fatalf("open %s: %v", f.Path, err)
		}
		kinds = append(kinds, in.Kind)
	}
	return kinds
}

func (s Suite) params(t *testing.T) {
	base, kinds := map[string]any{}, []media.Kind(nil)
	if len(s.Cases) > 0 {
		c := s.Cases[0]
		kinds = s.kinds(t, c)
		if c.Params != "" {
			if err := json.Unmarshal([]byte(c.Params), &base); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(object map[string]any) (json.RawMessage, error) {
		raw, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		return s.Function.Check(raw, kinds)
	}
	full, err := check(base)
	if err != nil {
		t.Fatalf("the first case's params: %v", err)
	}
	if again, err := s.Function.Check(full, kinds); err != nil || !bytes.Equal(full, again) {
		t.Errorf("canonical params are not canonical: %v\n%s\n%s", err, full, again)
	}
	with := func(name string, value any) map[string]any {
		object := map[string]any{}
		for k, v := range base {
			object[k] = v
		}
		object[name] = value
		return object
	}
	if _, err := check(with("no_such_parameter", 1)); !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != "params.no_such_parameter" {
		t.Errorf("an unknown parameter: %v names %q", err, errs.FieldOf(err))
	}
	schema := s.Function.Spec().Params
	for i := range schema {
		p := &schema[i]
		for _, bad := range wrong(p) {
			_, err := check(with(p.Name, bad.value))
			if want := "params." + p.Name + bad.where; !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != want {
				t.Errorf("%s = %.80v: error %v names %q, want invalid and %q", p.Name, bad.value, err, errs.FieldOf(err), want)
			}
		}
	}
}

// fault is a value a parameter must refuse, and which part of it is blamed.
type fault struct {
	value any
	where string
}

// wrong derives from a declaration what must be refused.
func wrong(p *fn.Param) []fault {
	var bad []fault
	add := func(values ...any) {
		for _, v := range values {
			bad = append(bad, fault{value: v})
		}
	}
	switch p.Type {
	case fn.Boolean:
		add("perhaps", 1)
	case fn.Integer, fn.Number:
		add("x", []any{})
		if p.Type == fn.Integer {
			add(0.5)
		}
		if p.Min != nil {
			add(math.Floor(*p.Min) - 1)
		}
		if p.Max != nil {
			add(math.Ceil(*p.Max) + 1)
		}
	case fn.String:
		add(7, "a\x00b")
		if p.Enum != nil {
			add("no such value")
		}
		if p.Max != nil && *p.Max < 1<<20 {
			add(strings.Repeat("a", int(*p.Max)+1))
		}
		if p.Pattern != "" {
			add("\x01\x02")
		}
	case fn.Array:
		add("x", map[string]any{})
		if p.Max != nil && *p.Max < 1<<16 {
			add(make([]any, int(*p.Max)+1))
		}
		for _, b := range wrong(p.Item) {
			bad = append(bad, fault{[]any{b.value}, "[0]" + b.where})
		}
	case fn.Object:
		add("x", []any{})
		for i := range p.Fields {
			for _, b := range wrong(&p.Fields[i]) {
				bad = append(bad, fault{map[string]any{p.Fields[i].Name: b.value}, "." + p.Fields[i].Name + b.where})
			}
		}
	}
	return bad
}

// Call runs one case in a directory of its own and returns its result.
func (s Suite) Call(ctx context.Context, t testing.TB, c Case, dir string) (*fn.Result, error) {
	t.Helper()
	call := &fn.Call{Trace: "fntest", Dir: dir, Threads: 2, Part: c.Part}
	var kinds []media.Kind
	for _, f := range c.Inputs {
		in, err := s.Open(t, f.Slot, f.Path)
		if err != nil {
			return nil, err
		}
		call.Inputs, kinds = append(call.Inputs, in), append(kinds, in.Kind)
	}
	for slot, doc := range c.Docs {
		call.Inputs = append(call.Inputs, fn.Input{Slot: slot, Kind: media.Text, Doc: json.RawMessage(doc)})
	}
	params, err := s.Function.Check(json.RawMessage(c.Params), kinds)
	if err != nil {
		return nil, err
	}
	call.Params = params
	price := s.Function.Price(params, make([]*media.Info, len(call.Inputs)))
	if price.CPUSeconds <= 0 || price.Memory <= 0 || price.Cores < 0 {
		t.Errorf("price of unknown inputs %+v", price)
	}
	return s.Function.Run(ctx, call)
}

func (s Suite) one(t *testing.T, c Case) {
	dir := t.TempDir()
	res, err := s.Call(t.Context(), t, c, dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.TailOf(err))
	}
	s.outputs(t, c, res, dir)
	if c.Want != nil {
		c.Want(t, res)
	}
	if s.Function.Spec().Purity == fn.Impure {
		return
	}
	again, err := s.Call(t.Context(), t, c, t.TempDir())
	if err != nil {
		t.Fatalf("second run: %v", err)
	}
	s.agree(t, res, again)
}

// outputs checks that a result is what the declaration says.
func (s Suite) outputs(t *testing.T, c Case, res *fn.Result, dir string) {
	count := map[string]int{}
	for _, o := range res.Outputs {
		count[o.Slot]++
		if rel, err := filepath.Rel(dir, o.Path); err != nil || strings.HasPrefix(rel, "..") {
			t.Errorf("output %s lies outside the call's directory", o.Path)
		}
		// Files of a package refer to each other, also in folders.
		plain := o.Name == filepath.Base(o.Name) || o.Kind == media.Package && filepath.IsLocal(filepath.FromSlash(o.Name))
		if o.Name == "" || !plain || o.Mime == "" {
			t.Errorf("output %+v: needs a plain name and a MIME type", o)
		}
		if st, err := os.Stat(o.Path); err != nil || st.Size() == 0 {
			t.Errorf("output %s: %v", o.Path, err)
			continue
		}
		if s.Probe != nil && (o.Kind == media.Video || o.Kind == media.Audio || o.Kind == media.Image) {
			info, err := s.Probe(t, o.Path)
			switch {
			case err != nil:
				t.Errorf("output %s: %v", o.Name, err)
			case o.Kind == media.Video && info.MainVideo() == nil, o.Kind == media.Audio && !info.HasAudio():
				t.Errorf("output %s is declared %s and has no such stream", o.Name, o.Kind)
			case o.Kind == media.Image && info.Image == nil && info.MainVideo() == nil && len(info.Video) == 0:
				t.Errorf("output %s is declared an image and is none", o.Name)
			}
		}
	}
	for _, slot := range s.Function.Spec().Outputs {
		if n := count[slot.Name]; n < slot.Min || slot.Max > 0 && n > slot.Max {
			t.Errorf("%d outputs in slot %s, declared %d–%d", n, slot.Name, slot.Min, slot.Max)
		}
		delete(count, slot.Name)
	}
	if len(count) > 0 {
		t.Errorf("outputs in undeclared slots: %v", count)
	}
	if len(res.Facts) > 0 && !json.Valid(res.Facts) {
		t.Errorf("facts are no JSON: %s", res.Facts)
	}
}

// agree compares two results of the same call.
func (s Suite) agree(t *testing.T, a, b *fn.Result) {
	if len(a.Outputs) != len(b.Outputs) {
		t.Errorf("%d outputs, then %d", len(a.Outputs), len(b.Outputs))
		return
	}
	exact := s.Function.Spec().Purity == fn.Exact
	if exact && !bytes.Equal(a.Facts, b.Facts) {
		t.Errorf("facts differ:\n%s\n%s", a.Facts, b.Facts)
	}
	for i := range a.Outputs {
		x, y := a.Outputs[i], b.Outputs[i]
		if x.Name != y.Name || x.Slot != y.Slot || x.Mime != y.Mime || x.Kind != y.Kind {
			t.Errorf("output %d: %+v, then %+v", i, x, y)
		}
		if exact {
			left, err1 := os.ReadFile(x.Path)
			right, err2 := os.ReadFile(y.Path)
			if err1 != nil || err2 != nil || !bytes.Equal(left, right) {
				t.Errorf("output %s differs from run to run: %v %v", x.Name, err1, err2)
			}
			continue
		}
		if s.Probe != nil && (x.Kind == media.Video || x.Kind == media.Audio || x.Kind == media.Image) {
			s.equivalent(t, x, y)
		}
	}
}

func (s Suite) equivalent(t *testing.T, x, y fn.Output) {
	left, err1 := s.Probe(t, x.Path)
	right, err2 := s.Probe(t, y.Path)
	if err1 != nil || err2 != nil {
		t.Errorf("%v %v", err1, err2)
		return
	}
	// Sizes may differ, and with them bit rates and positions.
	for _, info := range []*media.Info{left, right} {
		info.Size, info.BitRate = 0, 0
		for i := range info.Video {
			v := &info.Video[i]
			v.BitRate = 0
			for k := range v.FrameList {
				v.FrameList[k].Size, v.FrameList[k].Type = 0, ""
			}
			v.GOP = nil
		}
		for i := range info.Audio {
			info.Audio[i].BitRate = 0
		}
	}
	l, _ := json.Marshal(left)
	r, _ := json.Marshal(right)
	if !bytes.Equal(l, r) {
		t.Errorf("%s is not equivalent from run to run:\n%s\n%s", x.Name, l, r)
	}
}
