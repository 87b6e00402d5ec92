package app

import (
	"os"
	"path/filepath"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/flows"
)

// flows are those of this build and, beside them, those of the folder in the
// configuration, with their texts by name.
func (a *App) flows() (*flow.Book, map[string][]byte, error) {
	texts, err := flows.Text()
	if err != nil {
		return nil, nil, err
	}
	if a.cfg.Flows != "" {
		names, err := filepath.Glob(filepath.Join(a.cfg.Flows, "*.yaml"))
		if err != nil {
			return nil, nil, errs.As(errs.Invalid, "flows", err)
		}
		for _, name := range names {
			body, err := os.ReadFile(name)
			if err != nil {
				return nil, nil, errs.As(errs.Invalid, "flows", err)
			}
			f, err := flow.Parse(body)
			if err != nil {
				return nil, nil, errs.Wrap(name, err)
			}
			texts[f.Name] = body
		}
	}
	var plans []*flow.Plan
	for name, body := range texts {
		p, err := flow.Load(body)
		if err != nil {
			return nil, nil, errs.Wrap("flow "+name, err)
		}
		plans = append(plans, p)
	}
	return flow.NewBook(plans...), texts, nil
}
