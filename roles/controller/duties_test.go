package controller

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/mem"
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

// TestOfferToFormerMatcher: an offer that was under way when the duty went to
// another is answered at once, so that its worker makes it there.
func TestOfferToFormerMatcher(t *testing.T) {
	q, err := mem.Open(mem.Options{}, queue.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close(t.Context()) }()
	answers := make(chan string, 1)
	if _, err := q.Subscribe(t.Context(), "reply", "", func(_ context.Context, m queue.Message) { answers <- string(m.Data) }); err != nil {
		t.Fatal(err)
	}
	c := New(Default(), Parts{Queue: q})
	c.want(t.Context(), &offer{Want: job.Want{Worker: "w", Most: 1}, reply: "reply"})
	if got := <-answers; !strings.Contains(got, `"grants":[]`) || len(c.wants) != 0 {
		t.Errorf("answered %s; %d offers are kept", got, len(c.wants))
	}
}
