package cli

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/task"
)

// requestFlags are what run and submit have in common: one request.
type requestFlags struct {
	Cmd     string            `arg:"" help:"Name of a function or a flow; mediafn functions lists them."`
	Inputs  []string          `name:"input" short:"i" sep:"none" env:"-" placeholder:"IN" help:"Input, in the order of the function's slots; may be repeated."`
	Outputs []string          `name:"output" short:"o" sep:"none" env:"-" placeholder:"OUT" help:"Where a result goes; may be repeated."`
	Params  map[string]string `name:"param" short:"p" mapsep:"none" env:"-" placeholder:"NAME=VALUE" help:"Parameter of the function; may be repeated."`
	Extra   map[string]string `name:"extra" mapsep:"none" env:"-" placeholder:"NAME=VALUE" help:"Option of the platform: slice (auto, force, off), joint_quality, pre_download, deadline, user_data."`
}

// offer is what this build has to offer.
type offer struct {
	functions *fn.Registry
	flows     *flow.Book
}

// names lists what a request's cmd may name.
func (o *offer) names() []string {
	var all []string
	for _, name := range o.functions.Names() {
		if f, err := o.functions.Get(name); err == nil && !f.Spec().Hidden {
			all = append(all, name)
		}
	}
	for _, name := range o.flows.Names() {
		if name != flow.SingleName && name != flow.SlicedName {
			all = append(all, name)
		}
	}
	return all
}

// spec finds the function a cmd names. It is nil for a flow; known is false if
// this build has neither.
func (o *offer) spec(cmd string) (s *fn.Spec, known bool, err error) {
	_, f, err := o.flows.Choose(cmd, o.functions)
	switch {
	case err == nil && f == nil:
		return nil, true, nil
	case err == nil:
		return f.Spec(), true, nil
	}
	if _, gerr := o.functions.Get(cmd); gerr != nil {
		return nil, false, unknown("cmd", "function or flow", cmd, o.names())
	}
	return nil, false, err // a part of flows
}

// params turns -p texts into the request's object. Without a declaration, as
// for flows, a text that is JSON counts as JSON and any other as a string.
func params(s *fn.Spec, texts map[string]string) (json.RawMessage, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	if s == nil {
		free := make(map[string]any, len(texts))
		for name, text := range texts {
			free[name] = anyJSON(text)
		}
		return json.Marshal(free)
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) { // one by one, so that the error names one
		_, err := s.Params.ParseTexts(map[string]string{name: texts[name]})
		if field := errs.FieldOf(err); field == "params" {
			return nil, errs.InField("params."+name, "%q is not JSON of the right type", texts[name])
		}
		if err != nil {
			return nil, err
		}
	}
	return s.Params.ParseTexts(texts)
}

func anyJSON(text string) any {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return text
}

// extra reads --extra. A deadline is Unix milliseconds, a time as in RFC 3339
// or a duration from now on.
func extra(texts map[string]string, now time.Time) (task.Extra, error) {
	var x task.Extra
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := texts[name]
		switch name {
		case "slice":
			if !slices.Contains([]string{"auto", "force", "off"}, text) {
				return x, errs.InField("extra.slice", "must be auto, force or off, not %q", text)
			}
			x.Slice = text
		case "joint_quality":
			b, err := strconv.ParseBool(text)
			if err != nil {
				return x, errs.InField("extra.joint_quality", "must be true or false, not %q", text)
			}
			x.JointQuality = b
		case "pre_download":
			b, err := strconv.ParseBool(text)
			if err != nil {
				return x, errs.InField("extra.pre_download", "must be true or false, not %q", text)
			}
			x.PreDownload = &b
		case "deadline":
			at, err := deadline(text, now)
			if err != nil {
				return x, err
			}
			x.Deadline = at
		case "user_data":
			raw, err := json.Marshal(anyJSON(text))
			if err != nil {
				return x, errs.InField("extra.user_data", "%v", err)
			}
			x.UserData = raw
		default:
			return x, errs.InField("extra."+name, "unknown option; known are slice, joint_quality, pre_download, deadline, user_data")
		}
	}
	return x, nil
}

func deadline(text string, now time.Time) (int64, error) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms > 0 {
		return ms, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d).UnixMilli(), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UnixMilli(), nil
	}
	return 0, errs.InField("extra.deadline", "%q is neither Unix milliseconds, nor RFC 3339, nor a duration such as 10m", text)
}
