package fn

import (
	"fmt"
	"sort"

	"github.com/mediafn/mediafn/core/errs"
)

// Registry is the menu: functions by name. It is built once and then only
// read, so it needs no lock.
type Registry struct {
	byName map[string]Function
	names  []string
}

// NewRegistry returns a menu of the given functions. Two functions of one name
// are a defect of the program, hence the panic.
func NewRegistry(functions ...Function) *Registry {
	r := &Registry{byName: make(map[string]Function, len(functions))}
	for _, f := range functions {
		name := f.Spec().Name
		if _, twice := r.byName[name]; twice {
			panic(fmt.Sprintf("function %s registered twice", name))
		}
		r.byName[name] = f
		r.names = append(r.names, name)
	}
	sort.Strings(r.names)
	return r
}

// Get returns the function of that name, or an Invalid error that names
// the field "cmd".
func (r *Registry) Get(name string) (Function, error) {
	if f, ok := r.byName[name]; ok {
		return f, nil
	}
	return nil, &errs.Error{Kind: errs.Invalid, Field: "cmd", Msg: fmt.Sprintf("no function or flow is named %q", name)}
}

// Names lists all functions in alphabetical order.
func (r *Registry) Names() []string { return r.names }
