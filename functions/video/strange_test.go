package video

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/functions/internal/coded"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
)

// TestSizeChanges: pictures that change their size on the way come out in the
// first one's size, sliced or whole.
func TestSizeChanges(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	var stream []byte
	for _, size := range []string{"96x64", "48x32"} {
		part, err := os.ReadFile(fnrig.Generate(t, size+".264", strings.Fields("-f lavfi -i testsrc2=r=25:d=2:s="+size+" -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -f h264")...))
		if err != nil {
			t.Fatal(err)
		}
		stream = append(stream, part...)
	}
	both := filepath.Join(t.TempDir(), "both.264")
	if err := os.WriteFile(both, stream, 0o600); err != nil {
		t.Fatal(err)
	}
	src := fnrig.Generate(t, "sizes.mp4", strings.Fields("-f h264 -r 25 -i "+both+" -c copy")...)
	f := Transcode(rig.FFmpeg)
	for _, params := range []string{`{"preset":"ultrafast","crf":10}`, `{"preset":"ultrafast","crf":10,"height":32}`} {
		if a, b := times(t, run(t, rig, f, params, nil, src)), times(t, sliced(t, rig, f, params, src)); !sameTimes(b, a, 0) {
			t.Errorf("%s: times\n%v\nwhole\n%v", params, b, a)
		}
	}
}

// TestDamagedSlices: a slice that cannot be decoded comes without pictures; where
// slices share bits, all of them do.
func TestDamagedSlices(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	sound := fnrig.Shared(t, "sound.mp4", strings.Fields("-f lavfi -i testsrc2=s=96x64:r=25:d=4 -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p")...)
	src := fnrig.Generate(t, "damaged.mp4", "-i", sound, "-c", "copy", "-bsf:v", `noise=amount=if(between(n\,60\,62)\,1\,0)`)
	f := Transcode(rig.FFmpeg)
	void := func(path string) bool {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Equal(body, coded.Void)
	}
	params := `{"preset":"ultrafast","crf":20}`
	plan, _ := planned(t, rig, f, params, src)
	lost := 0
	for i := range plan.Segments {
		if void(pass(t, rig, f, params, &plan.Segments[i], nil, src)) {
			lost++
		}
	}
	if len(plan.Segments) < 2 || lost != 1 {
		t.Errorf("%d of %d slices without pictures", lost, len(plan.Segments))
	}
	params = `{"preset":"ultrafast","bitrate":200000}`
	plan, _ = planned(t, rig, f, params, src)
	var analyses []fn.Input
	for i := range plan.Analyses {
		analyses = append(analyses, own(t, "analyses", pass(t, rig, f, params, &plan.Analyses[i], nil, src)))
	}
	reduced := own(t, "reduced", pass(t, rig, f, params, plan.Reduction, analyses, src))
	for i := range plan.Segments {
		one := analyses[i]
		one.Slot = "analysis"
		if !void(pass(t, rig, f, params, &plan.Segments[i], []fn.Input{reduced, one}, src)) {
			t.Errorf("slice %d has pictures", i)
		}
	}
}
