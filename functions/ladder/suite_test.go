package ladder

import (
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/fn/fntest"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
)

func TestSuites(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	clip := []fntest.File{{Slot: "source", Path: fnrig.Shared(t, "clip.mp4", "-f", "lavfi", "-i", "testsrc2=s=160x90:d=2:r=25", "-f", "lavfi", "-i", "sine=d=2",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")}}
	for name, f := range map[string]fn.Function{"hls": HLS(rig.FFmpeg), "dash": DASH(rig.FFmpeg)} {
		t.Run(name, func(t *testing.T) {
			fntest.Run(t, fntest.Suite{Function: f, Open: rig.Open, Probe: rig.Probe, Cases: []fntest.Case{
				{Name: "by the source", Params: `{"preset":"ultrafast"}`, Inputs: clip},
				{Name: "sound of a slice", Params: `{"preset":"ultrafast"}`, Inputs: clip, Part: &fn.Part{Stream: fn.Sound, Of: 1}},
			}})
		})
	}
}
