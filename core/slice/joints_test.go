package slice_test

import (
	"math"
	"testing"

	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
)

// cutAt is a promise of 25 frames a second, cut at seconds.
func cutAt(end int64, at ...int64) *slice.Promise {
	p := &slice.Promise{TimeBase: media.Rational{Num: 1, Den: 25}, EndPTS: 25 * end, Frames: 25 * end}
	for _, t := range at {
		p.Joints = append(p.Joints, slice.Joint{Frame: 25 * t, PTS: 25 * t})
	}
	return p
}

func TestJointSpots(t *testing.T) {
	spots := slice.JointSpots(cutAt(40, 10, 11, 30))
	if len(spots) != 3 {
		t.Fatalf("%d spots", len(spots))
	}
	for i, want := range []slice.JointSpot{
		{Order: 1, At: 10, Before: 8, After: 11, From: 7.5, To: 11},
		{Order: 2, At: 11, Before: 10, After: 13, From: 10, To: 13.5},
		{Order: 3, At: 30, Before: 28, After: 32, From: 27.5, To: 32.5},
	} {
		if spots[i] != want {
			t.Errorf("%+v, want %+v", spots[i], want)
		}
	}
	var many []int64
	for i := range int64(40) {
		many = append(many, (i+1)*10)
	}
	many[0] = 1 // the longest slice ends at the second joint
	spots = slice.JointSpots(cutAt(500, many...))
	if len(spots) != 16 || spots[0].Order != 1 {
		t.Errorf("%d spots, the first is %+v", len(spots), spots[0])
	}
	for i := 1; i < len(spots); i++ {
		if spots[i].Order <= spots[i-1].Order {
			t.Errorf("spot %d is %+v after %+v", i, spots[i], spots[i-1])
		}
	}
	if spots := slice.JointSpots(cutAt(40)); len(spots) != 0 {
		t.Errorf("%d spots without a joint", len(spots))
	}
}

// film is SSIM by time for the range of each spot.
func film(spots []slice.JointSpot, ssim func(t float64) float64) (all [][]slice.Likeness) {
	for _, s := range spots {
		var one []slice.Likeness
		for t := s.From; t < s.To-1e-9; t += 0.04 {
			one = append(one, slice.Likeness{At: t, SSIM: ssim(t), PSNR: 40})
		}
		all = append(all, one)
	}
	return all
}

func TestJudgeJoints(t *testing.T) {
	p := cutAt(60, 20, 40)
	spots := slice.JointSpots(p)
	dip := func(by float64) func(float64) float64 {
		return func(t float64) float64 {
			if math.Abs(t-40) < 0.5 {
				return 0.97 - by
			}
			return 0.97
		}
	}
	for name, c := range map[string]struct {
		ssim func(float64) float64
		ok   bool
		mean float64
	}{
		"even":           {dip(0), true, 0},
		"a little lower": {dip(0.004), true, -0.002},
		"it shows":       {dip(0.01), false, -0.005},
		"better":         {dip(-0.01), true, 0.005},
		"the content changes at the joint": {func(t float64) float64 {
			if t < 40 {
				return 0.99
			}
			return 0.9
		}, true, 0},
	} {
		q := slice.JudgeJoints(2, spots, film(spots, c.ssim))
		if q.OK == nil || *q.OK != c.ok || q.Compared != 2 || q.Joints != 2 || math.Abs(q.Mean-c.mean) > 1e-3 {
			t.Errorf("%s: %+v", name, q)
		}
		if (q.Reason == "") != c.ok {
			t.Errorf("%s: reason %q", name, q.Reason)
		}
	}
	q := slice.JudgeJoints(2, spots, film(spots, dip(0.01)))
	if q.Worst.Order != 2 || q.Worst.Joint.Frames < 24 || math.Abs(q.Worst.Joint.PSNR-40) > 1e-9 || math.Abs(q.Worst.Difference+0.01) > 1e-3 || q.Worst.OK {
		t.Errorf("%+v", q.Worst)
	}
	if math.Abs(q.Elsewhere-0.97) > 1e-9 {
		t.Errorf("elsewhere %v", q.Elsewhere)
	}
	if q := slice.JudgeJoints(1, spots[:1], [][]slice.Likeness{nil}); q.OK != nil || q.Compared != 0 || q.Reason == "" {
		t.Errorf("nothing seen: %+v", q)
	}
}

func TestAligned(t *testing.T) {
	moving := func(from int) (all [][]byte) {
		for i := range 20 {
			p := make([]byte, 32)
			p[(from+i)%32] = 200
			all = append(all, p)
		}
		return all
	}
	still := make([][]byte, 20)
	for i := range still {
		still[i] = []byte{7, 7, 7}
	}
	for name, c := range map[string]struct {
		a, b [][]byte
		want bool
	}{
		"the same":          {moving(0), moving(0), true},
		"a picture late":    {moving(0), moving(1), false},
		"two pictures late": {moving(2), moving(0), false},
		"one is missing":    {moving(0), moving(0)[1:], false},
		"nothing moves":     {still, still, true},
		"too few to tell":   {moving(0)[:3], moving(0)[:3], true},
	} {
		if got := slice.Aligned(c.a, c.b); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestDrain(t *testing.T) {
	pictures := []slice.Sample{{Dur: 1, Size: 1000}, {Dur: 1, Size: 250}, {Dur: 1, Size: 250}}
	// 8000 bits out of 9000, then 2000 in and 2000 out a tick.
	least, end, under := slice.Drain(pictures, 0.1, 9000, 20000, 10000)
	if least != 1000 || end != 3000 || under != 0 {
		t.Errorf("least %v, end %v, %d under", least, end, under)
	}
	least, end, under = slice.Drain(pictures, 0.1, 5000, 20000, 10000)
	if least != -3000 || end != -1000 || under != 3 {
		t.Errorf("least %v, end %v, %d under", least, end, under)
	}
	if _, end, _ := slice.Drain(pictures[1:], 1, 9000, 20000, 10000); end != 10000 {
		t.Errorf("a full buffer holds %v", end)
	}
}
