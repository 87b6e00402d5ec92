package assemble

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/slice"
)

// remuxed runs assemble.remux.
func (b *bench) remuxed(path string) (slice.Remuxed, string) {
	b.Helper()
	res, err := b.call(Remux(b.ff), `{}`, b.input("source", path))
	if err != nil {
		b.Fatal(err)
	}
	var facts slice.Remuxed
	if err := json.Unmarshal(res.Facts, &facts); err != nil {
		b.Fatal(err)
	}
	if facts.Failed != (len(res.Outputs) == 0) {
		b.Fatalf("%+v with %d files", facts, len(res.Outputs))
	}
	if facts.Failed {
		return facts, ""
	}
	return facts, res.Outputs[0].Path
}

// A copy keeps every frame, begins at zero, and has the tracks in their order.
func TestRemuxCopies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	src := b.path("two.ts")
	b.run("-f", "lavfi", "-i", "testsrc2=s=96x64:r=30000/1001:d=2", "-f", "lavfi", "-i", "sine=d=2", "-f", "lavfi", "-i", "sine=880:d=1", "-map", "0", "-map", "1", "-map", "2",
		"-vf", "setsar=4/3", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "15", "-pix_fmt", "yuv420p", "-c:a", "aac",
		"-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=fra", "-output_ts_offset", "30", src)
	facts, path := b.remuxed(src)
	if facts.Failed || facts.Shift > -30 {
		t.Fatalf("%+v", facts)
	}
	from, to := b.facts(src), b.facts(path)
	v, w := from.MainVideo(), to.MainVideo()
	if to.Format != "mp4" || w.Frames != v.Frames || w.GOP.Count != v.GOP.Count || w.SAR != v.SAR || math.Abs(v.StartTime+facts.Shift-w.StartTime) > 1e-4 || to.StartTime < 0 {
		t.Errorf("%+v\n%+v", v, w)
	}
	if len(to.Audio) != 2 || to.Audio[0].Language != "deu" || to.Audio[1].Language != "fra" {
		t.Errorf("%+v", to.Audio)
	}
}

// What an mp4 does not hold, or would change, is refused with the reason.
func TestRemuxRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	video := []string{"-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1"}
	for name, c := range map[string]struct{ args, reason string }{
		"vp8.mkv":      {"-c:v libvpx -deadline realtime -an", "codec vp8"},
		"sorenson.flv": {"-c:v flv1 -ar 44100 -c:a mp3", "codec flv1"},
		"wma.avi":      {"-c:v mpeg4 -c:a wmav2", "sound of wmav2"},
		"order.avi":    {"-c:v libx264 -pix_fmt yuv420p -bf 2 -c:a mp3", "another order"},
	} {
		b.run(append(append(slices.Clone(video), strings.Fields(c.args)...), b.path(name))...)
		facts, _ := b.remuxed(b.path(name))
		if !facts.Failed || !strings.Contains(facts.Reason, c.reason) {
			t.Errorf("%s: %+v", name, facts)
		}
	}
	// Half of a file.
	b.run(append(slices.Clone(video), "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", b.path("whole.flv"))...)
	body, err := os.ReadFile(b.path("whole.flv"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.path("half.flv"), body[:len(body)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if facts, path := b.remuxed(b.path("half.flv")); !facts.Failed && b.facts(path).MainVideo().Frames == 25 {
		t.Errorf("half a file has all frames: %+v", facts)
	}
}
