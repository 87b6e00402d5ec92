package sched_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/sched"
)

// yard is machines that run what they are granted, minute by minute.
type yard struct {
	clock   time.Time
	memory  []int64 // free, by machine
	total   int64
	running []run
	shares  sched.Shares
}

type run struct {
	item sched.Item
	on   int
	end  time.Time
}

// turn ends what is over, then matches. It returns what began and what is left.
func (y *yard) turn(waiting []sched.Item, lasts func(sched.Item) time.Duration) (began []string, left []sched.Item) {
	y.clock = y.clock.Add(10 * time.Second)
	still := y.running[:0:0]
	for _, r := range y.running {
		if r.end.After(y.clock) {
			still = append(still, r)
		} else {
			y.memory[r.on] += r.item.Memory
		}
	}
	y.running = still
	ws := make([]sched.Want, len(y.memory))
	for i := range ws {
		ws[i] = one(64)[0]
		ws[i].Worker, ws[i].Memory, ws[i].Total.Memory = fmt.Sprint("w", i), y.memory[i], y.total
	}
	grants, next := sched.Match(y.clock, waiting, ws, nil, y.shares)
	y.shares = next
	gone := map[int]bool{}
	for _, g := range grants {
		it := waiting[g.Item]
		gone[g.Item] = true
		y.memory[g.Want] -= it.Memory
		y.running = append(y.running, run{it, g.Want, y.clock.Add(lasts(it))})
		began = append(began, it.ID)
	}
	for i := range waiting {
		if !gone[i] {
			left = append(left, waiting[i])
		}
	}
	return began, left
}

// TestLargeWorkIsPlaced has small work come without end, of the same or another
// tenant, so that no machine is ever empty by itself: work that needs a whole
// machine gets one all the same, and the other machines go on.
func TestLargeWorkIsPlaced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y := &yard{clock: at(0), total: 8}
		for range rapid.IntRange(1, 3).Draw(t, "machines") {
			y.memory = append(y.memory, 8)
		}
		lasts := time.Duration(rapid.IntRange(10, 600).Draw(t, "seconds of small work")) * time.Second
		owner := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "tenant")
		var waiting []sched.Item
		small := 0
		for turn := 0; ; turn++ {
			for range 8 * len(y.memory) {
				it := many("a", 1, 1)[0]
				it.ID, it.Memory, it.Ready = fmt.Sprint("small", small), 1, y.clock
				small++
				waiting = append(waiting, it)
			}
			if len(waiting) > 200 {
				waiting = waiting[len(waiting)-200:]
			}
			if turn == 5 {
				large := many(owner, 1, 30)[0]
				large.ID, large.Memory, large.Ready = "large", 8, y.clock
				waiting = append([]sched.Item{large}, waiting...)
			}
			if turn > 5 && waiting[0].ID != "large" {
				waiting = append([]sched.Item{{ID: "large", Tenant: owner, Function: "f@1", Pool: "cpu", Priority: 5, Cores: 1, Seconds: 30, Memory: 8, Ready: at(60)}}, waiting...)
			}
			var began []string
			began, waiting = y.turn(waiting, func(sched.Item) time.Duration { return lasts })
			for _, id := range began {
				if id == "large" {
					return
				}
			}
			if turn > 720 {
				t.Fatalf("not within two hours beside work of %s on %d machines", lasts, len(y.memory))
			}
		}
	})
}

// TestLargeWorkDoesNotBlock: work that no machine can carry blocks nobody; work
// that waits for something without end lets smaller work through again.
func TestLargeWorkDoesNotBlock(t *testing.T) {
	large, small := many("a", 1, 30)[0], many("b", 1, 1)[0]
	large.Memory, small.Memory = 9, 1
	w := one(9)[0]
	w.Memory, w.Total.Memory = 4, 8
	its := []sched.Item{large, small}
	if got, _ := granted(its, []sched.Want{w}, nil); len(got) != 1 || got[0] != small.ID {
		t.Errorf("too large for all: granted %v", got)
	}
	its[0].Memory = 8
	free, held := 0, 0
	for waited := time.Duration(0); waited < 2*time.Hour; waited += time.Minute {
		grants, _ := sched.Match(its[0].Ready.Add(waited), its, []sched.Want{w}, nil, nil)
		if len(grants) > 0 {
			free++
		} else {
			held++
		}
	}
	if held < 30 || free < 30 {
		t.Errorf("of two hours held %d minutes, free %d", held, free)
	}
	its[0].Priority = 0 // batch
	if got, _ := granted(its, []sched.Want{w}, nil); len(got) != 1 {
		t.Errorf("large work of a lower class keeps %v back", got)
	}
}
