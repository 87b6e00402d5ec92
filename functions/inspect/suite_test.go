package inspect

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/fn/fntest"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/tools/engine"
)

// newPool is a pool of one real engine.
func newPool(t testing.TB) *engine.Pool {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "mediafn-engine")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/mediafn/mediafn/cmd/mediafn-engine").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pool := engine.NewPool(engine.Exec(binary), engine.Options{Size: 1})
	t.Cleanup(pool.Close)
	return pool
}

func TestProbeSuite(t *testing.T) {
	rig, pool := fnrig.New(t), newPool(t)
	video := []fntest.File{{Slot: "source", Path: clip(t, "a.mp4")}}
	picture := generate(t, "p.png", "-f", "lavfi", "-i", "testsrc=s=64x48,format=rgba", "-frames:v", "1")
	fntest.Run(t, fntest.Suite{Function: Probe(rig.FFmpeg, pool), Open: rig.Open, Probe: rig.Probe, Cases: []fntest.Case{
		{Name: "video", Inputs: video},
		{Name: "frames", Params: `{"level":"frame"}`, Inputs: video},
		{Name: "types", Params: `{"level":"frame","decode":true}`, Inputs: video},
		{Name: "sound", Inputs: []fntest.File{{Slot: "source", Path: generate(t, "s.flac", "-f", "lavfi", "-i", "sine=d=1")}}},
		{Name: "image", Inputs: []fntest.File{{Slot: "source", Path: picture}}, Want: func(t *testing.T, r *fn.Result) {
			var f ProbeFacts
			if err := json.Unmarshal(r.Facts, &f); err != nil || f.DisplayWidth != 64 || f.DisplayHeight != 48 || f.Image == nil || !f.Image.HasAlpha || f.Mime != "image/png" || f.HasVideo {
				t.Errorf("%s %v", r.Facts, err)
			}
		}},
	}})
}

func TestFrontSuite(t *testing.T) {
	rig := fnrig.New(t)
	ts := generate(t, "a.ts", "-f", "lavfi", "-i", "testsrc2=s=160x96:r=25:d=2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
	fntest.Run(t, fntest.Suite{Function: Front(rig.FFmpeg), Open: rig.Open, Probe: rig.Probe, Cases: []fntest.Case{
		{Name: "ts", Inputs: []fntest.File{{Slot: "source", Path: ts}}, Want: func(t *testing.T, r *fn.Result) {
			var f FrontFacts
			if err := json.Unmarshal(r.Facts, &f); err != nil || !f.Front || f.Duration < 1.9 || f.Duration > 2.1 || f.DisplayWidth != 160 || f.MainVideo().Timing == nil {
				t.Errorf("%s %v", r.Facts, err)
			}
		}},
	}})
}
