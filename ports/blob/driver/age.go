package driver

import (
	"context"
	"time"
)

// Rule says what becomes of the objects of a bucket with age.
type Rule struct {
	Name   string        // unique in its bucket: a-z, digits and -
	Prefix string        // of the keys it is for; "" = all
	Cool   time.Duration // age at which they move to the colder class; 0 = never
	Delete time.Duration // age at which they are deleted; 0 = never
}

// Cooler is the optional ability to keep objects that are rarely read where it
// costs less.
type Cooler interface {
	// Cool moves an object to the colder class. Its content, Attr and readers that
	// are open stay as they are; a Put makes it warm again. It is no error if it
	// is there already. NotFound: no such object. Busy: somebody else is moving one.
	Cool(ctx context.Context, bucket, key string) error
}

// Keeper is the optional ability to move and delete objects by age without
// being asked for each.
type Keeper interface {
	// CheckRules says, without speaking to the store, whether it would take the
	// rules. Unsupported: it takes none. Invalid: not these.
	CheckRules(rules []Rule) error

	// SetRules puts rules in force for a bucket, in place of those that were set
	// before, and leaves the rules of others as they are. It makes the bucket if
	// there is none. It fails as CheckRules does, with Denied and with Unsupported
	// if the store refuses.
	SetRules(ctx context.Context, bucket string, rules []Rule) error
}
