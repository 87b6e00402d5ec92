package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestChaos kills the server again and again at moments nobody chose, some
// times in each round, on one data folder, and asks the same as TestCrash
// after each round.
func TestChaos(t *testing.T) {
	t.Parallel()
	random := *seed
	if random == 0 {
		random = uint64(time.Now().UnixNano())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again with: go test ./e2e -run Chaos -chaos.rounds=%d -chaos.seed=%d", *rounds, random)
		}
	})
	chance := rand.New(rand.NewPCG(random, 1))
	data, hooks := t.TempDir(), receive(t)
	for round := range *rounds {
		s := serve(t, data, "", hooksAllowed)
		w := newWorkload(t, s, hooks, fmt.Sprintf("round%d", round))
		chance.Shuffle(len(w.tasks), func(i, j int) { w.tasks[i], w.tasks[j] = w.tasks[j], w.tasks[i] })
		for range 1 + chance.IntN(3) {
			moment := time.Duration(chance.Int64N(int64(2500 * time.Millisecond)))
			t.Logf("round %d: killed after %s", round, moment)
			// It may die while it answers, and before anything was sent.
			shot := time.AfterFunc(moment, func() { _ = s.cmd.Process.Kill() })
			w.submit(s)
			s.died(time.Minute)
			shot.Stop()
			s.orphans()
			s = serve(t, data, "", hooksAllowed)
		}
		w.submit(s)
		w.verify(s)
		quiet(t, s)
		s.stop()
		if t.Failed() {
			return
		}
	}
}
