package restore

import (
	"testing"

	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/functions/internal/slicetest"
)

func TestMain(m *testing.M) { fnrig.Main(m) }

// lossless is how results are encoded that are compared sample by sample.
const lossless = `"crf":0,"preset":"ultrafast"`

// clip is 60 frames of moving pictures with sound, in lossless h264 with a
// keyframe every 10 frames; filter changes the pictures on their way.
func clip(t testing.TB, name, filter string) string {
	t.Helper()
	return fnrig.Shared(t, name, "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2.4", "-f", "lavfi", "-i", "sine=r=44100:d=2.4",
		"-vf", filter+",format=yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-g", "10", "-c:a", "aac", "-shortest")
}

// alone are the pictures of slices that do not overlap: what they would be without.
func alone(t testing.TB, c slicetest.Case) []string {
	t.Helper()
	plan := c.Plan(t)
	var all []string
	for _, p := range plan.Segments {
		p.From, p.To, p.DropHead, p.DropTail = p.Start, p.End, 0, 0
		all = append(all, slicetest.Hashes(t, c.Call(t, &p).Outputs[0].Path)...)
	}
	return all
}
