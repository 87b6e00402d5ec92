package render

import (
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/functions/internal/encode"
)

// TestKeyAt: where the whole has a keyframe every 250 frames, a slice has one
// at the first of those places that it holds.
func TestKeyAt(t *testing.T) {
	for _, c := range []struct {
		name     string
		first    int64
		from     float64 // seconds
		distance int64
		fps      string
		want     int64
	}{
		{"first slice", 0, 0, 250, "", 0}, {"on the grid", 500, 20, 250, "", 0}, {"before it", 375, 15, 250, "", 125}, {"just behind it", 251, 10.04, 250, "", 249},
		{"at another rate", 375, 15, 250, "30", 50}, {"distance unknown", 375, 15, 0, "", 0}, {"every frame", 375, 15, 1, "", 0},
	} {
		o := Order{Part: &fn.Part{First: c.first}}
		if got := o.keyAt(&encode.Params{FPS: c.fps}, c.distance, c.from); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
