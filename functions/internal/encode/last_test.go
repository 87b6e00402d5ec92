package encode

import (
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/media"
)

func TestLastPicture(t *testing.T) {
	ms := media.Rational{Num: 1, Den: 1000}
	for _, c := range []struct {
		container         string
		frames, last, end int64
		want              string
	}{
		{"mp4", 25, 960, 1200, "-bsf:v setts=pts=PTS:dts=DTS:duration='if(eq(N,24),max(108000-DTS+STARTDTS,1),if(lt(abs(PTS-STARTPTS-86400),1.5),21600,DURATION))'"},
		{"webm", 25, 960, 1200, "-bsf:v setts=pts=PTS:dts=DTS:duration='if(lt(abs(PTS-STARTPTS-960),1.5),240,if(eq(N,24),1,DURATION))'"},
		{"mp4", 0, 0, 40, ""},
		{"mkv", 2, 40, 40, ""},
	} {
		if got := strings.Join(LastPicture("5.1.9", c.container, 90_000, ms, c.frames, c.last, c.end), " "); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if got := LastPicture("7.1", "mp4", 90_000, ms, 25, 960, 1200); got != nil {
		t.Error(got)
	}
}
