package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// blow is one thing that goes wrong.
type blow struct {
	After int    // tasks have ended
	What  string // a key of harm
	Whom  int    // which of its kind; taken modulo their number
	Long  time.Duration
}

func (b blow) String() string {
	return fmt.Sprintf("after %d: %s %d for %s", b.After, b.What, b.Whom, b.Long.Round(time.Millisecond))
}

// kinds of blows, in an order that the seed mixes.
var kinds = []string{
	"kill gateway", "kill controller", "kill worker", "kill results",
	"cut gateway", "cut controller", "cut worker", "cut results",
	"restart nats", "restart postgres", "crash postgres",
	"slow s3", "failing s3", "lossy s3",
}

// storm is the schedule of a seed: every kind of blow once, then again in
// another order, and so on, about one for every nine tasks. It is over before
// the last tasks are, so that all of it falls on work.
func storm(seed uint64, tasks int) []blow {
	chance := rand.New(rand.NewPCG(seed, 1))
	n := max(len(kinds), tasks/9)
	blows := make([]blow, 0, n)
	var order []string
	for i := range n {
		if len(order) == 0 {
			order = slices.Clone(kinds)
			chance.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		longest := 3 * time.Second
		if i >= len(kinds) {
			longest = 12 * time.Second
		}
		blows = append(blows, blow{
			After: i * tasks * 9 / (10 * n), What: order[0], Whom: chance.IntN(6),
			Long: 200*time.Millisecond + time.Duration(chance.Int64N(int64(longest))),
		})
		order = order[1:]
	}
	return blows
}

// TestStorm: a seed says all there is to say about a storm.
func TestStorm(t *testing.T) {
	t.Parallel()
	for _, tasks := range []int{60, 500} {
		all := storm(7, tasks)
		if !slices.Equal(all, storm(7, tasks)) || slices.Equal(all, storm(8, tasks)) {
			t.Errorf("%d tasks: not the seed makes the storm", tasks)
		}
		seen := map[string]int{}
		for i, b := range all {
			seen[b.What]++
			if b.After >= tasks || b.Long <= 0 || (i > 0 && b.After < all[i-1].After) {
				t.Errorf("%d tasks: %s", tasks, b)
			}
		}
		if len(seen) != len(kinds) {
			t.Errorf("%d tasks: %v", tasks, seen)
		}
	}
}
