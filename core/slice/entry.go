package slice

import (
	"math"
	"slices"

	"github.com/mediafn/mediafn/core/media"
)

// entries are the keyframes of a track with their frame numbers. An index such
// as Matroska's cues gives times only (Frame < 0); then the list of frames
// tells the number, or the constant rate does. Nil unless they start at the
// first frame and rise, inside the track, in frames and in time.
func entries(v *media.VideoStream) []media.Key {
	t := v.Timing
	if v.GOP == nil || len(v.GOP.Keys) == 0 || t == nil || t.LastPTS < t.FirstPTS || t.LastDur < 0 || t.LastPTS > math.MaxInt64/2 || t.FirstPTS < 0 {
		return nil
	}
	keys := v.GOP.Keys
	if slices.ContainsFunc(keys, func(k media.Key) bool { return k.Frame < 0 }) {
		if keys = numbered(v); keys == nil {
			return nil
		}
	}
	last := keys[len(keys)-1]
	if keys[0].Frame != 0 || keys[0].PTS != t.FirstPTS || last.Frame >= v.Frames || last.PTS > t.LastPTS {
		return nil
	}
	for i := 1; i < len(keys); i++ {
		if keys[i].Frame <= keys[i-1].Frame || keys[i].PTS <= keys[i-1].PTS {
			return nil
		}
	}
	return keys
}

// numbered finds out which frames the keyframes are.
func numbered(v *media.VideoStream) []media.Key {
	keys := slices.Clone(v.GOP.Keys)
	if list := v.FrameList; int64(len(list)) == v.Frames {
		for i := range keys {
			n, ok := slices.BinarySearchFunc(list, keys[i].PTS, func(f media.Frame, pts int64) int {
				switch {
				case f.PTS < pts:
					return -1
				case f.PTS > pts:
					return 1
				}
				return 0
			})
			if !ok {
				return nil
			}
			keys[i].Frame = int64(n)
		}
		return keys
	}
	if !constantRate(v) {
		return nil
	}
	number := func(pts int64) (int64, bool) {
		exact := v.TimeBase.Seconds(pts-v.Timing.FirstPTS) * v.FrameRate.Float()
		return int64(math.Round(exact)), exact >= 0 && exact < 1<<40 && math.Abs(exact-math.Round(exact)) < 0.3
	}
	if n, ok := number(v.Timing.LastPTS); !ok || n != v.Frames-1 {
		return nil // a frame is missing somewhere
	}
	for i := range keys {
		n, ok := number(keys[i].PTS)
		if !ok {
			return nil
		}
		keys[i].Frame = n
	}
	return keys
}

// constantRate reports whether every frame lies on the grid of FrameRate.
func constantRate(v *media.VideoStream) bool {
	return v.VFR != nil && !*v.VFR && v.FrameRate.Known() && v.FrameRate.Num > 0 && v.FrameRate.Den > 0
}
