package e2e_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/media"
)

// entries asks ffprobe for values, one a line, without decoding.
func entries(t *testing.T, path, stream, what string) string {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", what, "-of", "default=nw=1:nk=1", path).Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v", path, err)
	}
	return strings.TrimSpace(string(out))
}

// timesOf reads the presentation times of the picture track.
func timesOf(t *testing.T, path string) times {
	t.Helper()
	var base media.Rational
	if err := base.UnmarshalText([]byte(entries(t, path, "v:0", "stream=time_base"))); err != nil {
		t.Fatal(err)
	}
	out := times{unit: base.Float()}
	for _, line := range strings.Fields(entries(t, path, "v:0", "packet=pts")) {
		n, err := strconv.ParseInt(line, 10, 64)
		if err != nil {
			t.Fatalf("%s: pts %q", path, line)
		}
		out.ticks = append(out.ticks, n)
	}
	slices.Sort(out.ticks)
	return out
}

const soundRate = 8000

// soundOf decodes the sound on the file's time line, from 0.
func soundOf(t *testing.T, path string) []int16 {
	t.Helper()
	raw := filepath.Join(t.TempDir(), "sound")
	// Without -copyts a file that starts before 0, as Opus in WebM does, is moved.
	ffmpeg(t, "-copyts", "-i", path, "-vn", "-ac", "1", "-af", fmt.Sprintf("aresample=%d:async=1:first_pts=0", soundRate), "-f", "s16le", raw)
	body, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	samples := make([]int16, len(body)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(body[2*i:]))
	}
	return samples
}

// lagOf is how many seconds the second sound lies behind the first at a time:
// the lag at which they correlate best.
func lagOf(a, b []int16, at float64) float64 {
	const window, reach = soundRate, soundRate / 20
	start := int(at * soundRate)
	best, lag := math.Inf(-1), 0
	for d := -reach; d <= reach; d++ {
		sum := 0.0
		for i := start; i < start+window; i++ {
			if j := i + d; i < len(a) && j >= 0 && j < len(b) {
				sum += float64(a[i]) * float64(b[j])
			}
		}
		if sum > best {
			best, lag = sum, d
		}
	}
	return float64(lag) / soundRate
}

// ssimOf compares two films of so many frames a second, second by second.
func ssimOf(t *testing.T, source, result string, rate int) []float64 {
	t.Helper()
	stats := filepath.Join(t.TempDir(), "ssim")
	ffmpeg(t, "-i", source, "-i", result, "-lavfi", "[0:v]settb=1/1000[a];[1:v]settb=1/1000[b];[a][b]ssim=stats_file="+stats, "-f", "null", "-")
	body, err := os.ReadFile(stats)
	if err != nil {
		t.Fatal(err)
	}
	var all []float64
	n := 0
	for line := range strings.Lines(string(body)) {
		_, rest, _ := strings.Cut(line, "All:")
		value, _, _ := strings.Cut(rest, " ")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("ssim line %q", line)
		}
		if n%rate == 0 {
			all = append(all, 0)
		}
		all[len(all)-1] += v / float64(rate)
		n++
	}
	return all
}
