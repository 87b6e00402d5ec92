package sweep

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/blob"
)

// Ages say how old objects get; 0 = they stay.
type Ages struct {
	Originals     []string      // buckets of what is uploaded
	OriginalsCold time.Duration // then they move to the colder class
	OriginalsKeep time.Duration
	Results       time.Duration
	Segments      time.Duration // of tasks, beside what is swept with their end
	Cache         time.Duration // slices kept for later tasks; 0 = as segments
}

// Kinds of buckets, for people.
const (
	originals = "originals"
	results   = "results"
	segments  = "segments"
	cached    = "cache" // a rule of its own in the segments' bucket
)

// bucket is one with what becomes of its objects.
type bucket struct {
	name  string
	kind  string
	rules []blob.Rule
}

// Rules are those of each bucket.
func (a Ages) rules(place task.Place) []bucket {
	rule := func(name, prefix string, cool, del time.Duration) []blob.Rule {
		if cool == 0 && del == 0 {
			return nil
		}
		return []blob.Rule{{Name: name, Prefix: prefix, Cool: cool, Delete: del}}
	}
	var all []bucket
	for _, name := range a.Originals {
		all = append(all, bucket{name, originals, rule(originals, "", a.OriginalsCold, a.OriginalsKeep)})
	}
	return append(all, bucket{place.Results, results, rule(results, "", 0, a.Results)},
		bucket{place.Segments, segments, append(rule(segments, "", 0, a.Segments), rule(cached, job.Cached, 0, a.Cache)...)})
}

// Check says whether a store, by its CheckRules, will do with these ages. Invalid:
// it keeps rules, and can't keep these.
func (a Ages) Check(keeps func([]blob.Rule) error, place task.Place) error {
	for _, b := range a.rules(place) {
		if err := keeps(b.rules); errs.Is(err, errs.Invalid) {
			return err
		}
	}
	return nil
}

// Ager moves and deletes objects by their age, or has the store do it where the
// store can and may. Places that callers named are no business of its own: it
// looks at the buckets of Ages and of the platform only, and in the latter at
// keys of tasks only. It is a duty of one controller at a time; two would do the
// same twice.
type Ager struct {
	*Sweeper
	Ages    Ages
	Every   time.Duration // between two looks
	Metrics *Metrics
	told    map[string]bool // what the log has been told already
}

// DutyAge is that of one Ager at a time.
const DutyAge = "age"

