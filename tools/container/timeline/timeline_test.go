package timeline

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/media"
)

// A constant rate is recognised exactly through the rounding of any usual
// time base, and a dropped frame makes it variable.
func TestRateThroughRounding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]media.Rational{{Num: 24000, Den: 1001}, {Num: 24, Den: 1}, {Num: 25, Den: 1}, {Num: 30000, Den: 1001}, {Num: 30, Den: 1},
			{Num: 50, Den: 1}, {Num: 60000, Den: 1001}, {Num: 60, Den: 1}, {Num: 120, Den: 1}}).Draw(t, "rate")
		tb := media.Rational{Num: 1, Den: rapid.SampledFrom([]int64{1000, 12800, 90000, 600000, 60000}).Draw(t, "tb")}
		n := rapid.IntRange(1200, 3000).Draw(t, "n")
		first := rapid.Int64Range(-5000, 5000).Draw(t, "first")
		s := make([]Sample, n)
		for i := range s {
			s[i].PTS = first + int64(math.Round(float64(i)*float64(tb.Den)*float64(rate.Den)/float64(rate.Num)))
		}
		if got, constant := Rate(s, tb); !constant || got != rate {
			t.Fatalf("Rate = %v, %v; want %v", got, constant, rate)
		}
		cut := rapid.IntRange(1, n-2).Draw(t, "cut")
		s = append(s[:cut], s[cut+1:]...)
		if got, constant := Rate(s, tb); constant || got.Known() {
			t.Fatalf("without frame %d: %v, %v", cut, got, constant)
		}
	})
}

func TestOrderLendsAHiddenKey(t *testing.T) {
	s := []Sample{{PTS: -2, Key: true, Hidden: true, Offset: 7}, {PTS: -1, Hidden: true}, {PTS: 1}, {PTS: 0}, {PTS: 3, Key: true}, {PTS: 2}}
	shown, reordered := Order(s)
	g := GOP(shown, true)
	if !reordered || len(shown) != 4 || g.Count != 2 || g.Keys[0] != (media.Key{Frame: 0, PTS: 0, Bytes: 7}) || g.Keys[1].Frame != 3 || !shown[3].Leads {
		t.Errorf("%+v %+v", shown, g)
	}
	if f := Frames(shown, 1, false); f[0].Key || !f[3].Key || f[3].Dur != 1 {
		t.Errorf("%+v", f)
	}
}
