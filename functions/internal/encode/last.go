package encode

import (
	"fmt"
	"math"
	"strings"

	"github.com/mediafn/mediafn/core/media"
)

// LastPicture are the options that say how long the last picture of a track is
// shown, which FFmpeg 5 (version) forgets where it encodes, and guesses: later ones
// know, and count packets otherwise. last is when that
// picture is shown and end when it is gone, in ticks of base from the first
// picture on; frames is how many there are. scale is how many ticks a second an
// MP4 track counts; Matroska's clock is given.
//
// An MP4 track ends when all its samples are decoded (ISO/IEC 14496-12
// §8.6.1.2): what lacks goes to the one decoded last, which may be shown earlier.
// A Matroska track ends with what is shown last.
func LastPicture(version, container string, scale int64, base media.Rational, frames, last, end int64) []string {
	matroska := container == "mkv" || container == "webm"
	if matroska {
		scale = 1000
	}
	if !strings.HasPrefix(version, "5.") || frames < 1 || last < 0 || end <= last || !base.Known() || scale <= 0 {
		return nil
	}
	// The filter's own TB is not what its packets count in.
	ticks := func(n int64) int64 { return int64(math.Round(base.Seconds(n) * float64(scale))) }
	shown := fmt.Sprintf("lt(abs(PTS-STARTPTS-%d),1.5),%d", ticks(last), max(ticks(end)-ticks(last), 1))
	decoded := fmt.Sprintf("eq(N,%d),max(%d-DTS+STARTDTS,1)", frames-1, ticks(end))
	expr := "if(" + decoded + ",if(" + shown + ",DURATION))"
	if matroska {
		expr = "if(" + shown + ",if(eq(N," + fmt.Sprint(frames-1) + "),1,DURATION))"
	}
	return []string{"-bsf:v", "setts=pts=PTS:dts=DTS:duration='" + expr + "'"}
}
