package ladder

import (
	"math"
	"slices"
	"strconv"
)

// rungs.go: the ladder where none is asked for.

// rung is a step of a published ladder.
type rung struct {
	height int
	rate   int64 // bit/s
}

// published are the steps of Apple's HLS Authoring Specification for Apple
// Devices, tables "Video average bit rate" of H.264 and of HEVC at 30 frames a
// second: of every size the highest rate.
var published = map[string][]rung{
	"h264": {{234, 145_000}, {360, 365_000}, {432, 1_100_000}, {540, 2_000_000}, {720, 4_500_000}, {1080, 7_800_000}},
	"h265": {{360, 145_000}, {432, 300_000}, {540, 1_600_000}, {720, 3_400_000}, {1080, 5_800_000}, {1440, 8_100_000}, {2160, 16_800_000}},
}

// firstRate is what a player may be expected to get when it has measured nothing.
const firstRate = 2_000_000

// usualHeights are the steps for a source so many lines high, highest first. A
// source clearly larger than the last step that fits, and smaller than the next
// one, is a step itself.
func usualHeights(codec string, source int) []int {
	all := published[codec]
	var heights []int
	for _, r := range all {
		if r.height <= source || source <= 0 {
			heights = append(heights, r.height)
		}
	}
	if last := len(heights); source > 0 && last < len(all) && (last == 0 || float64(source) > 1.1*float64(heights[last-1])) {
		heights = append(heights, max(source, 2))
	}
	slices.Reverse(heights)
	return heights
}

// usualRate is the limit for a height: that of its step, or between two in
// proportion.
func usualRate(codec string, height int) int64 {
	all := published[codec]
	low := rung{0, all[0].rate / 2}
	for _, r := range all {
		if height <= r.height {
			share := float64(height-low.height) / float64(r.height-low.height)
			return low.rate + int64(math.Round(share*float64(r.rate-low.rate)))
		}
		low = r
	}
	// Above the table the rate grows with the lines: more of them look more alike.
	return int64(float64(low.rate) * float64(height) / float64(low.height))
}

func itoa(n int) string { return strconv.Itoa(n) }
