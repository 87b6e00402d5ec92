package blob

import (
	"errors"
	"slices"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

// Stores is the set of stores messages may name in "cloud". The application
// builds it once; afterwards it is read only and safe for concurrent use.
type Stores struct {
	byName map[string]*Store
	names  []string
}

// NewStores returns an empty set.
func NewStores() *Stores { return &Stores{byName: map[string]*Store{}} }

// Add puts a store under a name of 1 to 64 characters; the first one added is the
// default. Conflict: the name is taken.
func (s *Stores) Add(name string, st *Store) error {
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }) {
		return errs.InField("cloud", "%q must be 1 to 64 printable ASCII characters without / and spaces", name)
	}
	if s.byName[name] != nil {
		return errs.New(errs.Conflict, "blob.stores.add", "there are two stores called %q", name)
	}
	s.byName[name] = st
	s.names = append(s.names, name)
	return nil
}

// Get returns the store of that name; "" means the default. Invalid, naming
// "cloud": there is none.
func (s *Stores) Get(name string) (*Store, error) {
	if name == "" {
		name = s.Default()
	}
	if st := s.byName[name]; st != nil {
		return st, nil
	}
	return nil, errs.InField("cloud", "%q is not one of the configured stores (%s)", name, strings.Join(s.Names(), ", "))
}

// Default is the name of the first store, "" if there is none.
func (s *Stores) Default() string {
	if len(s.names) == 0 {
		return ""
	}
	return s.names[0]
}

// Names returns all names in order.
func (s *Stores) Names() []string { return slices.Sorted(slices.Values(s.names)) }

// Close closes every store.
func (s *Stores) Close() error {
	var all []error
	for _, name := range s.names {
		all = append(all, s.byName[name].Close())
	}
	return errors.Join(all...)
}
