package slice

import (
	"encoding/json"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// Answer is slice.plan as flows call it: a Plan, or with the parameter look a
// Look. Documents are the source's profile and, after a look, that look, what
// remuxing came to and the profile that was made then, as far as there are any.
// request makes the request for a profile; its Source is filled in here.
func Answer(docs map[string]json.RawMessage, params json.RawMessage, request func(profile *media.Info) (Request, error)) (json.RawMessage, error) {
	var p struct {
		Look bool `json:"look"`
	}
	if len(params) > 0 {
		if err := json.Unmarshal(params, &p); err != nil {
			return nil, errs.New(errs.Internal, "slice.plan", "params: %w", err)
		}
	}
	var profile, seen *media.Info
	var look *Look
	var done *Remuxed
	for slot, into := range map[string]any{"profile": &profile, "seen": &seen, "look": &look, "remuxed": &done} {
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
	case p.Look:
		return json.Marshal(LookAt(r))
	case look != nil:
		return json.Marshal(Closer(*look, done, profile, seen, r))
	}
	return json.Marshal(Document(r))
}
