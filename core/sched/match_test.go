package sched_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/sched"
)

var (
	pools = []string{"cpu", "gpu"}
	sizes = []string{"small", "large"}
	now   = at(1000)
)

func at(s int64) time.Time { return time.Unix(s, 0) }

func items(t *rapid.T, most int) []sched.Item {
	all := make([]sched.Item, rapid.IntRange(0, most).Draw(t, "items"))
	for i := range all {
		all[i] = sched.Item{
			ID: fmt.Sprint("i", i), Tenant: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "tenant"),
			Priority: rapid.IntRange(0, 9).Draw(t, "priority"), Function: rapid.SampledFrom([]string{"f@1", "g@1"}).Draw(t, "function"),
			Pool: rapid.SampledFrom(pools).Draw(t, "pool"), Cores: rapid.IntRange(0, 8).Draw(t, "cores"),
			Kind: rapid.SampledFrom([]string{"", "video", "image"}).Draw(t, "kind"), Size: rapid.SampledFrom([]string{"", "small", "large"}).Draw(t, "size"),
			Memory: int64(rapid.IntRange(0, 8).Draw(t, "memory")), Seconds: float64(rapid.IntRange(0, 3).Draw(t, "seconds")),
			GPU:   rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "cards"),
			Ready: at(int64(rapid.IntRange(800, 1000).Draw(t, "ready"))), Avoid: rapid.SampledFrom([]string{"", "", "w0"}).Draw(t, "avoid"),
			Paused: rapid.IntRange(0, 9).Draw(t, "paused") == 0,
		}
		if rapid.Bool().Draw(t, "deadline") {
			all[i].Deadline = at(int64(rapid.IntRange(1, 3).Draw(t, "until")))
		}
		// A fan-out's slices are of one tenant, priority and kind.
		if g := rapid.IntRange(0, 3).Draw(t, "group"); g > 0 {
			all[i].Group, all[i].Tenant, all[i].Priority, all[i].Kind = fmt.Sprint("g", g), "a", 2*g, "video"
		}
	}
	return all
}

func wants(t *rapid.T) []sched.Want {
	all := make([]sched.Want, rapid.IntRange(0, 4).Draw(t, "wants"))
	for i := range all {
		all[i] = sched.Want{
			Worker: fmt.Sprint("w", i), Pools: rapid.SliceOfDistinct(rapid.SampledFrom(pools), rapid.ID).Draw(t, "pools"),
			Functions: map[string]bool{"f@1": true, "g@1": rapid.Bool().Draw(t, "has g")},
			Sizes:     rapid.SliceOfDistinct(rapid.SampledFrom(sizes), rapid.ID).Draw(t, "sizes"),
			Cores:     rapid.IntRange(0, 8).Draw(t, "cores"), Memory: int64(rapid.IntRange(0, 16).Draw(t, "memory")),
			GPU: rapid.IntRange(0, 2).Draw(t, "cards"), Most: rapid.IntRange(0, 5).Draw(t, "most"),
			Groups: rapid.SliceOfDistinct(rapid.SampledFrom([]string{"g1", "g2"}), rapid.ID).Draw(t, "runs"),
			Total:  sched.Room{Cores: 8, Memory: int64(rapid.IntRange(0, 16).Draw(t, "total")), GPU: 2}, Draining: rapid.IntRange(0, 4).Draw(t, "draining") == 0,
		}
		if rapid.Bool().Draw(t, "bounded") {
			all[i].Kinds = map[string]int{"video": rapid.IntRange(0, 2).Draw(t, "videos"), "image": rapid.IntRange(0, 3).Draw(t, "images")}
		}
	}
	return all
}

func tenants(t *rapid.T) map[string]sched.Tenant {
	all := map[string]sched.Tenant{}
	for _, name := range []string{"a", "b"} {
		all[name] = sched.Tenant{
			Running: rapid.IntRange(0, 4).Draw(t, "running"), Weight: float64(rapid.IntRange(0, 3).Draw(t, "weight")),
			Limit: rapid.IntRange(0, 5).Draw(t, "limit"),
		}
	}
	return all
}

func shares(t *rapid.T) sched.Shares {
	all := sched.Shares{}
	for class := sched.Batch; class <= sched.Interactive; class++ {
		for _, name := range []string{"a", "b", "gone"} {
			all[sched.Account{Class: class, Tenant: name}] = sched.Share{
				Ahead: float64(rapid.IntRange(0, 9).Draw(t, "ahead")), Group: rapid.SampledFrom([]string{"", "g1", "g9"}).Draw(t, "begun"),
			}
		}
	}
	return all
}

// ledger counts what is left of the wants as grants are made: a second, plain
// account of the rules.
type ledger []sched.Want

