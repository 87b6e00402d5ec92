// Package flows holds the recipes mediafn ships: data, one YAML file a flow.
package flows

import (
	"embed"
	"io/fs"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
)

//go:embed *.yaml
var files embed.FS

// Text returns the files' contents by flow name.
func Text() (map[string][]byte, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, errs.As(errs.Internal, "flows", err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		body, err := files.ReadFile(name)
		if err != nil {
			return nil, errs.As(errs.Internal, "flows", err)
		}
		f, err := flow.Parse(body)
		if err != nil {
			return nil, errs.Wrap(name, err)
		}
		all[f.Name] = body
	}
	return all, nil
}

// Book compiles them all.
func Book() (*flow.Book, error) {
	texts, err := Text()
	if err != nil {
		return nil, err
	}
	var plans []*flow.Plan
	for name, body := range texts {
		p, err := flow.Load(body)
		if err != nil {
			return nil, errs.Wrap("flow "+name, err)
		}
		plans = append(plans, p)
	}
	return flow.NewBook(plans...), nil
}
