package fnrig

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// known is what was found out about files. Starting ffmpeg takes longer than what
// it does with our clips, and nobody changes a file that was made.
var known sync.Map

// Once is what look finds out about a file, found out by whoever asks first; what
// says what that is.
func Once[T any](what, path string, look func() T) T {
	if had, ok := known.Load(what + "\x00" + path); ok {
		return had.(T)
	}
	found := look()
	known.Store(what+"\x00"+path, found)
	return found
}

// Pictures are a file's decoded pictures, in order.
type Pictures struct {
	At   []float64 // seconds, on the file's own time line
	Sums []string  // MD5
}

// Decoded reads a file's first picture track.
func Decoded(t testing.TB, path string) Pictures {
	t.Helper()
	return Once("pictures", path, func() (all Pictures) {
		unit := 0.0
		for line := range strings.Lines(Shell(t, "ffmpeg", "-v", "error", "-copyts", "-i", path, "-map", "0:v:0", "-vsync", "passthrough", "-enc_time_base", "-1",
			"-avoid_negative_ts", "disabled", "-f", "framemd5", "-")) {
			var num, den float64
			if _, err := fmt.Sscanf(line, "#tb 0: %f/%f", &num, &den); err == nil {
				unit = num / den
			}
			field := strings.Split(line, ",")
			if strings.HasPrefix(line, "#") || len(field) != 6 {
				continue
			}
			pts, err := strconv.ParseInt(strings.TrimSpace(field[2]), 10, 64)
			if err != nil || unit == 0 {
				t.Fatalf("%q of %s: %v", line, path, err)
			}
			all.At, all.Sums = append(all.At, float64(pts)*unit), append(all.Sums, strings.TrimSpace(field[5]))
		}
		return all
	})
}
