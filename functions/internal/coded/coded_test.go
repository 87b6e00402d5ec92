package coded

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/tools/container"
)

func TestInferredDecodeTimes(t *testing.T) {
	// I P B b b P, as coded, at 40 ms a picture.
	all, waits := infer([]container.Coded{{PTS: 0, Size: 9}, {PTS: 160, Size: 5}, {PTS: 80, Size: 3}, {PTS: 40, Size: 1}, {PTS: 120, Size: 1}, {PTS: 200, Size: 5}})
	if waits != 2 {
		t.Errorf("pictures wait for %d", waits)
	}
	for i, want := range []int64{-80, -40, 0, 40, 80, 120} {
		if all[i].DTS != want || all[i].Dur != 40 {
			t.Errorf("picture %d: %+v, want %d", i, all[i], want)
		}
	}
	if all[0].Size != 9 || all[5].Size != 5 {
		t.Errorf("%+v", all)
	}
	if all, waits := infer(nil); all != nil || waits != 0 {
		t.Error("something of nothing")
	}
}

// Whatever the order, nothing is shown before it is decoded, and decode times
// rise if no two pictures share a time.
func TestInferredTimesCanBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "n")
		var pictures []container.Coded
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		for _, i := range rapid.Permutation(order).Draw(t, "order") {
			pictures = append(pictures, container.Coded{PTS: int64(i*40 + i%3), Size: i})
		}
		all, waits := infer(pictures)
		for i := range all {
			if all[i].DTS > pictures[i].PTS || i > 0 && all[i].DTS <= all[i-1].DTS || all[i].Size != pictures[i].Size {
				t.Fatalf("%v of %v", all, pictures)
			}
		}
		if waits < 0 || waits >= n {
			t.Fatalf("waits %d of %d", waits, n)
		}
	})
}
