package sched_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/sched"
)

// BenchmarkMatch matches 1,024 items of 50 tenants with 100 offers, once with
// room for a few, once for all, and says how that compares with sorting the
// items once.
func BenchmarkMatch(b *testing.B) {
	var its []sched.Item
	for i := range 1024 {
		its = append(its, sched.Item{
			ID: fmt.Sprint("item", i*7919%1024), Tenant: fmt.Sprint("t", i%50), Group: fmt.Sprint("g", i/16), Priority: 3 + i%4, Function: fmt.Sprint("f", i%20, "@1"),
			Pool: "cpu", Kind: "video", Size: "small", Cores: 1, Memory: int64(1+i%9) << 28, Seconds: float64(i*31%997) / 10, Ready: at(int64(i * 37 % 1021)),
		})
	}
	functions := map[string]bool{}
	for i := range 40 {
		functions[fmt.Sprint("f", i, "@1")] = true
	}
	for _, c := range []struct {
		name  string
		cores int
		kinds int
	}{{"room for 100", 1, 2}, {"room for all", 16, 20}, {"no room", 0, 2}} {
		var ws []sched.Want
		for i := range 100 {
			ws = append(ws, sched.Want{
				Worker: fmt.Sprint("w", i), Pools: []string{"cpu"}, Functions: functions, Cores: c.cores, Memory: 64 << 30, Most: 64,
				Kinds: map[string]int{"video": c.kinds, "image": 5}, Total: sched.Room{Cores: 16, Memory: 64 << 30},
			})
		}
		b.Run(c.name, func(b *testing.B) {
			var sorting time.Duration
			for b.Loop() {
				sched.Match(now, its, ws, nil, nil)
				b.StopTimer()
				began := time.Now()
				slices.SortFunc(slices.Clone(its), func(x, y sched.Item) int {
					return cmp.Or(y.Priority-x.Priority, cmp.Compare(y.Seconds, x.Seconds), cmp.Compare(x.ID, y.ID))
				})
				sorting += time.Since(began)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed())/float64(sorting), "x-sorting")
		})
	}
}
