package controller

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/job"
)

// TestOwner holds rendezvous hashing to what it is for: every member has a
// part, and when one comes or goes nobody else's partitions move.
func TestOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var members []string
		for i := range rapid.IntRange(1, 12).Draw(t, "members") {
			members = append(members, fmt.Sprintf("c%d-%d", i, rapid.Uint32().Draw(t, "name")))
		}
		grown := append([]string{"new"}, members...)
		for p := range job.Partitions {
			before, after := owner(p, members), owner(p, grown)
			if after != before && after != "new" {
				t.Fatalf("partition %d moved from %s to %s when another came", p, before, after)
			}
		}
	})
	shares := map[string]int{}
	for n := range 200 {
		members := []string{fmt.Sprint("a", n), fmt.Sprint("b", n), fmt.Sprint("c", n), fmt.Sprint("d", n)}
		for p := range job.Partitions {
			shares[owner(p, members)[:1]]++
		}
	}
	for member, n := range shares {
		if want := 200 * job.Partitions / 4; n < want*8/10 || n > want*12/10 {
			t.Errorf("%s has %d partitions, a fair share is %d", member, n, want)
		}
	}
}
