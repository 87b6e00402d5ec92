package fn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mediafn/mediafn/core/errs"
)

// Decode validates raw (a JSON object; empty means {}) against the schema,
// fills in defaults and stores the result into the parameter struct at p.
// An error is Invalid and names the field, as "params.crf".
func (s Schema) Decode(raw json.RawMessage, p any) error {
	if len(bytes.TrimSpace(raw)) == 0 || string(bytes.TrimSpace(raw)) == "null" {
		raw = json.RawMessage("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var given map[string]any
	if err := dec.Decode(&given); err != nil {
		return errs.InField("params", "is not a JSON object")
	}
	full, err := s.fill("params", given)
	if err != nil {
		return err
	}
	body, err := json.Marshal(full)
	if err != nil {
		return errs.New(errs.Internal, "params", "%w", err)
	}
	if err := json.Unmarshal(body, p); err != nil {
		return errs.InField("params", "%v", err)
	}
	return nil
}

// Brief leaves out of decoded parameters what Decode would fill in by itself: a
// worker of the version before need not know of a parameter nobody has set.
func (s Schema) Brief(full json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(full, &members) != nil {
		return full
	}
	for i := range s {
		var is, usual any // what is not given and has no default is null
		text, err := json.Marshal(s[i].Default)
		value, ok := members[s[i].Name]
		if err == nil && ok && json.Unmarshal(text, &usual) == nil && json.Unmarshal(value, &is) == nil && reflect.DeepEqual(is, usual) {
			delete(members, s[i].Name)
		}
	}
	brief, err := json.Marshal(members)
	if err != nil {
		return full
	}
	return brief
}

// fill returns the members of an object with defaults in place of what is
// missing, after checking every one.
func (s Schema) fill(path string, given map[string]any) (map[string]any, error) {
	full := make(map[string]any, len(s))
	for name, value := range given {
		p := s.param(name)
		if p == nil {
			return nil, errs.InField(path+"."+name, "unknown parameter%s", s.didYouMean(name))
		}
		if value == nil {
			continue
		}
		if err := p.check(path+"."+name, value); err != nil {
			return nil, err
		}
		if p.Type == Object && !p.Free {
			inner, err := p.Fields.fill(path+"."+name, value.(map[string]any))
			if err != nil {
				return nil, err
			}
			value = inner
		}
		if p.Type == Array && p.Item.Type == Object {
			items := value.([]any)
			for i := range items {
				inner, err := p.Item.Fields.fill(fmt.Sprintf("%s.%s[%d]", path, name, i), items[i].(map[string]any))
				if err != nil {
					return nil, err
				}
				items[i] = inner
			}
		}
		if number, ok := value.(json.Number); ok && p.Type == Integer {
			f, _ := number.Float64() // checked to be whole: 3.0 and 3e2 are integers too
			value = int64(f)
		}
		full[name] = value
	}
	for i := range s {
		p := &s[i]
		if _, ok := full[p.Name]; ok {
			continue
		}
		switch {
		case p.Required:
			return nil, errs.InField(path+"."+p.Name, "is required")
		case p.Type == Object && !p.ptr:
			inner, err := p.Fields.fill(path+"."+p.Name, nil)
			if err != nil {
				return nil, err
			}
			full[p.Name] = inner
		case p.Default != nil:
			full[p.Name] = p.Default
		}
	}
	return full, nil
}

func (s Schema) param(name string) *Param {
	for i := range s {
		if s[i].Name == name {
			return &s[i]
		}
	}
	return nil
}

// Names lists the parameters in the order of declaration.
func (s Schema) Names() []string {
	names := make([]string, len(s))
	for i := range s {
		names[i] = s[i].Name
	}
	return names
}

func (s Schema) didYouMean(name string) string {
	if len(s) == 0 {
		return "; there are none"
	}
	return "; known are " + strings.Join(s.Names(), ", ")
}

// check tells whether one decoded JSON value fits the declaration.
func (p *Param) check(path string, v any) error {
	switch p.Type {
	case Boolean:
		if _, ok := v.(bool); !ok {
			return errs.InField(path, "must be true or false")
		}
	case String:
		return p.checkString(path, v)
	case Integer, Number:
		return p.checkNumber(path, v)
	case Object:
		if _, ok := v.(map[string]any); !ok {
			return errs.InField(path, "must be an object")
		}
	case Array:
		items, ok := v.([]any)
		if !ok {
			return errs.InField(path, "must be a list")
		}
		if err := p.checkRange(path, float64(len(items)), " elements"); err != nil {
			return err
		}
		for i, item := range items {
			if err := p.Item.check(fmt.Sprintf("%s[%d]", path, i), item); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Param) checkString(path string, v any) error {
	s, ok := v.(string)
	if !ok {
		return errs.InField(path, "must be a string")
	}
	if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
		return errs.InField(path, "must be UTF-8 text without NUL")
	}
	if p.Enum != nil && !slices.Contains(p.Enum, s) {
		return errs.InField(path, "must be one of %s, not %q", strings.Join(p.Enum, ", "), s)
	}
	if err := p.checkRange(path, float64(utf8.RuneCountInString(s)), " characters"); err != nil {
		return err
	}
	if p.Pattern != "" && s != "" {
		if ok, err := regexp.MatchString("^(?:"+p.Pattern+")$", s); err != nil || !ok {
			return errs.InField(path, "%q does not match %s", s, p.Pattern)
		}
	}
	return nil
}

func (p *Param) checkNumber(path string, v any) error {
	var f float64
	switch n := v.(type) {
	case json.Number:
		var err error
		if f, err = n.Float64(); err != nil {
			return errs.InField(path, "%s is out of range", n)
		}
	case float64:
		f = n
	case int:
		f = float64(n)
	default:
		return errs.InField(path, "must be a number")
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return errs.InField(path, "must be a finite number")
	}
	if p.Type == Integer && (f != math.Trunc(f) || math.Abs(f) > 1<<53) {
		return errs.InField(path, "must be a whole number")
	}
	return p.checkRange(path, f, unit(p.Unit))
}

func (p *Param) checkRange(path string, f float64, unit string) error {
	switch {
	case p.Min != nil && f < *p.Min:
		return errs.InField(path, "must be at least %s%s", number(*p.Min), unit)
	case p.Max != nil && f > *p.Max:
		return errs.InField(path, "must be at most %s%s", number(*p.Max), unit)
	}
	return nil
}

func unit(u string) string {
	if u == "" {
		return ""
	}
	return " " + u
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// ParseText converts what a person types on a command line or in a URL into
// the JSON value of the parameter: numbers and booleans as such, lists
// separated by commas. It does not check ranges; Decode does.
func (p *Param) ParseText(text string) (any, error) {
	switch p.Type {
	case String:
		return text, nil
	case Boolean:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, errs.InField("params."+p.Name, "must be true or false")
		}
		return b, nil
	case Integer, Number:
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return nil, errs.InField("params."+p.Name, "must be a number")
		}
		return json.Number(text), nil
	case Array:
		if strings.HasPrefix(strings.TrimSpace(text), "[") || p.Item.Type == Object {
			return json.RawMessage(text), nil
		}
		items := []any{}
		for _, part := range strings.Split(text, ",") {
			item := *p.Item
			item.Name = p.Name
			v, err := item.ParseText(strings.TrimSpace(part))
			if err != nil {
				return nil, err
			}
			items = append(items, v)
		}
		return items, nil
	}
	return json.RawMessage(text), nil
}

// ParseTexts converts name=value pairs into a params object for Check.
func (s Schema) ParseTexts(pairs map[string]string) (json.RawMessage, error) {
	object := make(map[string]any, len(pairs))
	for name, text := range pairs {
		p := s.param(name)
		if p == nil {
			return nil, errs.InField("params."+name, "unknown parameter%s", s.didYouMean(name))
		}
		v, err := p.ParseText(text)
		if err != nil {
			return nil, err
		}
		object[name] = v
	}
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, errs.InField("params", "%v", err)
	}
	return raw, nil
}
