package flow

import (
	"sort"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
)

// The flows the platform itself picks for a request that names a function.
const (
	SingleName = "single"       // any one function
	SlicedName = "video.sliced" // a function that may be sliced
)

// Book is a set of plans by name. It is built once and then only read.
type Book struct{ plans map[string]*Plan }

// NewBook returns a book of plans; of two with one name the later counts.
func NewBook(plans ...*Plan) *Book {
	b := &Book{plans: map[string]*Plan{}}
	for _, p := range plans {
		b.plans[p.Name] = p
	}
	return b
}

// Get returns the plan of that name, or nil.
func (b *Book) Get(name string) *Plan { return b.plans[name] }

// Names lists the flows in alphabetical order.
func (b *Book) Names() []string {
	names := make([]string, 0, len(b.plans))
	for name := range b.plans {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Choose picks the flow for what a request's cmd names: a flow of that name,
// or the platform's own flow for a function, by whether it may be sliced. An
// unknown cmd is Invalid and names the field. f is nil when cmd is a flow.
func (b *Book) Choose(cmd string, functions *fn.Registry) (p *Plan, f fn.Function, err error) {
	if p := b.plans[cmd]; p != nil && cmd != SingleName && cmd != SlicedName {
		return p, nil, nil
	}
	f, err = functions.Get(cmd)
	if err != nil {
		return nil, nil, err
	}
	if f.Spec().Hidden {
		return nil, nil, errs.InField("cmd", "%s is a part of flows and can't be called alone", cmd)
	}
	name := SingleName
	if f.Spec().Slicing.Mode != fn.Whole {
		name = SlicedName
	}
	if p = b.plans[name]; p == nil {
		return nil, nil, errs.New(errs.Internal, "flow", "flow %s is missing", name)
	}
	return p, f, nil
}
