package blob

import (
	"context"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// Rule says what becomes of the objects of a bucket with age.
type Rule = driver.Rule

// Cools reports whether the store has a colder class that Cool moves objects to.
func (s *Store) Cools() bool {
	_, ok := s.d.(driver.Cooler)
	return ok
}

// Cool moves an object to the store's colder class, from where it is read as
// before. It is no error if it is there already. Unsupported: there is no such
// class, or the store moves objects by itself only. NotFound: no such object.
func (s *Store) Cool(ctx context.Context, bucket, key string) (err error) {
	const op = "blob.cool"
	defer s.observe("cool", time.Now(), nil, &err)
	if err := checkName(op, bucket, key); err != nil {
		return err
	}
	c, ok := s.d.(driver.Cooler)
	if !ok {
		return errs.New(errs.Unsupported, op, "this store has no colder class")
	}
	return errs.Wrap(op, s.retry(ctx, func() error { return c.Cool(ctx, bucket, key) }))
}

// CheckRules says whether the store would move and delete objects by these rules
// itself. Unsupported: it leaves that to its users. Invalid: not by these.
func (s *Store) CheckRules(rules []Rule) error {
	const op = "blob.rules"
	k, ok := s.d.(driver.Keeper)
	if !ok {
		return errs.New(errs.Unsupported, op, "this store does not know the age of objects")
	}
	return errs.Wrap(op, k.CheckRules(rules))
}

// SetRules has the store move and delete the objects of a bucket by these rules,
// and by none that were set so before; those of others stay. It fails as
// CheckRules does, and as the store refuses.
func (s *Store) SetRules(ctx context.Context, bucket string, rules []Rule) (err error) {
	const op = "blob.rules"
	defer s.observe("rules", time.Now(), nil, &err)
	if err := CheckBucket("bucket", bucket); err != nil {
		return errs.Wrap(op, err)
	}
	if err := s.CheckRules(rules); err != nil {
		return err
	}
	return errs.Wrap(op, s.retry(ctx, func() error { return s.d.(driver.Keeper).SetRules(ctx, bucket, rules) }))
}

// RuleFor is the rule for a key: that with the longest prefix of it.
func RuleFor(rules []Rule, key string) (best Rule, ok bool) {
	for _, r := range rules {
		if strings.HasPrefix(key, r.Prefix) && (!ok || len(r.Prefix) > len(best.Prefix)) {
			best, ok = r, true
		}
	}
	return best, ok
}
