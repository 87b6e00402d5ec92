package sched_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/sched"
)

var pools = []string{"cpu", "gpu"}

func items(t *rapid.T, most int) []sched.Item {
	all := make([]sched.Item, rapid.IntRange(0, most).Draw(t, "items"))
	for i := range all {
		all[i] = sched.Item{
			ID: fmt.Sprint("i", i), Tenant: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "tenant"),
			Priority: rapid.IntRange(0, 9).Draw(t, "priority"), Function: rapid.SampledFrom([]string{"f@1", "g@1"}).Draw(t, "function"),
			Pool: rapid.SampledFrom(pools).Draw(t, "pool"), Cores: rapid.IntRange(0, 8).Draw(t, "cores"),
			Memory: int64(rapid.IntRange(0, 8).Draw(t, "memory")), Seconds: float64(rapid.IntRange(0, 3).Draw(t, "seconds")),
			Ready: time.Unix(int64(rapid.IntRange(0, 3).Draw(t, "ready")), 0),
		}
		if rapid.Bool().Draw(t, "deadline") {
			all[i].Deadline = time.Unix(int64(rapid.IntRange(1, 3).Draw(t, "until")), 0)
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
			Cores:     rapid.IntRange(0, 8).Draw(t, "cores"), Memory: int64(rapid.IntRange(0, 16).Draw(t, "memory")),
			Most: rapid.IntRange(0, 5).Draw(t, "most"),
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

func fits(it *sched.Item, w *sched.Want) bool {
	return w.Most > 0 && w.Cores >= min(it.Cores, 1) && w.Memory >= it.Memory && w.Functions[it.Function] && slices.Contains(w.Pools, it.Pool)
}

// TestMatch proves for random work, workers and tenants: nobody is given more
// than he offered, no item twice, nothing to a worker that can't run it, no
// tenant over its limit; nothing that still fits stays behind; and the order of
// the arguments does not matter.
func TestMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		its, ws, ts := items(t, 20), wants(t), tenants(t)
		grants := sched.Match(its, ws, ts)
		left := slices.Clone(ws)
		running := map[string]int{}
		for name, tenant := range ts {
			running[name] = tenant.Running
		}
		granted := map[int]bool{}
		for _, g := range grants {
			it, w := &its[g.Item], &left[g.Want]
			if granted[g.Item] || !fits(it, w) || g.Cores > it.Cores || g.Cores > w.Cores || g.Memory != it.Memory || (it.Cores > 0 && g.Cores < 1) {
				t.Fatalf("grant %+v of %+v to %+v", g, it, w)
			}
			granted[g.Item] = true
			w.Cores, w.Memory, w.Most = w.Cores-g.Cores, w.Memory-g.Memory, w.Most-1
			running[it.Tenant]++
			if limit := ts[it.Tenant].Limit; limit > 0 && running[it.Tenant] > limit {
				t.Fatalf("%q runs %d of at most %d", it.Tenant, running[it.Tenant], limit)
			}
		}
		for i := range its {
			limit := ts[its[i].Tenant].Limit
			if granted[i] || (limit > 0 && running[its[i].Tenant] >= limit) {
				continue
			}
			for j := range left {
				if fits(&its[i], &left[j]) {
					t.Fatalf("%+v is left behind though %+v has room", its[i], left[j])
				}
			}
		}
		i2, w2 := rapid.Permutation(its).Draw(t, "items again"), rapid.Permutation(ws).Draw(t, "wants again")
		if diff := cmp.Diff(pairs(its, ws, grants), pairs(i2, w2, sched.Match(i2, w2, ts))); diff != "" {
			t.Fatalf("another order of arguments, other grants:\n%s", diff)
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
	return []sched.Want{{Worker: "w", Pools: pools, Functions: map[string]bool{"f@1": true, "g@1": true}, Cores: 1 << 20, Memory: 1 << 40, Most: n}}
}

func TestClassesGoFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		its := items(t, 20)
		last := 2
		for _, g := range sched.Match(its, one(100), nil) {
			class := sched.Class(its[g.Item].Priority)
			if class > last {
				t.Fatalf("class %d after %d", class, last)
			}
			last = class
		}
	})
}

// TestShares gives tenants of weights 1 to 4 endless work and one slot after
// the other: what runs at any moment differs from their shares by two at most.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := map[string]float64{}
		total := 0.0
		var its []sched.Item
		ts := map[string]sched.Tenant{}
		for _, name := range []string{"a", "b", "c"} {
			weights[name] = float64(rapid.IntRange(1, 4).Draw(t, name))
			total += weights[name]
			ts[name] = sched.Tenant{Weight: weights[name]}
			for i := range 200 {
				its = append(its, sched.Item{ID: fmt.Sprint(name, i), Tenant: name, Function: "f@1", Pool: "cpu", Priority: 5})
			}
		}
		n := rapid.IntRange(1, 120).Draw(t, "slots")
		got := map[string]float64{}
		for _, g := range sched.Match(its, one(n), ts) {
			got[its[g.Item].Tenant]++
		}
		for name, weight := range weights {
			if want := float64(n) * weight / total; got[name] < want-2 || got[name] > want+2 {
				t.Fatalf("%s of weight %g has %g of %d, want about %g", name, weight, got[name], n, want)
			}
		}
	})
}

// TestNoStarvation runs finite work of one class to its end, a slot a round:
// every item gets its turn.
func TestNoStarvation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		its := items(t, 30)
		for len(its) > 0 {
			grants := sched.Match(its, one(1), nil)
			if len(grants) != 1 {
				t.Fatalf("%d items wait, %d granted", len(its), len(grants))
			}
			its = slices.Delete(its, grants[0].Item, grants[0].Item+1)
		}
	})
}

func TestOrderInsideATenant(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	base := sched.Item{Tenant: "a", Function: "f@1", Pool: "cpu", Priority: 5}
	its := []sched.Item{base, base, base, base, base, base}
	its[0].ID, its[0].Ready = "young", at(9)
	its[1].ID, its[1].Ready = "old", at(1)
	its[2].ID, its[2].Seconds = "long", 10
	its[3].ID, its[3].Deadline = "due later", at(20)
	its[4].ID, its[4].Deadline = "due", at(10)
	its[5].ID, its[5].Priority = "urgent", 6
	var got []string
	for _, g := range sched.Match(its, one(9), nil) {
		got = append(got, its[g.Item].ID)
	}
	if diff := cmp.Diff([]string{"urgent", "due", "due later", "long", "old", "young"}, got); diff != "" {
		t.Error(diff)
	}
}