// Run works until ctx ends.
func (a *Ager) Run(ctx context.Context) error {
	store, err := a.Stores.Get(a.Place.Cloud)
	if err != nil {
		return errs.Wrap("lifecycle", err)
	}
	a.told = map[string]bool{}
	ticker := time.NewTicker(a.term() / 4)
	defer ticker.Stop()
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = a.Store.Release(last, DutyAge, a.Name) // else it runs out
	}()
	var next time.Time
	for {
		if now := a.Store.Now(); a.holds(ctx) && !now.Before(next) {
			next = now.Add(a.Every)
			for _, b := range a.Ages.rules(a.Place) {
				a.keep(ctx, store, b)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// term is how long the duty is held before it must be renewed: short, so that
// another controller soon takes over from one that was killed.
func (a *Ager) term() time.Duration { return max(10*a.Sweeper.Every, 10*time.Second) }

func (a *Ager) holds(ctx context.Context) bool {
	_, held, err := a.Store.Hold(ctx, DutyAge, a.Name, a.term())
	if err != nil && ctx.Err() == nil {
		a.Parts.Log.Warn("lifecycle: duty not renewed", "err", err)
	}
	a.Parts.Metrics.Holds(DutyAge, held && err == nil)
	return held && err == nil
}

// keep sees to one bucket: the store does, or what is due now is done.
func (a *Ager) keep(ctx context.Context, store *blob.Store, b bucket) {
	err := store.SetRules(ctx, b.name, b.rules)
	switch errs.KindOf(err) {
	case errs.Unsupported, errs.Denied: // it leaves it to us, or refuses
		if store.CheckRules(b.rules) == nil {
			a.once(b.name, "the store takes no lifecycle rules: objects are deleted one by one", "bucket", b.name, "err", err)
		}
		err = a.look(ctx, store, b)
	}
	if err != nil && ctx.Err() == nil {
		a.Parts.Log.Warn("lifecycle: a bucket is not seen to; it will be at the next look", "bucket", b.name, "err", err)
	}
}

func (a *Ager) once(about, text string, args ...any) {
	if !a.told[about] {
		a.told[about] = true
		a.Parts.Log.Warn("lifecycle: "+text, args...)
	}
}

// look does what is due in a bucket.
func (a *Ager) look(ctx context.Context, store *blob.Store, b bucket) error {
	if len(b.rules) == 0 {
		return nil
	}
	if b.rules[0].Cool > 0 && !store.Cools() {
		if !a.told["cold"] {
			a.told["cold"] = true
			a.Parts.Log.Info("lifecycle: the store has no colder class: originals stay where they are", "bucket", b.name)
		}
		for i := range b.rules {
			b.rules[i].Cool = 0
		}
	}
	l := &looking{Ager: a, bucket: b, now: a.Store.Now(), live: map[string]bool{}}
	for after := ""; ; {
		items, err := store.List(ctx, b.name, "", after, blob.MaxList)
		if err != nil {
			return err
		}
		if err := l.page(ctx, store, items); err != nil {
			return err
		}
		if len(items) < blob.MaxList {
			return nil
		}
		if after = items[len(items)-1].Key; !a.holds(ctx) {
			return nil
		}
	}
}

// looking is one look at one bucket.
type looking struct {
	*Ager
	bucket bucket
	now    time.Time
	live   map[string]bool // tasks that were asked for
}

// What becomes of an object.
const (
	stay = iota
	cool
	del
)

// due is what the rules say of an object. It is pure.
func due(rules []blob.Rule, item *blob.Item, now time.Time) int {
	r, ok := blob.RuleFor(rules, item.Key)
	switch age := now.Sub(item.ModTime); {
	case !ok:
		return stay
	case r.Delete > 0 && age >= r.Delete:
		return del
	case r.Cool > 0 && age >= r.Cool && !item.Cold:
		return cool
	}
	return stay
}

func (l *looking) page(ctx context.Context, store *blob.Store, items []blob.Item) error {
	var used map[string]bool // by key; read when it is needed first
	for i := range items {
		item := &items[i]
		act := due(l.bucket.rules, item, l.now)
		if act == del {
			free, err := l.free(ctx, item.Key, &used)
			if err != nil {
				return err
			}
			if !free {
				act = stay
			}
		}
		var err error
		switch act {
		case stay:
			continue
		case del:
			err = store.Delete(ctx, l.bucket.name, item.Key)
		case cool:
			err = store.Cool(ctx, l.bucket.name, item.Key)
		}
		switch {
		case errs.Is(err, errs.NotFound):
		case err != nil:
			return err
		default:
			rule, _ := blob.RuleFor(l.bucket.rules, item.Key)
			l.Metrics.aged(rule.Name, act, item.Size)
			l.Parts.Log.Debug("lifecycle", "bucket", l.bucket.name, "key", item.Key, "deleted", act == del, "bytes", item.Size)
		}
	}
	return nil
}

// free reports whether no task that is not over needs an object, and whether it is
// one of those the platform has made.
func (l *looking) free(ctx context.Context, key string, used *map[string]bool) (bool, error) {
	id, _, _ := strings.Cut(key, "/")
	switch {
	case l.bucket.kind == originals || l.bucket.kind == segments && strings.HasPrefix(key, job.Cached):
		if *used == nil {
			names := map[string]bool{}
			err := l.Store.Used(ctx, func(ref media.Ref) {
				if cmp.Or(ref.Cloud, l.Stores.Default()) == l.Place.Cloud && ref.Bucket == l.bucket.name {
					names[ref.Key] = true
				}
			})
			if err != nil {
				return false, err
			}
			*used = names
		}
		return !(*used)[key], nil
	case !task.IsID(id):
		return false, nil
	}
	live, known := l.live[id]
	if !known {
		t, err := l.Store.Task(ctx, id)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return false, err
		}
		live = err == nil && !t.State.Final()
		l.live[id] = live
	}
	return !live, nil
}
