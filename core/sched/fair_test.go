package sched_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/sched"
)

// many is n items of one tenant.
func many(tenant string, n int, seconds float64) []sched.Item {
	all := make([]sched.Item, n)
	for i := range all {
		all[i] = sched.Item{ID: fmt.Sprintf("%s%05d", tenant, i), Tenant: tenant, Function: "f@1", Pool: "cpu", Priority: 5, Cores: 1, Seconds: seconds, Ready: at(0)}
	}
	return all
}

// line is work that waits, and what one free place after the other takes of it.
type line struct {
	items   []sched.Item
	tenants map[string]sched.Tenant
	shares  sched.Shares
}

func (l *line) next(places int) (got []sched.Item) {
	grants, next := sched.Match(now, l.items, one(places), l.tenants, l.shares)
	l.shares = next
	gone := map[int]bool{}
	for _, g := range grants {
		got = append(got, l.items[g.Item])
		gone[g.Item] = true
	}
	left := l.items[:0:0]
	for i := range l.items {
		if !gone[i] {
			left = append(left, l.items[i])
		}
	}
	l.items = left
	return got
}

// TestShares gives tenants of weights 1 to 4 endless work of any length and one
// free place after the other: CPU seconds by weight never differ by more than
// one piece of work of each.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := line{tenants: map[string]sched.Tenant{}}
		got := map[string]float64{}
		for _, name := range []string{"a", "b", "c"} {
			l.tenants[name] = sched.Tenant{Weight: float64(rapid.IntRange(1, 4).Draw(t, name))}
			for i := range 60 {
				it := many(name, 1, rapid.Float64Range(0, 9).Draw(t, "seconds"))[0]
				it.ID = fmt.Sprint(name, i)
				l.items = append(l.items, it)
			}
		}
		for range rapid.IntRange(1, 30).Draw(t, "calls") {
			for _, it := range l.next(rapid.IntRange(1, 2).Draw(t, "places")) {
				got[it.Tenant] += max(it.Seconds, 0.1) / l.tenants[it.Tenant].Weight
			}
			least, most := min(got["a"], got["b"], got["c"]), max(got["a"], got["b"], got["c"])
			if most-least > 9+1e-9 {
				t.Fatalf("CPU seconds by weight: %v", got)
			}
		}
	})
}

// TestOneBesideTenThousand: the one piece of work of a tenant is in the very
// next grant, whatever the other has had; with n tenants in line, among the
// next n.
func TestOneBesideTenThousand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := line{}
		crowd := rapid.IntRange(1, 5).Draw(t, "tenants in line")
		for i := range crowd {
			l.items = append(l.items, many(fmt.Sprint("crowd", i), 10000/crowd/10, rapid.Float64Range(0, 300).Draw(t, "seconds"))...)
		}
		for range rapid.IntRange(0, 20).Draw(t, "before") {
			l.next(1)
		}
		l.items = append(l.items, many("one", 1, rapid.Float64Range(0, 3000).Draw(t, "its seconds"))...)
		for turn := 1; ; turn++ {
			if got := l.next(1); got[0].Tenant == "one" {
				break
			}
			if turn > crowd {
				t.Fatalf("%d grants to others beside %d tenants", turn, crowd)
			}
		}
	})
}

// TestNothingIsSavedUp: a tenant that was away gets its turn, not what it left
// out; and one that comes with one long work at a time pays for it.
func TestNothingIsSavedUp(t *testing.T) {
	l := line{items: many("busy", 500, 1)}
	l.items = append(l.items, many("late", 1, 1)...)
	for range 200 {
		l.next(1)
	}
	l.items = append(l.items, many("late", 100, 1)...)
	got := map[string]int{}
	for range 20 {
		got[l.next(1)[0].Tenant]++
	}
	if got["late"] < 9 || got["late"] > 11 {
		t.Errorf("of 20 grants %v", got)
	}

	l = line{items: many("steady", 500, 1)}
	got = map[string]int{}
	for range 202 {
		if !slices.ContainsFunc(l.items, func(it sched.Item) bool { return it.Tenant == "long" }) {
			l.items = append(l.items, many("long", 1, 100)...)
		}
		got[l.next(1)[0].Tenant]++
	}
	if got["long"] < 2 || got["long"] > 3 {
		t.Errorf("of 202 grants %v: 100 seconds weigh as much as 100 of one", got)
	}
}

