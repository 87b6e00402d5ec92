package e2e_test

import (
	"encoding/json"
	"testing"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// TestRangesReadOnce: all components of a sliced task together read an indexed
// file little more than once, also where the worker can keep a seventh of it.
func TestRangesReadOnce(t *testing.T) {
	t.Parallel()
	// Pictures that do not compress: a minute of 7 Mbit/s.
	path := clip(t, "heavy.mp4", "-f lavfi -i testsrc2=s=640x360:r=25:d=6,noise=alls=60:allf=t -f lavfi -i anoisesrc=c=pink:d=6:seed=7:a=0.3 -shortest "+
		"-c:v libx264 -preset ultrafast -bf 0 -g 25 -b:v 7200k -minrate 7200k -maxrate 7200k -bufsize 4M -pix_fmt yuv420p -c:a aac -b:a 128k -movflags faststart")
	long := clip(t, "heavy-60.mp4", "-stream_loop 9 -i heavy.mp4 -c copy -movflags faststart")
	size := sizeOf(t, long)
	if size < 50<<20 || size > 64<<20 {
		t.Fatalf("%s has %d bytes, made of %s", long, size, path)
	}
	s := serve(t, t.TempDir(), "", "--block-cache", "8MiB")
	rq := api.Submit{Cmd: "video.transcode", Inputs: []media.Ref{s.upload("in", long)}, Params: json.RawMessage(`{"preset":"ultrafast","width":128}`), Extra: task.Extra{Slice: "force"}}
	done := s.succeeded(s.submit(rq))
	r := reportOf(t, done.Result)
	if !r.Sliced || r.Certificate == nil || !r.Certificate.OK || len(r.Certificate.Joints) < 2 {
		t.Fatalf("%s", done.Result)
	}
	// What the slices weigh is read by the merge, not of the source.
	f := done.Figures
	t.Logf("%d slices of %.1f MB: %.2f × of it fetched, %.2f MB stored", f.Slices, float64(size)/1e6, float64(f.BytesFetched)/float64(size), float64(f.BytesStored)/1e6)
	if float64(f.BytesFetched) > 1.15*float64(size) {
		t.Errorf("%d bytes fetched of a file of %d", f.BytesFetched, size)
	}
}
