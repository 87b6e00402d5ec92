package gate

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// TestFFmpegReadsInPlace lets ffmpeg read four ranges of one file through the
// gate, its index at the end, and counts what that costs the store.
func TestFFmpegReadsInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in.mp4")
	ffmpeg(t, "-f", "lavfi", "-i", "nullsrc=s=320x180:r=25:d=16,geq=random(1)*255:128:128", "-c:v", "mpeg4", "-b:v", "12M", "-g", "25", path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  Config
		most float64
	}{
		"defaults": {Config{}, 1.15},
		// As with a video many times the cache, what is read twice is fetched
		// twice: the index and what sockets hold when ffmpeg seeks away. That is a
		// few blocks a range, which is much of a file as small as this one.
		"a cache smaller than the file": {Config{BlockSize: 256 * kib, CacheBytes: 4 << 20}, 1.3},
	} {
		g := open(t, c.cfg)
		gr := grant(t, g, bytes.NewReader(content), "")
		for i := range 4 {
			out := filepath.Join(t.TempDir(), strconv.Itoa(i)+".nut")
			ffmpeg(t, "-format_whitelist", "mov", "-f", "mov", "-ss", strconv.Itoa(4*i), "-t", "4", "-i", gr.URL(), "-c:v", "rawvideo", out)
			if info, err := os.Stat(out); err != nil || info.Size() < 100*320*180*3/2 {
				t.Fatalf("range %d: %v %v", i, info, err)
			}
		}
		ratio := float64(g.Stats().Fetched) / float64(len(content))
		t.Logf("%s: %d bytes, fetched %.2f times in %d blocks", name, len(content), ratio, g.Stats().Fetches)
		if len(content) < 8<<20 || ratio > c.most {
			t.Errorf("%s: %d bytes, fetched %.2f times, at most %.2f", name, len(content), ratio, c.most)
		}
	}
}

func ffmpeg(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-v", "error", "-nostdin", "-y", "-threads", "1"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
