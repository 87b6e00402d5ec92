package slice_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/slice"
)

// More workers never make a film end later, and at some point they make it end
// no sooner: the sound, the merge and the shortest slice remain.
func TestCurve(t *testing.T) {
	r := request(clip(7200, pal, 12800, 50))
	workers := []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000}
	curve := slice.Curve(r, workers)
	for i, p := range curve {
		if p.Workers != workers[i] || p.Slices < 2 || p.SlicedCost < r.Price.CPUSeconds || p.WholeCost < r.Price.CPUSeconds {
			t.Errorf("%+v", p)
		}
		if i > 0 && (p.SlicedSeconds > 1.001*curve[i-1].SlicedSeconds || p.Slices < curve[i-1].Slices) {
			t.Errorf("worse than with fewer workers: %+v, %+v", curve[i-1], p)
		}
	}
	one, most := curve[0], curve[len(curve)-1]
	if one.SlicedSeconds < r.Price.CPUSeconds || one.SlicedSeconds > 1.05*r.Price.CPUSeconds {
		t.Errorf("one worker has all the work to do: %+v", one)
	}
	if most.SlicedSeconds < r.Price.Sound || most.SlicedSeconds > 1.2*r.Price.Sound {
		t.Errorf("with a thousand the sound is what is waited for: %+v, sound %v", most, r.Price.Sound)
	}
	if curve[1].WholeSeconds >= one.WholeSeconds || most.WholeSeconds != curve[2].WholeSeconds {
		t.Errorf("four threads are kept busy and no more: %+v", curve)
	}
}

// What cannot be cut has a prediction of the whole all the same.
func TestCurveOfWhatIsNotCut(t *testing.T) {
	r := request(clip(120, pal, 12800, 50))
	r.Source.Format = "avi"
	for _, p := range slice.Curve(r, []int{1, 4}) {
		if p.Slices != 0 || p.SlicedSeconds != 0 || p.WholeSeconds < r.Price.CPUSeconds/4 {
			t.Errorf("%+v", p)
		}
	}
	r.Source = nil
	if p := slice.Curve(r, []int{1}); p[0] != (slice.Prediction{}) {
		t.Errorf("%+v of nothing", p)
	}
}

// Slices of cheap work are long, so that starting them does not cost more than
// they bring, and those of dear work short, so that little is lost with one.
func TestLengthsFollowThePrice(t *testing.T) {
	parts := func(second float64) int {
		r := request(clip(7200, pal, 12800, 50))
		r.Price, r.Workers, r.Mode = fn.Price{CPUSeconds: 7200 * second, Cores: 4}, 600, slice.Force
		return len(slice.Decide(r).Parts)
	}
	if cheap, usual := parts(0.01), parts(3); cheap > 60 || usual < 550 {
		t.Errorf("600 workers: %d parts of cheap work, %d of usual work", cheap, usual)
	}
	r := request(clip(7200, pal, 12800, 50))
	r.Price, r.Workers = fn.Price{CPUSeconds: 7200 * 90, Cores: 1}, 2
	if n := len(slice.Decide(r).Parts); n < 350 {
		t.Errorf("two workers, 90 s of work for a second: %d parts", n)
	}
}

// Every part's share covers its frames and its start, so the shares of all are
// more than the whole; what they add is bounded by the lengths chosen.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := request(clip(rapid.Float64Range(20, 4000).Draw(t, "seconds"), pal, 12800, rapid.IntRange(10, 300).Draw(t, "gop")))
		r.Price.CPUSeconds = r.Source.Duration * rapid.Float64Range(0.1, 50).Draw(t, "price")
		r.Mode, r.Workers = slice.Force, rapid.IntRange(1, 1000).Draw(t, "workers")
		sum := slice.SoundPart(r.Price).Share
		d := slice.Decide(r)
		for _, p := range d.Parts {
			if p.Share <= 0 {
				t.Fatalf("%+v", p)
			}
			sum += p.Share
		}
		if d.Sliced && (sum < 0.99 || sum > 1.5) {
			t.Fatalf("the shares of %d parts are %v together", len(d.Parts), sum)
		}
	})
}

// Two slices of cheap work are found also where no keyframe lies in the middle.
func TestCheapWorkIsCut(t *testing.T) {
	r := request(clip(30, pal, 12800, 120))
	r.Price, r.Workers, r.Mode = fn.Price{CPUSeconds: 1, Cores: 4}, 2, slice.Force
	if d := slice.Decide(r); len(d.Parts) != 2 {
		t.Errorf("%s: %s", d.Code, d.Reason)
	}
}
