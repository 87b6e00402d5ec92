package task

import (
	"encoding/json"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/media"
)

// value resolves a reference to a JSON value. A component that was left out,
// and a field that is not there, give nil.
func (r *round) value(ref flow.Ref) (any, error) {
	raw, err := r.raw(ref)
	if err != nil || raw == nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, errs.New(errs.Internal, "facts", "%w", err)
	}
	return v, nil
}

// raw is value as it was written: large whole numbers keep every digit.
func (r *round) raw(ref flow.Ref) (json.RawMessage, error) {
	if ref.Component < 0 {
		return r.taskValue(ref.Path)
	}
	w, ok := r.came(ref.Component)
	if !ok {
		return nil, nil
	}
	path := ref.Path
	if len(path) == 1 && path[0] == "facts" {
		path = nil
	}
	return walk(w.Facts, path)
}

func (r *round) taskValue(path []string) (json.RawMessage, error) {
	t := &r.step.Task
	switch path[0] {
	case "cmd":
		return json.Marshal(t.Request.Cmd)
	case "has_outputs":
		return json.Marshal(len(t.Request.Outputs) > 0)
	case "splits":
		return r.splits()
	case "params":
		return walk(t.Request.Params, path[1:])
	case "extra":
		raw, err := json.Marshal(t.Request.Extra)
		if err != nil {
			return nil, errs.New(errs.Internal, "facts", "%w", err)
		}
		return walk(raw, path[1:])
	}
	return nil, errs.New(errs.Internal, "flow", "task.%s is no value", path[0])
}

// walk finds a field; null, and a field of what is no object, is nil.
func walk(raw json.RawMessage, path []string) (json.RawMessage, error) {
	for _, name := range path {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, nil
		}
		raw = m[name]
	}
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	return raw, nil
}

// came returns the row with what a component gave: its own, or that of the
// fallback that took its place.
func (r *round) came(i int) (Work, bool) {
	for c := r.view.Plan.Components[i]; c != nil; c = c.Fallback {
		if w, ok := r.view.Work.Get(EventID(r.step.Task.ID, c.Name)); ok && w.State == Succeeded {
			return w, true
		}
	}
	return Work{}, false
}

// files returns the files a component gave.
func (r *round) files(i int) ([]media.Object, bool) {
	w, ok := r.came(i)
	return w.Outputs, ok
}

// draft is what leaves at the end of a module.
func (r *round) draft(m *flow.Module) Draft {
	d := Draft{Status: m.Status}
	facts := map[string]json.RawMessage{}
	for _, i := range m.Output {
		w, ok := r.came(i)
		if !ok {
			continue
		}
		name := r.view.Plan.Components[i].Name
		d.Components = append(d.Components, name)
		d.Outputs = append(d.Outputs, w.Outputs...)
		if w.Facts != nil {
			facts[name] = w.Facts
		}
	}
	if len(facts) > 0 {
		d.Facts, _ = json.Marshal(facts) // facts are JSON: cannot fail
	}
	return d
}

// report collects the facts the flow shows to the caller.
func (r *round) report() json.RawMessage {
	out := map[string]json.RawMessage{}
	for key, refs := range r.view.Plan.Report {
		for _, ref := range refs {
			if v, err := r.raw(ref); err == nil && v != nil {
				out[key] = v
				break
			}
		}
	}
	if a := r.arrival(); a != nil {
		out["arrival"] = a
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
