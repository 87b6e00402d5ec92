package matroska

import (
	"testing"

	"github.com/mediafn/mediafn/tools/container/timeline"
)

// TestLastPicture: where the rate varies only the tag tells how long the last
// picture is shown, if it is this file's.
func TestLastPicture(t *testing.T) {
	for _, c := range []struct {
		name            string
		dur, tagged, is int64
	}{
		{"shorter than the mean", 48, 6021, 33}, {"longer than the mean", 20, 6021, 33}, {"as claimed", 33, 6021, 33},
		{"no tag", 48, 0, 48}, {"tag of a longer file", 48, 9000, 48}, {"tag of a shorter file", 48, 5988, 48}, {"nothing claimed", 0, 6021, 0},
	} {
		shown := []timeline.Sample{{PTS: 5954, Dur: 48}, {PTS: 5988, Dur: c.dur}}
		endAsTagged(shown, c.tagged)
		if shown[1].Dur != c.is || shown[0].Dur != 48 {
			t.Errorf("%s: %d ms, want %d", c.name, shown[1].Dur, c.is)
		}
	}
	endAsTagged(nil, 1)
}
