package derive

import (
	"testing"

	"github.com/mediafn/mediafn/core/fn/fntest"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
)

func TestFramesSuite(t *testing.T) {
	rig := fnrig.New(t)
	clip := []fntest.File{{Slot: "source", Path: ticker(t, "a.mp4")}}
	fntest.Run(t, fntest.Suite{Function: Frames(rig.FFmpeg), Open: rig.Open, Probe: rig.Probe, Slow: "many", Cases: []fntest.Case{
		{Name: "a second", Params: `{"interval":1}`, Inputs: clip},
		{Name: "times", Params: `{"mode":"times","times":[0.1,3],"format":"png","width":64}`, Inputs: clip},
		{Name: "keyframes", Params: `{"mode":"keyframes","format":"webp"}`, Inputs: clip},
		{Name: "many", Params: `{"mode":"fps","fps":30,"format":"webp","width":480}`, Inputs: clip},
	}})
}

func TestAudioSuite(t *testing.T) {
	rig := fnrig.New(t)
	clip := []fntest.File{{Slot: "source", Path: ticker(t, "a.mp4")}}
	fntest.Run(t, fntest.Suite{Function: Audio(rig.FFmpeg), Open: rig.Open, Probe: rig.Probe, Cases: []fntest.Case{
		{Name: "aac", Inputs: clip},
		{Name: "opus", Params: `{"codec":"opus","channels":2,"loudness":-16}`, Inputs: clip},
		{Name: "copy", Params: `{"codec":"copy","start":1,"end":3}`, Inputs: clip},
		{Name: "wav", Params: `{"codec":"pcm","sample_rate":16000,"keep_offset":true}`, Inputs: clip},
	}})
}
