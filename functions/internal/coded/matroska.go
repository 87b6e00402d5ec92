package coded

import (
	"context"
	"io"
	"slices"

	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/tools/container"
	"github.com/mediafn/mediafn/tools/sniff"
)

// Matroska lists the pictures of a track of a Matroska or WebM file, which
// stores the order of decoding but no times of it. They follow from the times of
// presentation, as decoders infer them: one picture is decoded when one is
// shown, so the k-th in order has the k-th of all times, less what the deepest
// reordering needs. waits is that depth in pictures.
func Matroska(ctx context.Context, r io.ReaderAt, size int64, format sniff.Format, track int) (all []slice.Sample, waits int, err error) {
	pictures, _, err := container.Decoded(ctx, r, size, format, track)
	if err != nil {
		return nil, 0, err
	}
	all, waits = infer(pictures)
	return all, waits, nil
}

func infer(pictures []container.Coded) (all []slice.Sample, waits int) {
	shown := make([]int64, 0, len(pictures))
	for _, p := range pictures {
		shown = append(shown, p.PTS)
	}
	slices.Sort(shown)
	delay := int64(0)
	for i, p := range pictures {
		turn, _ := slices.BinarySearch(shown, p.PTS)
		delay, waits = max(delay, shown[i]-p.PTS), max(waits, i-turn)
	}
	for i, p := range pictures {
		s := slice.Sample{DTS: shown[i] - delay, Size: p.Size}
		switch {
		case i+1 < len(shown):
			s.Dur = shown[i+1] - shown[i]
		case i > 0:
			s.Dur = shown[i] - shown[i-1]
		}
		all = append(all, s)
	}
	return all, waits
}
