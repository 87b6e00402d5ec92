package sched_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/sched"
)

func TestExplain(t *testing.T) {
	free := one(1)[0]
	free.Cores, free.Memory, free.GPU = 1, 4, 0
	item := func(change func(*sched.Item)) sched.Item {
		it := sched.Item{ID: "i", Function: "f@1", Pool: "cpu", Cores: 1, Kind: "video", Seconds: 3, Ready: at(7)}
		change(&it)
		return it
	}
	want := func(change func(*sched.Want)) []sched.Want {
		w := free
		change(&w)
		return []sched.Want{w}
	}
	plain := item(func(*sched.Item) {})
	for why, c := range map[sched.Why]struct {
		item sched.Item
		want []sched.Want
	}{
		sched.Paused:   {item(func(it *sched.Item) { it.Paused = true }), one(1)},
		sched.Limit:    {item(func(it *sched.Item) { it.Tenant = "full" }), one(1)},
		sched.NoWorker: {item(func(it *sched.Item) { it.Function = "other@1" }), one(1)},
		sched.Draining: {plain, want(func(w *sched.Want) { w.Draining = true })},
		sched.Avoided:  {item(func(it *sched.Item) { it.Avoid = "w" }), one(1)},
		sched.Busy:     {plain, want(func(w *sched.Want) { w.Cores = 0 })},
		sched.Memory:   {item(func(it *sched.Item) { it.Memory = 5 }), want(func(*sched.Want) {})},
		sched.Cards:    {item(func(it *sched.Item) { it.GPU = 1 }), want(func(*sched.Want) {})},
		sched.Kinds:    {plain, want(func(w *sched.Want) { w.Kinds = map[string]int{"video": 0} })},
		sched.Held:     {plain, one(1)},
	} {
		got := sched.Explain([]sched.Item{c.item, c.item}, c.want, map[string]sched.Tenant{"full": {Running: 2, Limit: 2}})
		expect := []sched.Reason{{Why: why, Pool: "cpu", Function: c.item.Function, Count: 2, Seconds: 6, Oldest: at(7)}}
		if diff := cmp.Diff(expect, got); diff != "" {
			t.Errorf("%s:\n%s", why, diff)
		}
	}
	// The nearest worker speaks.
	busy, short := free, free
	busy.Worker, busy.Most, short.Worker, short.Memory = "busy", 0, "short", 0
	it := item(func(it *sched.Item) { it.Memory = 1 })
	if got := sched.Explain([]sched.Item{it}, []sched.Want{short, busy}, nil); got[0].Why != sched.Memory {
		t.Errorf("%+v", got)
	}
}

// TestExplainAgrees: what Match leaves for a reason has one, and what has room
// is granted by the next call unless room is held.
func TestExplainAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		its, ws, ts := items(t, 20), wants(t), tenants(t)
		grants, _ := sched.Match(now, its, ws, ts, nil)
		gone := map[int]bool{}
		left := newLedger(ws)
		for _, g := range grants {
			gone[g.Item] = true
			left.take(&its[g.Item], g)
			if tenant, ok := ts[its[g.Item].Tenant]; ok {
				tenant.Running++
				ts[its[g.Item].Tenant] = tenant
			}
		}
		var rest []sched.Item
		for i := range its {
			if !gone[i] {
				rest = append(rest, its[i])
			}
		}
		total := 0
		for _, r := range sched.Explain(rest, left, ts) {
			total += r.Count
		}
		if total != len(rest) {
			t.Fatalf("%d of %d explained", total, len(rest))
		}
		for i := range rest {
			r := sched.Explain(rest[i:i+1], left, ts)[0]
			fits := false
			for j := range left {
				fits = fits || left.fits(&rest[i], j)
			}
			full := ts[rest[i].Tenant].Limit > 0 && ts[rest[i].Tenant].Running >= ts[rest[i].Tenant].Limit
			if fits && !full != (r.Why == sched.Held) {
				t.Fatalf("%+v waits because of %s", rest[i], r.Why)
			}
		}
	})
}
