package assemble

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/tools/ffmpeg"

	"github.com/mediafn/mediafn/functions/internal/source"
)

// piece is a file in a row and how long it lasts there.
type piece struct {
	in       *fn.Input
	duration int64 // microseconds, FFmpeg's resolution
}

// micros splits a time line at the given instants (seconds from its start)
// into whole microseconds, so that errors never add up: the n-th piece begins
// within half a microsecond of where it should, however many came before.
func micros(at []float64) []int64 {
	durations := make([]int64, 0, len(at))
	for i := 1; i < len(at); i++ {
		durations = append(durations, int64(math.Round(at[i]*1e6))-int64(math.Round(at[i-1]*1e6)))
	}
	return durations
}

// ffconcat writes the list FFmpeg's concat demuxer reads.
func ffconcat(pieces []piece) (string, error) {
	var b strings.Builder
	b.WriteString("ffconcat version 1.0\n")
	for _, p := range pieces {
		name := p.in.Location
		if p.in.Port == 0 {
			name = "file:" + name
		}
		if strings.ContainsAny(name, "\n\r\x00") {
			return "", errs.New(errs.Internal, "assemble", "a path holds a line break")
		}
		fmt.Fprintf(&b, "file '%s'\nduration %dus\n", strings.ReplaceAll(name, "'", `'\''`), p.duration)
	}
	return b.String(), nil
}

// row writes the list into dir and returns the input options that read it,
// granting job what they need. The list is ours; what it names may still be
// opened by the demuxer of MP4 or Matroska only. inBand repeats parameter sets
// at every keyframe, for pieces whose sets differ.
func row(job *ffmpeg.Job, dir string, pieces []piece, start float64, inBand bool) ([]string, error) {
	text, err := ffconcat(pieces)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "pieces.ffconcat")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, errs.As(errs.Transient, "assemble", err)
	}
	job.ReadPaths = append(job.ReadPaths, path)
	for _, p := range pieces {
		source.Grant(job, p.in)
	}
	convert := "0"
	if inBand {
		convert = "1"
	}
	return []string{"-protocol_whitelist", "file,http,tcp", "-f", "concat", "-format_whitelist", "concat,mov,matroska", "-safe", "0",
		"-auto_convert", convert, "-itsoffset", fmt.Sprintf("%.6f", start), "-i", "file:" + path}, nil
}
