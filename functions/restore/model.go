package restore

import "github.com/mediafn/mediafn/core/errs"

// Learned is the slot for a learned method in place of the built-in one.
type Learned struct {
	Model string `json:"model" default:"" pattern:"[a-z0-9][a-z0-9._-]{0,63}|" help:"name of a configured model to use in place of the built-in method; empty = the built-in method. Models are not configured here: a name is answered with unsupported, model missing"`
}

func (m Learned) check() error {
	if m.Model != "" {
		return &errs.Error{Kind: errs.Unsupported, Op: "restore", Field: "params.model", Msg: "model missing: " + m.Model + " is not configured"}
	}
	return nil
}
