package slice

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// joints.go: do joints show? Windows around joints, and windows elsewhere, are
// compared with the source picture by picture.

const (
	// windowSeconds is how long a window is.
	windowSeconds = 1.0
	// aside is how far from a joint lies what it is compared with, at the most: in
	// the same scene mostly, and where an encoder has settled. Short slices are
	// looked at in their middle.
	aside = 2.0
	// mostJoints bounds the work: a joint costs two decoded ranges.
	mostJoints = 16
	// jointLoss is how much lower SSIM may be at a joint than beside it.
	jointLoss = 0.005
)

// JointSpot is a joint to look at and the range that is decoded for it, in
// seconds of the source's time line.
type JointSpot struct {
	Order         int // of the slice that begins here
	At            float64
	Before, After float64 // the middles of the windows beside it
	From, To      float64
}

// JointSpots chooses joints to look at: those of the longest slices first, in
// the order of the video.
func JointSpots(p *Promise) []JointSpot {
	first, end := p.TimeBase.Seconds(p.FirstPTS), p.TimeBase.Seconds(p.EndPTS)
	at := []float64{first}
	for _, j := range p.Joints {
		at = append(at, p.TimeBase.Seconds(j.PTS))
	}
	at = append(at, end)
	var all []JointSpot
	for i := 1; i < len(at)-1; i++ {
		s := JointSpot{Order: i, At: at[i]}
		s.Before = at[i] - min(max((at[i]-at[i-1])/2, windowSeconds), aside)
		s.After = at[i] + min(max((at[i+1]-at[i])/2, windowSeconds), aside)
		s.From, s.To = max(s.Before-windowSeconds/2, at[i-1]), min(s.After+windowSeconds/2, at[i+1])
		all = append(all, s)
	}
	length := func(s JointSpot) float64 { return at[s.Order+1] - at[s.Order-1] }
	slices.SortStableFunc(all, func(a, b JointSpot) int { return cmp.Compare(length(b), length(a)) })
	all = all[:min(len(all), mostJoints)]
	slices.SortFunc(all, func(a, b JointSpot) int { return a.Order - b.Order })
	return all
}

// Likeness is one picture of a result beside the source's.
type Likeness struct {
	At   float64 // seconds
	SSIM float64 // of luma, 0–1
	PSNR float64 // of luma, dB
}

// JointWindow is the mean over the pictures of a window.
type JointWindow struct {
	SSIM   float64 `json:"ssim"`
	PSNR   float64 `json:"psnr"`
	Frames int     `json:"frames"`
}

// JointScore is one joint and what lies beside it.
type JointScore struct {
	Order  int         `json:"order"` // of the slice that begins here
	Time   float64     `json:"time"`  // seconds
	Joint  JointWindow `json:"joint"`
	Before JointWindow `json:"before"`
	After  JointWindow `json:"after"`
	// Difference is the joint's SSIM less the mean of what lies beside it.
	Difference float64 `json:"difference"`
	OK         bool    `json:"ok"`
}

// JointQuality says whether joints show. It is told only of pictures that were
// found to be the same ones in source and result.
type JointQuality struct {
	OK *bool `json:"ok"` // null where nothing could be compared
	// Compared joints, of so many.
	Compared int `json:"compared"`
	Joints   int `json:"joints"`
	// Worst is the joint that lies lowest below what is beside it.
	Worst *JointScore `json:"worst,omitempty"`
	// Mean of all differences between joints and what lies beside them.
	Mean float64 `json:"mean_difference"`
	// Elsewhere is the mean SSIM of the windows beside joints.
	Elsewhere float64      `json:"elsewhere_ssim"`
	Scores    []JointScore `json:"scores"`
	// Reason is why nothing was compared, or what is wrong.
	Reason    string `json:"reason,omitempty"`
	Rendition string `json:"rendition,omitempty"`
}

// Incomparable is the answer where pictures of source and result cannot be laid
// beside each other: nothing was proved.
func Incomparable(joints int, format string, args ...any) JointQuality {
	return JointQuality{Joints: joints, Scores: []JointScore{}, Reason: fmt.Sprintf(format, args...)}
}

// JudgeJoints compares windows. pictures are those of each spot's range, in order.
func JudgeJoints(joints int, spots []JointSpot, pictures [][]Likeness) JointQuality {
	ok := true
	q := JointQuality{OK: &ok, Joints: joints, Scores: []JointScore{}}
	sides := 0
	for i, spot := range spots {
		s := JointScore{Order: spot.Order, Time: spot.At}
		s.Joint = window(pictures[i], spot.At)
		s.Before, s.After = window(pictures[i], spot.Before), window(pictures[i], spot.After)
		beside, lowest, n := 0.0, math.Inf(1), 0
		for _, w := range []JointWindow{s.Before, s.After} {
			if w.Frames > 0 {
				beside, lowest, n = beside+w.SSIM, min(lowest, w.SSIM), n+1
				q.Elsewhere, sides = q.Elsewhere+w.SSIM, sides+1
			}
		}
		if n == 0 || s.Joint.Frames == 0 {
			continue // slices shorter than a window
		}
		s.Difference = s.Joint.SSIM - beside/float64(n)
		// A joint often lies where a scene changes: it is held to the lower side.
		s.OK = s.Joint.SSIM >= lowest-jointLoss
		q.Scores = append(q.Scores, s)
		q.Mean += s.Difference
		if q.Worst == nil || s.Difference < q.Worst.Difference {
			q.Worst = &s
		}
		if !s.OK {
			ok, q.Reason = false, fmt.Sprintf("at %.2f s SSIM is %.4f, beside it %.4f at the least", s.Time, s.Joint.SSIM, lowest)
		}
	}
	if q.Compared = len(q.Scores); q.Compared == 0 {
		return Incomparable(joints, "no slice is long enough to look beside its joints")
	}
	q.Mean /= float64(q.Compared)
	q.Elsewhere /= float64(sides)
	return q
}

// window is the mean of the pictures about a time; of less than half a window
// nothing is told.
func window(all []Likeness, at float64) (w JointWindow) {
	first, last := math.Inf(1), math.Inf(-1)
	for _, l := range all {
		if l.At < at-windowSeconds/2 || l.At >= at+windowSeconds/2 {
			continue
		}
		w.SSIM, w.PSNR, w.Frames = w.SSIM+l.SSIM, w.PSNR+l.PSNR, w.Frames+1
		first, last = min(first, l.At), max(last, l.At)
	}
	if last-first < windowSeconds/2-0.1 { // the last picture lasts a while, too
		return JointWindow{}
	}
	w.SSIM, w.PSNR = w.SSIM/float64(w.Frames), w.PSNR/float64(w.Frames)
	return w
}

// Aligned reports whether two runs of tiny pictures show the same ones in the
// same places: shifted against each other by a picture or two they must not be
// more alike. Pictures that hardly change are alike at any shift.
func Aligned(a, b [][]byte) bool {
	const reach = 2
	n := min(len(a), len(b))
	if len(a) != len(b) || n < 2*reach+1 {
		return len(a) == len(b)
	}
	apart := func(shift int) (sum float64) {
		for i := reach; i < n-reach; i++ {
			x, y := a[i], b[i+shift]
			for k := range min(len(x), len(y)) {
				d := float64(x[k]) - float64(y[k])
				sum += d * d
			}
		}
		return sum
	}
	own := apart(0)
	for _, s := range []int{-2, -1, 1, 2} {
		if apart(s) < own*0.98 {
			return false
		}
	}
	return true
}
