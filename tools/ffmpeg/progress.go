package ffmpeg

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"time"
)

// Progress is one report of a running ffmpeg.
type Progress struct {
	Frames  int64
	OutTime time.Duration // how far the output reaches
	Size    int64         // bytes written so far
	Speed   float64       // times real time; 0 = not known yet
	Percent float64       // 0–100, never falling; 100 only when ffmpeg has succeeded
	End     bool          // ffmpeg's own last report
}

// advanced reports whether p shows more work done than q.
func (p Progress) advanced(q Progress) bool {
	return p.Frames > q.Frames || p.OutTime > q.OutTime || p.Size > q.Size || p.End && !q.End
}

// percent of the expected seconds, or else of the expected frames. The last
// per mille is left for success.
func (p Progress) percent(duration float64, frames int64) float64 {
	var done float64
	switch {
	case duration > 0:
		done = p.OutTime.Seconds() / duration
	case frames > 0:
		done = float64(p.Frames) / float64(frames)
	}
	return min(max(done*100, 0), 99.9)
}

// readProgress parses the -progress protocol: key=value lines, a report ends
// with the key progress. It returns at the end of r; lines it does not
// understand are skipped, values that are N/A keep the value before.
func readProgress(r io.Reader, report func(Progress)) {
	var p Progress
	lines := bufio.NewReaderSize(r, 4096)
	for {
		raw, tooLong, err := lines.ReadLine()
		if err != nil {
			return
		}
		if tooLong {
			continue
		}
		key, value, ok := strings.Cut(string(raw), "=")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "frame":
			setInt(&p.Frames, value)
		case "total_size":
			setInt(&p.Size, value)
		case "out_time_us":
			us := int64(p.OutTime / time.Microsecond)
			setInt(&us, value)
			if us < 1<<50 {
				p.OutTime = time.Duration(us) * time.Microsecond
			}
		case "speed":
			if f, err := strconv.ParseFloat(strings.TrimSuffix(value, "x"), 64); err == nil && f >= 0 {
				p.Speed = f
			}
		case "progress":
			p.End = value == "end"
			report(p)
		}
	}
}

// setInt takes a count; the negative ones ffmpeg prints before its first
// packet mean unknown.
func setInt(dst *int64, s string) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
		*dst = n
	}
}
