package task

import (
	"encoding/json"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
)

// value resolves a reference to a JSON value. A component that was left out,
// and a field that is not there, give nil.
func (r *round) value(ref flow.Ref) (any, error) {
	if ref.Component < 0 {
		return r.taskValue(ref.Path)
	}
	c := r.view.Plan.Components[ref.Component]
	w, ok := r.view.Work[EventID(r.step.Task.ID, c.Name)]
	if !ok || w.State != Succeeded || len(w.Facts) == 0 {
		return nil, nil
	}
	path := ref.Path
	if len(path) == 1 && path[0] == "facts" {
		path = nil
	}
	return walk(w.Facts, path)
}

func (r *round) taskValue(path []string) (any, error) {
	t := &r.step.Task
	switch path[0] {
	case "cmd":
		return t.Request.Cmd, nil
	case "has_outputs":
		return len(t.Request.Outputs) > 0, nil
	case "params":
		return walk(t.Request.Params, path[1:])
	case "extra":
		raw, err := json.Marshal(t.Request.Extra)
		if err != nil {
			return nil, err
		}
		return walk(raw, path[1:])
	}
	return nil, errs.New(errs.Internal, "flow", "task.%s is no value", path[0])
}

func walk(raw json.RawMessage, path []string) (any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, errs.New(errs.Internal, "facts", "%w", err)
	}
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, nil
		}
		v = m[name]
	}
	return v, nil
}

// report collects the facts the flow shows to the caller.
func (r *round) report() json.RawMessage {
	out := map[string]any{}
	for key, ref := range r.view.Plan.Report {
		if v, err := r.value(ref); err == nil && v != nil {
			out[key] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil
	}
	return raw
}