// TestSharesStaySmall: what is kept between calls is bounded by who waits.
func TestSharesStaySmall(t *testing.T) {
	l := line{}
	for i := range 300 {
		l.items = append(l.items, many(fmt.Sprint("t", i), 2, 1)...)
		l.next(1)
	}
	if waiting := len(l.items); len(l.shares) > waiting {
		t.Errorf("%d shares for %d that wait", len(l.shares), waiting)
	}
	l.next(1000)
	if len(l.shares) != 0 {
		t.Errorf("nobody waits, and %v is kept", l.shares)
	}
}

// TestNoStarvation runs finite work to its end, a place a call: every item gets
// its turn.
func TestNoStarvation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := line{items: slices.DeleteFunc(items(t, 30), func(it sched.Item) bool { return it.Paused })}
		for len(l.items) > 0 {
			if got := l.next(1); len(got) != 1 {
				t.Fatalf("%d items wait, %d granted", len(l.items), len(got))
			}
		}
	})
}

// TestShortWorkIsNotLeftBehind has a tenant send long work without end: its own
// short work goes at last.
func TestShortWorkIsNotLeftBehind(t *testing.T) {
	l := line{items: many("a", 1, 1)}
	for i := range 1000 {
		long := many("a", 1, 300)[0]
		long.ID, long.Ready = fmt.Sprint("long", i), at(int64(i))
		l.items = append(l.items, long)
		if !strings.HasPrefix(l.next(1)[0].ID, "long") {
			if i < 299 || i > 301 {
				t.Errorf("after %d", i)
			}
			return
		}
	}
	t.Error("never")
}

// TestSlicesGoTogether: the slices of a fan-out that has begun go before those
// of another, over many calls, and other tenants still have their turns.
func TestSlicesGoTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := line{items: many("b", 100, 1)}
		for _, group := range []string{"g", "h", "i"} {
			for _, it := range many("a", rapid.IntRange(1, 9).Draw(t, "slices"), 1) {
				it.ID, it.Group, it.Seconds = group+it.ID, group, rapid.Float64Range(1, 9).Draw(t, "seconds")
				l.items = append(l.items, it)
			}
		}
		var order []string
		others := 0
		for slices.ContainsFunc(l.items, func(it sched.Item) bool { return it.Group != "" }) {
			for _, it := range l.next(rapid.IntRange(1, 3).Draw(t, "places")) {
				if it.Group == "" {
					others++
				} else if n := len(order); n == 0 || order[n-1] != it.Group {
					order = append(order, it.Group)
				}
			}
			if rapid.IntRange(0, 4).Draw(t, "comes") == 0 { // an unsliced one comes between
				more := many("a", 1, 20)[0]
				more.ID = fmt.Sprint("more", len(l.items))
				l.items = append(l.items, more)
			}
		}
		if len(order) > 3 || (len(l.items) < 90 && others == 0) {
			t.Fatalf("groups %v, %d of others between", order, others)
		}
	})
}

func TestLimits(t *testing.T) {
	l := line{items: slices.Concat(many("a", 5, 1), many("b", 5, 1)), tenants: map[string]sched.Tenant{"a": {Running: 2, Limit: 3}}}
	got := map[string]int{}
	for _, it := range l.next(9) {
		got[it.Tenant]++
	}
	if got["a"] != 1 || got["b"] != 5 {
		t.Errorf("granted %v", got)
	}
}
