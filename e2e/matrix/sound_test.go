package matrix_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
)

const soundRate = 16000 // Hz; a sample is 0.06 ms

// heard decodes the first sound track, from the moment of the first picture.
func heard(t *testing.T, path string, start float64) []int16 {
	t.Helper()
	raw := filepath.Join(t.TempDir(), "sound")
	// Without -copyts a file that starts before 0, as Opus in WebM does, is moved.
	ffmpeg(t, "-copyts", "-i", path, "-map", "0:a:0", "-ac", "1", "-af", fmt.Sprintf("aresample=%d:async=1:min_hard_comp=0.002:first_pts=0", soundRate), "-f", "s16le", raw)
	body, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	samples := make([]int16, len(body)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(body[2*i:]))
	}
	return samples[min(max(int(math.Round(start*soundRate)), 0), len(samples)):]
}

// offset is how many seconds b lies behind a, by most, at the beginning, in the
// middle and at the end: the lag at which they correlate best. Sound that is
// not alike anywhere near is infinitely far.
func offset(a, b []int16) (worst float64) {
	const window, reach = soundRate / 2, soundRate / 10
	most := min(len(a), len(b)) - window - reach
	if most <= reach {
		return math.Inf(1)
	}
	for _, start := range []int{reach, (reach + most) / 2, most} {
		best, lag, energyA, energyB := math.Inf(-1), 0, 0.0, 0.0
		for d := -reach; d <= reach; d++ {
			sum := 0.0
			for i := start; i < start+window; i++ {
				sum += float64(a[i]) * float64(b[i+d])
			}
			if sum > best {
				best, lag = sum, d
			}
		}
		for i := start; i < start+window; i++ {
			energyA, energyB = energyA+float64(a[i])*float64(a[i]), energyB+float64(b[i+lag])*float64(b[i+lag])
		}
		if best < 0.8*math.Sqrt(energyA*energyB) {
			return math.Inf(1)
		}
		if s := float64(lag) / soundRate; math.Abs(s) > math.Abs(worst) {
			worst = s
		}
	}
	return worst
}