func newLedger(wants []sched.Want) ledger {
	l := slices.Clone(wants)
	for i := range l {
		l[i].Kinds, l[i].Groups = maps.Clone(l[i].Kinds), slices.Clone(l[i].Groups)
	}
	return l
}

func (l ledger) fits(it *sched.Item, i int) bool {
	w := &l[i]
	kind, bounded := w.Kinds[it.Kind]
	counts := it.Cores > 0 && bounded && (it.Group == "" || !slices.Contains(w.Groups, it.Group))
	return !it.Paused && !w.Draining && w.Most > 0 && w.Cores >= min(it.Cores, 1) && w.Memory >= it.Memory && w.GPU >= it.GPU &&
		w.Functions[it.Function] && slices.Contains(w.Pools, it.Pool) && it.Avoid != w.Worker &&
		(it.Size == "" || len(w.Sizes) == 0 || slices.Contains(w.Sizes, it.Size)) && (!counts || kind > 0)
}

func (l ledger) take(it *sched.Item, g sched.Grant) {
	w := &l[g.Want]
	if _, bounded := w.Kinds[it.Kind]; bounded && it.Cores > 0 && (it.Group == "" || !slices.Contains(w.Groups, it.Group)) {
		w.Kinds[it.Kind]--
	}
	if it.Group != "" && it.Cores > 0 {
		w.Groups = append(w.Groups, it.Group)
	}
	w.Cores, w.Memory, w.GPU, w.Most = w.Cores-g.Cores, w.Memory-g.Memory, w.GPU-it.GPU, w.Most-1
}

// TestMatch proves for random work, workers, tenants and shares: nobody is given
// more than he offered, no item twice, nothing to a worker that can't run it, no
// tenant over its limit; what still fits stays behind only on one worker, for
// larger work; and the order of the arguments does not matter.
func TestMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		its, ws, ts, was := items(t, 20), wants(t), tenants(t), shares(t)
		before := maps.Clone(was)
		grants, next := sched.Match(now, its, ws, ts, was)
		if diff := cmp.Diff(before, was); diff != "" {
			t.Fatalf("the shares given were changed:\n%s", diff)
		}
		for account, share := range next {
			if share.Ahead < 0 {
				t.Fatalf("%+v has saved up %g", account, -share.Ahead)
			}
		}
		left, running, granted := newLedger(ws), map[string]int{}, map[int]bool{}
		begun := map[string]bool{}
		for name, tenant := range ts {
			running[name] = tenant.Running
		}
		for _, g := range grants {
			it := &its[g.Item]
			if granted[g.Item] || !left.fits(it, g.Want) || g.Cores > it.Cores || g.Cores > left[g.Want].Cores || g.Memory != it.Memory || (it.Cores > 0 && g.Cores < 1) {
				t.Fatalf("grant %+v of %+v to %+v", g, it, left[g.Want])
			}
			granted[g.Item], begun[it.Group] = true, true
			left.take(it, g)
			running[it.Tenant]++
			if limit := ts[it.Tenant].Limit; limit > 0 && running[it.Tenant] > limit {
				t.Fatalf("%q runs %d of at most %d", it.Tenant, running[it.Tenant], limit)
			}
		}
		kept := map[int]bool{}
		for i := range its {
			limit := ts[its[i].Tenant].Limit
			// A slice that was passed over before a sibling opened its video waits for the next call.
			if granted[i] || (limit > 0 && running[its[i].Tenant] >= limit) || (its[i].Group != "" && begun[its[i].Group]) {
				continue
			}
			for j := range left {
				if left.fits(&its[i], j) {
					kept[j] = true
				}
			}
		}
		for j := range kept {
			large := slices.ContainsFunc(its, func(it sched.Item) bool {
				return (it.Memory > left[j].Memory && it.Memory <= left[j].Total.Memory) || (it.GPU > left[j].GPU && it.GPU <= 2)
			})
			if len(kept) > 1 || !large {
				t.Fatalf("work is left behind though %+v has room, %d so", left[j], len(kept))
			}
		}
		i2, w2 := rapid.Permutation(its).Draw(t, "items again"), rapid.Permutation(ws).Draw(t, "wants again")
		again, nextAgain := sched.Match(now, i2, w2, ts, was)
		if diff := cmp.Diff(pairs(its, ws, grants), pairs(i2, w2, again)) + cmp.Diff(next, nextAgain); diff != "" {
			t.Fatalf("another order of arguments, another result:\n%s", diff)
		}
	})
}

func pairs(its []sched.Item, ws []sched.Want, grants []sched.Grant) (all []string) {
	for _, g := range grants {
		all = append(all, fmt.Sprint(its[g.Item].ID, " ", ws[g.Want].Worker, " ", g.Cores))
	}
	return all
}

// one is a worker that takes n items of any kind.
func one(n int) []sched.Want {
	return []sched.Want{{Worker: "w", Pools: pools, Functions: map[string]bool{"f@1": true, "g@1": true}, Cores: 1 << 20, Memory: 1 << 40, GPU: 1 << 20, Most: n}}
}

