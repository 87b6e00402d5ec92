package restore

import (
	"encoding/json"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn/fntest"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/functions/internal/slicetest"
)

const noise = "noise=alls=8:allf=t:all_seed=7"

func TestDenoise(t *testing.T) {
	rig := fnrig.New(t)
	src := []fntest.File{{Slot: "source", Path: clip(t, "noisy.mp4", noise)}}
	fntest.Run(t, fntest.Suite{
		Function: Denoise(rig.FFmpeg), Open: rig.Open, Probe: rig.Probe, Slow: "slow",
		Cases: []fntest.Case{
			{Name: "defaults", Params: `{"preset":"ultrafast"}`, Inputs: src},
			{Name: "slow", Params: `{"preset":"ultrafast","method":"owdenoise"}`, Inputs: src},
		},
	})
	if _, err := Denoise(nil).Check(json.RawMessage(`{"window":8}`), nil); errs.FieldOf(err) != "params.window" {
		t.Error(err)
	}
}

// TestDenoiseSlices: slices are those of the whole, exactly where the method's
// memory ends, and would not be without overlap; noise goes.
func TestDenoiseSlices(t *testing.T) {
	rig := fnrig.New(t)
	clean, noisy := clip(t, "clean.mp4", "null"), clip(t, "noisy.mp4", noise)
	before, _ := slicetest.PSNR(t, noisy, clean, "null")
	for _, c := range []struct {
		method string
		gain   float64 // dB above the noisy source
		exact  bool
		memory bool
	}{
		{"hqdn3d", 1, false, true},
		{"atadenoise", 1, true, true},
		{"nlmeans", 1, true, false},
		{"bm3d", 1, true, false},
		{"owdenoise", 1, true, false},
	} {
		t.Run(c.method, func(t *testing.T) {
			t.Parallel()
			call := slicetest.Case{Rig: rig, Function: Denoise(rig.FFmpeg), Params: `{` + lossless + `,"method":"` + c.method + `"}`, Paths: []string{noisy}}
			var whole string
			if c.exact {
				whole = call.Exact(t)
			} else {
				whole = call.Whole(t)
				_, worst := slicetest.PSNR(t, whole, call.Sliced(t), "null")
				t.Logf("worst picture %.1f dB", worst)
				if worst < 60 {
					t.Errorf("a picture of the slices differs by %.1f dB from the whole's", worst)
				}
			}
			if bad := slicetest.Different(slicetest.Hashes(t, whole), alone(t, call)); c.memory != (len(bad) > 0) {
				t.Errorf("without overlap %d pictures differ", len(bad))
			}
			after, _ := slicetest.PSNR(t, whole, clean, "null")
			t.Logf("%.1f dB, %.1f dB before", after, before)
			if after < before+c.gain {
				t.Errorf("%.1f dB to the clean pictures, %.1f dB before", after, before)
			}
		})
	}
}
