package e2e_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// pair is one call, computed in slices and whole.
type pair struct {
	name           string
	source         string // path
	sliced, whole  string // task ids, then paths of the results
	report         report
	slicedT, wholT *api.Task
}

// both submits a call twice.
func (s *server) both(name, path, params string) *pair {
	s.t.Helper()
	rq := api.Submit{Cmd: "video.transcode", Inputs: []media.Ref{s.upload("in", path)}, Params: json.RawMessage(params)}
	p := &pair{name: name, source: path}
	rq.Extra = task.Extra{Slice: "off"}
	p.whole = s.submit(rq)
	rq.Extra = task.Extra{Slice: "force"}
	p.sliced = s.submit(rq)
	return p
}

// fetch waits for both and downloads the results.
func (p *pair) fetch(t *testing.T, s *server) {
	t.Helper()
	p.slicedT, p.wholT = s.succeeded(p.sliced), s.succeeded(p.whole)
	p.report = reportOf(t, p.slicedT.Result)
	p.sliced, p.whole = s.download(p.slicedT.Outputs[0].Ref), s.download(p.wholT.Outputs[0].Ref)
}

// compare holds the two against the source and each other: frames, times,
// picture size, colour tags, a clean decode.
func (p *pair) compare(t *testing.T) {
	t.Helper()
	want := timesOf(t, p.source)
	for what, path := range map[string]string{"sliced": p.sliced, "whole": p.whole} {
		got := timesOf(t, path)
		if err := got.like(want); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if said := ffmpeg(t, "-i", path, "-f", "null", "-"); said != "" {
			t.Errorf("%s does not decode well: %s", what, said)
		}
	}
	if err := timesOf(t, p.sliced).like(timesOf(t, p.whole)); err != nil {
		t.Errorf("sliced against whole: %v", err)
	}
	const tags = "stream=width,height,pix_fmt,color_range,color_space,color_transfer,color_primaries,sample_aspect_ratio"
	if a, b := entries(t, p.sliced, "v:0", tags), entries(t, p.whole, "v:0", tags); a != b {
		t.Errorf("sliced is\n%s\nwhole is\n%s", a, b)
	}
	if a, b := len(entries(t, p.sliced, "a", "stream=codec_name")), len(entries(t, p.source, "a", "stream=codec_name")); (a == 0) != (b == 0) {
		t.Error("sound was lost or made up")
	}
	if c := p.report.Certificate; c == nil || !c.OK {
		t.Errorf("certificate: %+v", c)
	}
}

// TestSlicedQuality: a long clip, in slices, is what it is whole: the same
// frames at the same times, sound where it was, as good and as small.
func TestSlicedQuality(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	path := clip(t, "long.mp4", "-f lavfi -i testsrc2=s=320x180:r=25:d=36,noise=alls=4:allf=t -f lavfi -i anoisesrc=c=pink:d=36:seed=7:a=0.3 "+
		"-c:v libx264 -preset ultrafast -crf 20 -g 50 -pix_fmt yuv420p -color_range tv -colorspace bt709 -color_primaries bt709 -color_trc bt709 -c:a aac")
	p := s.both("long", path, `{"preset":"veryfast"}`)
	p.fetch(t, s)
	quiet(t, s)
	s.stop()
	if !p.report.Sliced || len(p.report.Certificate.Joints) < 1 {
		t.Fatalf("not sliced: %+v", p.report)
	}
	p.compare(t)
	if n := len(timesOf(t, p.sliced).ticks); n != 36*25 {
		t.Errorf("%d frames of %d", n, 36*25)
	}
	const tags = "stream=color_range,color_space,color_transfer,color_primaries"
	if a, b := entries(t, p.sliced, "v:0", tags), entries(t, path, "v:0", tags); a != b {
		t.Errorf("colours are %q, were %q", a, b)
	}
	from, to := soundOf(t, path), soundOf(t, p.sliced)
	for _, at := range []float64{1, 17, 34} {
		if lag := lagOf(from, to, at); math.Abs(lag) > 0.001 {
			t.Errorf("sound at %g s lies %g s behind", at, lag)
		}
	}
	inSlices, asWhole := ssimOf(t, path, p.sliced, 25), ssimOf(t, path, p.whole, 25)
	for i := range inSlices {
		allowed := 0.003
		for _, j := range p.report.Certificate.Joints {
			if int(j.Time) == i {
				allowed = 0.005
			}
		}
		if inSlices[i] < asWhole[i]-allowed {
			t.Errorf("second %d: SSIM %.4f in slices, %.4f whole", i, inSlices[i], asWhole[i])
		}
	}
	a, b := sizeOf(t, p.sliced), sizeOf(t, p.whole)
	t.Logf("%d slices, size %.4f", len(p.report.Certificate.Joints)+1, float64(a)/float64(b))
	if float64(a) > 1.03*float64(b) {
		t.Errorf("%d bytes in slices, %d whole", a, b)
	}
}