// granted lists the items one call grants, in order.
func granted(its []sched.Item, ws []sched.Want, was sched.Shares) (ids []string, next sched.Shares) {
	grants, next := sched.Match(now, its, ws, nil, was)
	for _, g := range grants {
		ids = append(ids, its[g.Item].ID)
	}
	return ids, next
}

func TestClassesGoFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		its := items(t, 20)
		last := sched.Interactive
		grants, _ := sched.Match(now, its, one(100), nil, shares(t))
		for _, g := range grants {
			class := sched.Class(its[g.Item].Priority)
			if class > last {
				t.Fatalf("class %d after %d", class, last)
			}
			last = class
		}
	})
}

func TestOrderInsideATenant(t *testing.T) {
	base := sched.Item{Tenant: "a", Function: "f@1", Pool: "cpu", Priority: 5, Ready: at(9)}
	its := []sched.Item{base, base, base, base, base, base, base}
	its[0].ID = "young"
	its[1].ID, its[1].Ready = "old", at(1)
	its[2].ID, its[2].Seconds = "long", 20
	its[3].ID, its[3].Deadline = "due later", at(20)
	its[4].ID, its[4].Deadline = "due", at(10)
	its[5].ID, its[5].Priority = "urgent", 6
	its[6].ID, its[6].Seconds = "short, so young goes before", 0
	its[6].Ready = at(10)
	got, _ := granted(its, one(9), nil)
	if diff := cmp.Diff([]string{"urgent", "due", "due later", "long", "old", "young", "short, so young goes before"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestPlacement spreads work by how much of a machine is free, not by cores.
func TestPlacement(t *testing.T) {
	w := one(9)[0]
	big, small := w, w
	big.Worker, big.Cores, big.Total.Cores = "big", 4, 16
	small.Worker, small.Cores, small.Total.Cores = "small", 2, 2
	it := sched.Item{ID: "i", Function: "f@1", Pool: "cpu", Cores: 1}
	for range 2 {
		grants, _ := sched.Match(now, []sched.Item{it}, []sched.Want{big, small}, nil, nil)
		if len(grants) != 1 || grants[0].Want != 1 {
			t.Errorf("%+v: a quarter of one machine is free and all of the other", grants)
		}
	}
	// Work without a core goes round.
	its := make([]sched.Item, 6)
	for i := range its {
		its[i] = sched.Item{ID: fmt.Sprint(i), Function: "f@1", Pool: "cpu"}
	}
	count := map[int]int{}
	grants, _ := sched.Match(now, its, []sched.Want{big, small}, nil, nil)
	for _, g := range grants {
		count[g.Want]++
	}
	if count[0] != 3 || count[1] != 3 {
		t.Errorf("placed %v", count)
	}
}

// TestKinds: a machine for two videos takes two videos, and as many slices of
// them as it has cores.
func TestKinds(t *testing.T) {
	w := one(64)[0]
	w.Cores, w.Kinds = 8, map[string]int{"video": 2, "image": 5}
	whole := func(id, kind string, cores int) sched.Item {
		return sched.Item{ID: id, Function: "f@1", Pool: "cpu", Kind: kind, Cores: cores, Tenant: id}
	}
	slice := func(group string, n int) (all []sched.Item) {
		for i := range n {
			it := whole(fmt.Sprint(group, i), "video", 1)
			it.Group, it.Tenant = group, "a"
			all = append(all, it)
		}
		return all
	}
	for name, c := range map[string]struct {
		items []sched.Item
		runs  []string // groups the worker has slices of
		room  int      // for videos
		want  int
	}{
		"three videos":              {[]sched.Item{whole("a", "video", 1), whole("b", "video", 1), whole("c", "video", 1)}, nil, 2, 2},
		"slices of one":             {slice("g", 12), nil, 2, 8},
		"slices of three":           {slices.Concat(slice("g", 2), slice("h", 2), slice("i", 2)), nil, 2, 4},
		"more slices of one inside": {slice("g", 3), []string{"g"}, 0, 3},
		"slices of another":         {slice("h", 3), []string{"g"}, 0, 0},
		"too little to count":       {[]sched.Item{whole("a", "video", 0), whole("b", "video", 0), whole("c", "video", 0)}, nil, 0, 3},
		"sound has no bound":        {[]sched.Item{whole("a", "audio", 1), whole("b", "audio", 1), whole("c", "audio", 1)}, nil, 0, 3},
	} {
		w.Groups, w.Kinds["video"] = c.runs, c.room
		if got, _ := granted(c.items, []sched.Want{w}, nil); len(got) != c.want {
			t.Errorf("%s: granted %v, want %d", name, got, c.want)
		}
	}
}
