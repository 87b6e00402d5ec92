package fn

import (
	"strings"
	"testing"
)

func TestNear(t *testing.T) {
	names := []string{"video.transcode", "derive.frames", "derive.audio", "noop"}
	for name, want := range map[string]string{
		"transcode": "video.transcode", "VIDEO.TRANSCODE": "video.transcode", "video.transcde": "video.transcode", "frames": "derive.frames",
		"derive": "derive.audio,derive.frames", "nop": "noop", "qqqqqqqq": "", "": "",
	} {
		if got := strings.Join(Near(name, names), ","); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
