package window

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/task"
)

// TestWindow puts and drops at random: the bound holds, the counts are right,
// nobody who has little is kept out, and the most urgent of a tenant stay.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := New(rapid.IntRange(4, 12).Draw(t, "most"))
		for i := range rapid.IntRange(1, 80).Draw(t, "steps") {
			w := &task.Work{
				ID:     fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "id")),
				Tenant: rapid.SampledFrom([]string{"a", "a", "a", "b", "c"}).Draw(t, "tenant"), Priority: rapid.IntRange(0, 9).Draw(t, "priority"),
			}
			w.ID = w.Tenant + w.ID
			if rapid.IntRange(0, 4).Draw(t, "drop") == 0 {
				v.Drop(w.ID)
				continue
			}
			before, room := len(v.Rows), v.Open(w.Tenant)
			all := v.Put(w)
			if room && v.Rows[w.ID] != w {
				t.Fatalf("step %d: there was room for %s, and it is not in", i, w.Tenant)
			}
			if all && v.Rows[w.ID] != w || len(v.Rows) > v.most || (before < v.most && !all) {
				t.Fatalf("step %d: %d of %d rows, all %v", i, len(v.Rows), v.most, all)
			}
			n := map[string]int{}
			for id, row := range v.Rows {
				n[row.Tenant]++
				if id != row.ID {
					t.Fatal("a row under another id")
				}
			}
			for tenant, p := range v.tenants {
				sum := 0
				for _, k := range p.by {
					sum += k
				}
				if p.n != n[tenant] || sum != p.n || p.n == 0 {
					t.Fatalf("%s is counted as %d, %v; it has %d", tenant, p.n, p.by, n[tenant])
				}
			}
		}
	})
}

// TestWindowKeepsTheUrgent fills it with a tenant's batch work and adds an
// urgent one, and then another tenant's.
func TestWindowKeepsTheUrgent(t *testing.T) {
	v := New(8)
	for i := range 20 {
		v.Put(&task.Work{ID: fmt.Sprint("crowd", i), Tenant: "crowd", Priority: 1})
	}
	urgent := &task.Work{ID: "urgent", Tenant: "crowd", Priority: 9}
	other := &task.Work{ID: "other", Tenant: "other", Priority: 0}
	for _, w := range []*task.Work{urgent, other} {
		if v.Put(w) {
			t.Errorf("%s: nothing had to go for it", w.ID)
		}
	}
	if len(v.Rows) != 8 || v.Rows["urgent"] != urgent || v.Rows["other"] != other {
		t.Errorf("%d rows, %v, %v", len(v.Rows), v.Rows["urgent"], v.Rows["other"])
	}
	if v.Put(&task.Work{ID: "late", Tenant: "crowd", Priority: 0}) || v.Rows["late"] != nil {
		t.Error("less urgent work of the crowd pushed something out")
	}
}
