package slice

import (
	"fmt"
	"math"
)

// GridSlack is how many seconds a picture may lie before a multiple of
// Assembly.KeySeconds and still begin there. Far below any clock's tick, far
// above the error of computing with seconds.
const GridSlack = 1e-7

// Interval is which multiple of so many seconds a picture belongs to, t seconds
// after the first picture.
func Interval(t, seconds float64) int64 { return int64(math.Floor((t + GridSlack) / seconds)) }

// keyframes looks for a keyframe where each multiple of the promised seconds
// begins. Whether slices begin elsewhere too does not matter here.
func (j *judge) keyframes() Check {
	k := Check{Name: "keyframes", OK: true, Want: "not asked", Got: "not asked"}
	if j.p.KeySeconds <= 0 {
		return k
	}
	k.Want = fmt.Sprintf("one every %g s", j.p.KeySeconds)
	if len(j.want) != len(j.got) || len(j.got) == 0 {
		k.OK, k.Got = false, "not comparable"
		return k
	}
	wanted, missing, at := 0, 0, int64(-1)
	for i, t := range j.want {
		n := Interval(t-j.want[0], j.p.KeySeconds)
		if n == at {
			continue
		}
		at = n
		if wanted++; !j.v.FrameList[i].Key {
			missing++
			k.Detail = join(k.Detail, fmt.Sprintf("frame %d", i))
		}
	}
	k.Got = k.Want
	if missing > 0 {
		k.OK, k.Got = false, fmt.Sprintf("%d of %d missing", missing, wanted)
	}
	return k
}
