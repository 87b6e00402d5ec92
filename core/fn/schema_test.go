package fn

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

type box struct {
	X int `json:"x" help:"left" unit:"px" min:"0"`
}

type sample struct {
	Codec string    `json:"codec" default:"h264" enum:"h264,h265" help:"codec"`
	CRF   *int      `json:"crf" min:"0" max:"51" help:"quality"`
	Width int       `json:"width" default:"0" min:"0" max:"16384" unit:"px" help:"width"`
	Rate  float64   `json:"rate" default:"1.5" min:"0.1" help:"rate"`
	Times []float64 `json:"times" max:"3" itemmin:"0" unit:"s" help:"times"`
	Boxes []box     `json:"boxes" max:"2" help:"boxes"`
	Keep  bool      `json:"keep" default:"true" help:"keep"`
	Color string    `json:"color" default:"black" pattern:"[a-z]+" help:"colour"`
}

// What Decode fills in need not be said, and saying it or not is the same.
func TestBrief(t *testing.T) {
	schema, err := SchemaOf[sample]()
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{
		`{}`: `{}`,
		`{"codec":"h265","crf":20,"width":0,"rate":1.50,"times":[1]}`: `{"codec":"h265","crf":20,"times":[1]}`,
		`{"keep":false,"times":[]}`:                                   `{"keep":false}`,
	} {
		var p, again sample
		if err := schema.Decode(json.RawMessage(given), &p); err != nil {
			t.Fatal(err)
		}
		full, _ := json.Marshal(p)
		brief := schema.Brief(full)
		if string(brief) != want {
			t.Errorf("%s is %s in brief", given, brief)
		}
		if err := schema.Decode(brief, &again); err != nil {
			t.Errorf("%s: %v", brief, err)
		} else if back, _ := json.Marshal(again); string(back) != string(full) {
			t.Errorf("%s comes back as %s", full, back)
		}
	}
}

func TestDecode(t *testing.T) {
	schema, err := SchemaOf[sample]()
	if err != nil {
		t.Fatal(err)
	}
	var p sample
	if err := schema.Decode(nil, &p); err != nil {
		t.Fatal(err)
	}
	if p.Codec != "h264" || p.CRF != nil || p.Rate != 1.5 || !p.Keep || p.Color != "black" {
		t.Fatalf("defaults: %+v", p)
	}
	if err := schema.Decode(json.RawMessage(`{"crf":3e1,"times":[1,2.5],"boxes":[{"x":4},{}],"width":640.0}`), &p); err != nil {
		t.Fatal(err)
	}
	if *p.CRF != 30 || p.Times[1] != 2.5 || p.Boxes[0].X != 4 || p.Boxes[1].X != 0 || p.Width != 640 {
		t.Fatalf("decoded: %+v", p)
	}
	for body, field := range map[string]string{
		`[]`:                           "params",
		`{"codec":"h263"}`:             "params.codec",
		`{"codec":7}`:                  "params.codec",
		`{"crf":52}`:                   "params.crf",
		`{"crf":1.5}`:                  "params.crf",
		`{"crf":"3"}`:                  "params.crf",
		`{"width":1e999}`:              "params.width",
		`{"times":[0,1,2,3]}`:          "params.times",
		`{"times":[-1]}`:               "params.times[0]",
		`{"boxes":[{"x":1},{"x":-1}]}`: "params.boxes[1].x",
		`{"boxes":[{"y":1}]}`:          "params.boxes[0].y",
		`{"boxes":[1]}`:                "params.boxes[0]",
		`{"keep":"yes"}`:               "params.keep",
		`{"color":"A1"}`:               "params.color",
		`{"colour":"a"}`:               "params.colour",
		`{"color":"a\u0000"}`:          "params.color",
	} {
		err := schema.Decode(json.RawMessage(body), &p)
		if !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != field {
			t.Errorf("%s: error %v names %q, want %q", body, err, errs.FieldOf(err), field)
		}
	}
}

func TestParseTexts(t *testing.T) {
	schema, _ := SchemaOf[sample]()
	raw, err := schema.ParseTexts(map[string]string{"crf": "20", "times": "1, 2", "keep": "false", "codec": "h265"})
	if err != nil {
		t.Fatal(err)
	}
	var p sample
	if err := schema.Decode(raw, &p); err != nil {
		t.Fatal(err)
	}
	if *p.CRF != 20 || len(p.Times) != 2 || p.Keep || p.Codec != "h265" {
		t.Fatalf("%+v", p)
	}
	if _, err := schema.ParseTexts(map[string]string{"crf": "x"}); errs.FieldOf(err) != "params.crf" {
		t.Fatalf("crf=x: %v", err)
	}
}

func TestJSONSchema(t *testing.T) {
	schema, _ := SchemaOf[sample]()
	raw, err := json.Marshal(schema.JSONSchema())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"maximum":51`, `"enum":["h264","h265"]`, `"default":1.5`, `"x-unit":"px"`, `"maxItems":3`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("schema lacks %s: %s", want, raw)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	type noHelp struct {
		A int `json:"a"`
	}
	type badDefault struct {
		A int `json:"a" help:"a" default:"9" max:"5"`
	}
	type badType struct {
		A map[int]int `json:"a" help:"a"`
	}
	if _, err := SchemaOf[noHelp](); err == nil {
		t.Error("a parameter without help was accepted")
	}
	if _, err := SchemaOf[badDefault](); err == nil {
		t.Error("a default out of range was accepted")
	}
	if _, err := SchemaOf[badType](); err == nil {
		t.Error("a map parameter was accepted")
	}
}

func TestAssign(t *testing.T) {
	spec := &Spec{Name: "x", Inputs: []Slot{
		{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1},
		{Name: "logo", Kinds: []media.Kind{media.Image}, Min: 0, Max: 1},
	}}
	for n, want := range map[int]string{1: "source", 2: "source,logo"} {
		names, err := spec.Assign(n)
		if err != nil || strings.Join(names, ",") != want {
			t.Errorf("%d files: %v %v, want %s", n, names, err, want)
		}
	}
	for _, n := range []int{0, 3} {
		if _, err := spec.Assign(n); errs.FieldOf(err) != "input_files" {
			t.Errorf("%d files: %v", n, err)
		}
	}
}

func TestSchemaEmbedded(t *testing.T) {
	type Shown struct {
		Sample struct{} `json:"sample" help:"none"`
		Box    `json:"box" help:"a named object"`
	}
	type Flat struct {
		Box
		Name int `json:"name" default:"2" help:"own"`
	}
	schema, err := SchemaOf[Flat]()
	if err != nil || strings.Join(schema.Names(), ",") != "x,name" {
		t.Fatalf("%v %v", schema.Names(), err)
	}
	var p Flat
	if err := schema.Decode(json.RawMessage(`{"x":3}`), &p); err != nil || p.X != 3 || p.Name != 2 {
		t.Fatalf("%+v %v", p, err)
	}
	if schema, err := SchemaOf[Shown](); err != nil || strings.Join(schema.Names(), ",") != "sample,box" {
		t.Fatalf("%v %v", schema.Names(), err)
	}
}

// Box is embedded in tests.
type Box struct {
	X int `json:"x" help:"left" unit:"px" min:"0"`
}