// TestSlicedMatrix: what differs in sources must not differ in results; a
// source that cannot be sliced is processed whole, and the result says why.
func TestSlicedMatrix(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	const (
		noise = " -f lavfi -i anoisesrc=c=pink:d=4:seed=7:a=0.3"
		x264  = " -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 20 -c:a aac"
	)
	at := func(rate string) string { return "-f lavfi -i testsrc2=s=128x72:d=4:r=" + rate }
	clip(t, "25.mp4", at("25")+noise+x264)
	sources := map[string]string{
		"23.976.mp4": at("24000/1001") + noise + x264,
		"25.mp4":     at("25") + noise + x264,
		"59.94.mov":  at("60000/1001") + noise + x264,
		"vfr.mp4":    at("30") + ",select=mod(n\\,7)*mod(n\\,5)" + noise + x264 + " -vsync vfr",
		"vfr.mkv":    at("30") + ",select=mod(n\\,7)*mod(n\\,5)" + noise + x264 + " -vsync vfr",
		"silent.mp4": at("25") + x264,
		"late.mp4":   at("25") + " -itsoffset 0.3" + noise + x264,
		"open.mp4":   at("25") + noise + " -c:v libx264 -preset fast -pix_fmt yuv420p -bf 3 -x264-params open-gop=1:keyint=20:min-keyint=20 -c:a aac",
		"turned.mp4": "-i 25.mp4 -c copy -metadata:s:v:0 rotate=90",
		"ten.mp4":    at("25") + noise + " -c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -x265-params log-level=error:keyint=20 -tag:v hvc1 -c:a aac",
	}
	var pairs []*pair
	for name, args := range sources {
		path := clip(t, name, args)
		pairs = append(pairs, s.both(name, path, `{"preset":"ultrafast"}`))
		switch name {
		case "vfr.mp4", "late.mp4", "ten.mp4":
			pairs = append(pairs, s.both(name+" h265", path, `{"preset":"ultrafast","codec":"h265"}`))
		}
	}
	pairs = append(pairs, s.both("25.mp4 webm", clip(t, "25.mp4", sources["25.mp4"]), `{"preset":"ultrafast","format":"webm"}`))
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			p.fetch(t, s)
			if p.report.Sliced {
				p.compare(t)
			} else if p.report.Reason == "" || p.report.Code == "" {
				t.Errorf("neither sliced nor a reason: %s", p.slicedT.Result)
			} else {
				t.Log(p.report.Reason)
			}
			if len(entries(t, p.source, "a", "stream=codec_name")) > 0 {
				if lag := lagOf(soundOf(t, p.source), soundOf(t, p.sliced), 1); math.Abs(lag) > 0.001 {
					t.Errorf("sound lies %g s behind", lag)
				}
			}
		})
	}
	quiet(t, s)
	s.stop()
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// times are the presentation times of a track's frames, rising.
type times struct {
	ticks []int64
	unit  float64 // seconds of a tick
}

// like reports how far two tracks have the same frames at the same times, to
// the coarser of their time bases.
func (a times) like(b times) error {
	if len(a.ticks) != len(b.ticks) {
		return fmt.Errorf("%d frames, want %d", len(a.ticks), len(b.ticks))
	}
	coarse := max(a.unit, b.unit)
	for i := range a.ticks {
		if off := float64(a.ticks[i])*a.unit - float64(b.ticks[i])*b.unit; math.Abs(off) > coarse*1.001 {
			return fmt.Errorf("frame %d lies %g s off", i, off)
		}
	}
	return nil
}
