// Package settings reads the configuration file of the command line.
package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/core/errs"
)

// File is what a configuration file says, as one more source of flags:
// a flag on the command line counts more, then its environment variable, then
// the file.
type File map[string]any

// Load reads a YAML or JSON file.
func (s File) Load(r io.Reader) (kong.Resolver, error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, errs.As(errs.Invalid, "config", err)
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(body, &values); err != nil {
		return nil, errs.New(errs.Invalid, "config", "%s", yaml.FormatError(err, false, true))
	}
	for name, v := range values {
		s[name] = v
	}
	return s, nil
}

// Validate refuses keys that are no setting: a misspelled one must not be
// silently without effect.
func (s File) Validate(a *kong.Application) error {
	known := []string{"tenants"}
	_ = kong.Visit(a, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && len(flag.Envs) > 0 {
			known = append(known, flag.Name)
		}
		return next(nil)
	})
	var unknown []string
	for name := range s {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return errs.New(errs.Invalid, "config", "unknown key(s): %s", strings.Join(unknown, ", "))
	}
	return nil
}

// Resolve gives the file's value for a flag nobody set otherwise.
func (s File) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if len(flag.Envs) == 0 {
		return nil, nil // what is no setting has neither a variable nor a key
	}
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	return s[flag.Name], nil
}

// Tenants decodes the one setting that is no flag.
func (s File) Tenants() ([]app.Tenant, error) {
	raw, err := json.Marshal(s["tenants"])
	if err != nil {
		return nil, errs.New(errs.Invalid, "config", "tenants: %w", err)
	}
	var all []app.Tenant
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&all); err != nil {
		return nil, errs.New(errs.Invalid, "config", "tenants: %s", strings.TrimPrefix(fmt.Sprint(err), "json: "))
	}
	return all, nil
}
