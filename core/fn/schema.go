package fn

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Schema is the ordered list of a function's parameters.
type Schema []Param

// Param declares one parameter once, for every reader: validation, JSON
// schema, flags, forms and documentation.
type Param struct {
	Name     string
	Type     Type
	Item     *Param // element of an array
	Fields   Schema // members of an object
	Free     bool   // an object of any members, kept as they are
	Default  any    // nil = none; then the parameter is optional and absent unless given
	Required bool
	Min, Max *float64 // range of a number; length range of a string or array
	Enum     []string
	Pattern  string // of a string, RE2
	Unit     string // px, s, Hz, bit/s, fps, dB, %
	Help     string
	Example  string

	index []int // field of the parameter struct
	ptr   bool  // pointer field: absence is kept
}

// Type is a JSON type.
type Type string

const (
	String  Type = "string"
	Integer Type = "integer"
	Number  Type = "number"
	Boolean Type = "boolean"
	Array   Type = "array"
	Object  Type = "object"
)

// SchemaOf derives a schema from the tags of struct P's exported fields:
//
//	CRF int `json:"crf" default:"23" min:"0" max:"51" help:"quality, lower is better"`
//
// Tags: json (name), default (a JSON value, quotes optional for strings), min,
// max, enum (comma separated), pattern, unit, help, example, required ("true").
// A pointer field has no default and stays nil when not given. Slices are
// arrays whose min and max count elements; their elements take enum, pattern,
// unit and the tags itemmin and itemmax. Structs are objects; the fields of an
// embedded struct without a json tag count as the struct's own. A
// map[string]json.RawMessage is an object of any members.
func SchemaOf[P any]() (Schema, error) {
	t := reflect.TypeFor[P]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is not a struct", t)
	}
	return schemaOf(t)
}

func schemaOf(t reflect.Type) (Schema, error) {
	var schema Schema
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		if f.Anonymous && f.Type.Kind() == reflect.Struct && f.Tag.Get("json") == "" {
			inner, err := schemaOf(f.Type) // as encoding/json does: its fields are ours
			if err != nil {
				return nil, fmt.Errorf("embedded %s: %w", f.Name, err)
			}
			schema = append(schema, inner...)
			continue
		}
		p, err := paramOf(f)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		schema = append(schema, p)
	}
	return schema, nil
}

func paramOf(f reflect.StructField) (Param, error) {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	p := Param{
		Name: name, Unit: f.Tag.Get("unit"), Help: f.Tag.Get("help"), Pattern: f.Tag.Get("pattern"),
		Example: f.Tag.Get("example"), Required: f.Tag.Get("required") == "true", index: f.Index,
	}
	if p.Name == "" || p.Help == "" {
		return p, fmt.Errorf("tags json and help are required")
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		p.ptr, t = true, t.Elem()
	}
	if e := f.Tag.Get("enum"); e != "" {
		p.Enum = strings.Split(e, ",")
	}
	var err error
	if p.Min, err = bound(f.Tag.Get("min")); err != nil {
		return p, err
	}
	if p.Max, err = bound(f.Tag.Get("max")); err != nil {
		return p, err
	}
	if err := p.setType(t, f.Tag); err != nil {
		return p, err
	}
	return p, p.setDefault(t, f.Tag)
}

func (p *Param) setType(t reflect.Type, tag reflect.StructTag) (err error) {
	switch t.Kind() {
	case reflect.String:
		p.Type = String
	case reflect.Int, reflect.Int64:
		p.Type = Integer
	case reflect.Float64:
		p.Type = Number
	case reflect.Bool:
		p.Type = Boolean
	case reflect.Struct:
		p.Type = Object
		p.Fields, err = schemaOf(t)
	case reflect.Map:
		if t != reflect.TypeFor[map[string]json.RawMessage]() {
			return fmt.Errorf("type %s is not supported; an object of any members is a map[string]json.RawMessage", t)
		}
		p.Type, p.Free = Object, true
	case reflect.Slice:
		p.Type = Array
		item := Param{Enum: p.Enum, Pattern: p.Pattern, Unit: p.Unit}
		p.Enum, p.Pattern = nil, ""
		if item.Min, err = bound(tag.Get("itemmin")); err != nil {
			return err
		}
		if item.Max, err = bound(tag.Get("itemmax")); err != nil {
			return err
		}
		p.Item = &item
		err = item.setType(t.Elem(), "")
	default:
		return fmt.Errorf("type %s is not supported", t)
	}
	return err
}

// setDefault reads the default tag. A plain field without one defaults to its
// zero value, so that every parameter has a value the documentation can name.
func (p *Param) setDefault(t reflect.Type, tag reflect.StructTag) error {
	text, ok := tag.Lookup("default")
	switch {
	case p.Required || p.ptr:
		if ok {
			return fmt.Errorf("a required or optional parameter has no default")
		}
		return nil
	case !ok && p.Type == Object:
		return nil
	case !ok && p.Type == Array:
		p.Default = []any{}
		return nil
	case !ok:
		p.Default = reflect.Zero(t).Interface()
		return nil
	}
	if p.Type == String && !strings.HasPrefix(text, `"`) {
		text = strconv.Quote(text)
	}
	if err := json.Unmarshal([]byte(text), &p.Default); err != nil {
		return fmt.Errorf("default %s: %w", text, err)
	}
	return p.check(p.Name, p.Default)
}

func bound(s string) (*float64, error) {
	if s == "" {
		return nil, nil
	}
	v, err := strconv.ParseFloat(s, 64)
	return &v, err
}

// JSONSchema renders the schema as JSON Schema 2020-12.
func (s Schema) JSONSchema() map[string]any {
	props := map[string]any{}
	var required []string
	for i := range s {
		props[s[i].Name] = s[i].jsonSchema()
		if s[i].Required {
			required = append(required, s[i].Name)
		}
	}
	out := map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	if required != nil {
		out["required"] = required
	}
	return out
}

func (p *Param) jsonSchema() map[string]any {
	if p.Type == Object {
		out := p.Fields.JSONSchema()
		if p.Free {
			out["additionalProperties"] = true
		}
		p.describe(out)
		return out
	}
	out := map[string]any{"type": string(p.Type)}
	p.describe(out)
	lo, hi := "minimum", "maximum"
	switch p.Type {
	case String:
		lo, hi = "minLength", "maxLength"
	case Array:
		lo, hi = "minItems", "maxItems"
		out["items"] = p.Item.jsonSchema()
	}
	if p.Min != nil {
		out[lo] = *p.Min
	}
	if p.Max != nil {
		out[hi] = *p.Max
	}
	if p.Enum != nil {
		out["enum"] = p.Enum
	}
	if p.Pattern != "" {
		out["pattern"] = p.Pattern
	}
	return out
}

func (p *Param) describe(out map[string]any) {
	if p.Help != "" {
		out["description"] = p.Help
	}
	if p.Default != nil {
		out["default"] = p.Default
	}
	if p.Unit != "" {
		out["x-unit"] = p.Unit
	}
	if p.Example != "" {
		out["examples"] = []string{p.Example}
	}
}
