package source

import (
	"testing"

	"github.com/mediafn/mediafn/core/media"
)

func TestShift(t *testing.T) {
	for _, c := range []struct {
		format          string
		start, pictures float64
		want            float64
	}{
		{"mp4", 0, 0, 0}, {"mp4", 0.5, 0.5, 0}, {"webm", -0.007, 0.007, 0}, {"webm", -0.007, 0, 0}, {"matroska", -0.5, -0.5, 0.5}, {"matroska", -0.52, -0.5, 0.52},
		{"mpegts", 1.4, 1.48, -1.4}, {"mpegts", 0, 0, 0}, {"flv", -0.1, 0, 0.1},
	} {
		info := &media.Info{Format: c.format, StartTime: c.start, Video: []media.VideoStream{{StartTime: c.pictures}}}
		if got := Shift(info); got != c.want {
			t.Errorf("%s from %g s, pictures from %g s: %g", c.format, c.start, c.pictures, got)
		}
	}
	if got := Shift(&media.Info{Format: "matroska", StartTime: -1}); got != 1 {
		t.Errorf("sound only: %g", got)
	}
}
