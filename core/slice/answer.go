package slice

import (
	"encoding/json"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// Answer is slice.plan as flows call it: a Plan, or with the parameter look a
// Look, or with the parameter early an Early. Documents are the source's profile
// and, after a look, that look, what remuxing came to and the profile that was made
// then, what was decided early, and what came of it, as far as there are any.
// request makes the request for a profile; its Source is filled in here.
func Answer(docs map[string]json.RawMessage, params json.RawMessage, request func(profile *media.Info) (Request, error)) (json.RawMessage, error) {
	var p struct {
		Look  bool `json:"look"`
		Early bool `json:"early"`
	}
	if len(params) > 0 {
		if err := json.Unmarshal(params, &p); err != nil {
			return nil, errs.New(errs.Internal, "slice.plan", "params: %w", err)
		}
	}
	var profile, seen *media.Info
	var look *Look
	var done *Remuxed
	var early *Early
	var ahead *Ahead
	for slot, into := range map[string]any{"profile": &profile, "seen": &seen, "look": &look, "remuxed": &done, "early": &early, "ahead": &ahead} {
		if raw, ok := docs[slot]; ok {
			if err := json.Unmarshal(raw, into); err != nil {
				return nil, errs.New(errs.Internal, "slice.plan", "%s: %w", slot, err)
			}
		}
	}
	if profile == nil {
		return nil, errs.New(errs.Internal, "slice.plan", "no profile")
	}
	best := profile
	if seen != nil {
		best = seen
	}
	r, err := request(best)
	if err != nil {
		return nil, err
	}
	r.Source = best
	switch {
	case p.Early:
		return json.Marshal(EarlyFor(r))
	case p.Look:
		return json.Marshal(lookAt(r, early != nil && early.Early))
	case look != nil:
		plan := Closer(*look, done, profile, seen, r)
		if early != nil && early.Early {
			plan = early.used(plan, ahead, done, r)
		}
		return json.Marshal(plan)
	}
	return json.Marshal(Document(r))
}
