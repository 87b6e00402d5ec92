package flow

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
)

// The flows the platform itself picks for a request that names a function.
const (
	SingleName = "single"       // any one function
	SlicedName = "video.sliced" // a function that may be sliced
)

// Book is a set of plans by name: the current version of each. It may be
// replaced while others read it; a reader that needs one plan twice keeps it.
type Book struct {
	plans atomic.Pointer[map[string]*Plan]
}

// NewBook returns a book of plans; of two with one name the later counts.
func NewBook(plans ...*Plan) *Book {
	b := &Book{}
	b.Replace(plans...)
	return b
}

// Replace makes the book one of these plans only, all at once.
func (b *Book) Replace(plans ...*Plan) {
	fresh := make(map[string]*Plan, len(plans))
	for _, p := range plans {
		fresh[p.Name] = p
	}
	b.plans.Store(&fresh)
}

// Get returns the plan of that name, or nil.
func (b *Book) Get(name string) *Plan { return (*b.plans.Load())[name] }

// Names lists the flows in alphabetical order.
func (b *Book) Names() []string { return slices.Sorted(maps.Keys(*b.plans.Load())) }

// Choose picks the flow for what a request's cmd names: a flow of that name,
// or the platform's own flow for a function, by whether it may be sliced. An
// unknown cmd is Invalid and names the field. f is nil when cmd is a flow.
func (b *Book) Choose(cmd string, functions *fn.Registry) (p *Plan, f fn.Function, err error) {
	if p := b.Get(cmd); p != nil && cmd != SingleName && cmd != SlicedName {
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
	if p = b.Get(name); p == nil {
		return nil, nil, errs.New(errs.Internal, "flow", "flow %s is missing", name)
	}
	return p, f, nil
}
