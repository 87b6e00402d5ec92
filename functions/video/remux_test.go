package video

import (
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
)

// TestRemuxed: what cannot be entered in place gives sliced, by way of a copy,
// what it gives whole.
func TestRemuxed(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	f := Transcode(rig.FFmpeg)
	x264 := "-c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p "
	long := func(name, more string) string {
		return fnrig.Shared(t, name, strings.Fields("-f lavfi -i testsrc2=s=96x64:r=25:d=4 -f lavfi -i anoisesrc=r=44100:d=4:a=0.3 "+more)...)
	}
	mp4 := long("plain.mp4", x264+"-c:a aac")
	copied := func(name, more string) string {
		return fnrig.Shared(t, name, append([]string{"-i", mp4}, strings.Fields(more)...)...)
	}
	for _, c := range []struct {
		name, src string
		code      slice.Code // empty: as it is
	}{
		{"ts", long("a.ts", x264+"-c:a aac"), slice.Remuxing},
		{"ts late", long("b.ts", x264+"-c:a mp2 -muxdelay 3 -output_ts_offset 100"), slice.Remuxing},
		{"ts open gop", long("c.ts", x264+"-x264-params open-gop=1:scenecut=0 -c:a aac"), slice.Remuxing},
		{"ts mpeg2", long("d.ts", "-c:v mpeg2video -q:v 3 -bf 2 -g 12 -c:a mp2"), slice.Remuxing},
		{"flv", long("a.flv", x264+"-c:a aac"), slice.Remuxing},
		{"mkv without cues", copied("live.mkv", "-c copy -live 1"), slice.Remuxing},
		{"fragments", copied("frag.mp4", "-c copy -movflags frag_keyframe+empty_moov"), slice.Forced},
		{"fragments without index", copied("bare.mp4", "-c copy -movflags frag_keyframe+empty_moov+skip_trailer"), slice.Remuxing},
		{"trimmed by an edit list", copied("trim.mp4", "-c copy -output_ts_offset -1 -avoid_negative_ts disabled"), slice.Remuxing},
		{"avi", long("a.avi", "-c:v mpeg4 -q:v 3 -g 25 -c:a mp3"), slice.Remuxing},
		{"avi, reordered", long("b.avi", "-c:v mpeg4 -q:v 3 -bf 2 -g 25 -c:a mp3"), slice.Remuxing},
		{"mkv with cues", copied("cues.mkv", "-c copy"), slice.Forced},
		{"mp4", mp4, slice.Forced},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			params := `{"preset":"ultrafast","crf":0}`
			plan, _ := planned(t, rig, f, params, c.src)
			if plan.Code != c.code {
				t.Fatalf("%s: %s", plan.Code, plan.Reason)
			}
			t.Log(plan.Reason)
			whole, merged := run(t, rig, f, params, nil, c.src), sliced(t, rig, f, params, c.src)
			alike(t, c.name, whole, merged)
		})
	}
}
