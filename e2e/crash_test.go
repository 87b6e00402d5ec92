package e2e_test

import (
	"testing"
	"time"
)

// TestCrash kills the server at every named point, starts it again, and asks
// that nothing accepted is lost, done twice or left behind. "name:n" is the
// point's pass after n others.
func TestCrash(t *testing.T) {
	for _, point := range []string{
		"accepted", "accepted:2", "decided:1", "granted", "granted:4", "inputs fetched:2", "half a slice", "outputs stored:6",
		"callback sent:1", "event committed", "event committed:7", "merging", "task ended:3", "webhook sent", "sweeping:1",
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			data, hooks := t.TempDir(), receive(t)
			s := serve(t, data, point, hooksAllowed)
			w := newWorkload(t, s, hooks, "crash")
			w.submit(s)
			s.died(2 * time.Minute)
			s.orphans()
			s = serve(t, data, "", hooksAllowed)
			w.submit(s)
			w.verify(s)
			quiet(t, s)
			s.stop()
		})
	}
}
