package assemble

import (
	"encoding/json"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
)

// joints runs assemble.joints.
func (b *bench) joints(w *work, result string) (q slice.JointQuality) {
	b.Helper()
	res, err := b.call(Joints(b.ff), "", b.input("result", result), b.input("source", w.source), b.document(w))
	if err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal(res.Facts, &q); err != nil {
		b.Fatal(err)
	}
	return q
}

func TestJointQuality(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	src := b.clip("s.mp4", "25", "", "-crf", "12")
	for _, container := range []string{"mp4", "mkv"} {
		w := b.slice(src, fn.Assembly{Container: container, Sound: true}, []string{"-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-vf", "scale=128:72"})
		result, _ := b.merge(w)
		q := b.joints(w, result)
		if q.OK == nil || !*q.OK || q.Compared != len(w.plan.Promise.Joints) || q.Elsewhere < 0.8 || q.Worst == nil || q.Worst.Joint.PSNR < 20 {
			t.Fatalf("%s: %+v", container, q)
		}
		// One slice begins badly: half a second at the coarsest quantiser.
		info := b.facts(src)
		part := w.plan.Segments[2]
		w.slices[2] = b.cut(w, info, part, []string{"-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-vf", "scale=128:72", "-x264-params", "zones=0,11,q=51"}, "bad")
		result, _ = b.merge(w)
		q = b.joints(w, result)
		if q.OK == nil || *q.OK || q.Worst.Order != 2 || q.Worst.Difference > -0.01 || q.Reason == "" {
			t.Errorf("%s: a joint that shows: %+v", container, q)
		}
	}
}

// What does not show the same pictures in the same places has no score.
func TestJointsAreAlignedFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	src := b.clip("s.mp4", "25", "")
	w := b.slice(src, fn.Assembly{Container: "mp4", Sound: true}, x264)
	late := b.path("late.mp4") // the same times, every picture one frame late
	b.run("-i", src, "-vf", "tpad=start=1:start_mode=clone,trim=end_frame=175", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "copy", "-video_track_timescale", "12800", late)
	if q := b.joints(w, late); q.OK != nil || q.Compared != 0 || q.Reason == "" {
		t.Errorf("a frame late: %+v", q)
	}
	result, _ := b.merge(w)
	w.plan.Promise.Rate = media.Rational{Num: 30, Den: 1}
	if q := b.joints(w, result); q.OK != nil || q.Reason == "" {
		t.Errorf("at another rate: %+v", q)
	}
	w.plan.Promise.Rate = media.Rational{}
	narrow := b.path("narrow.mp4")
	b.run("-i", result, "-vf", "crop=96:90", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "copy", "-vsync", "passthrough", "-video_track_timescale", "12800", narrow)
	if q := b.joints(w, narrow); q.OK != nil || q.Reason == "" {
		t.Errorf("cut: %+v", q)
	}
}

// TestShortSoundIsHeard: sound under three seconds is compared too.
func TestShortSoundIsHeard(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	src := b.path("short.mp4")
	b.run("-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=7", "-f", "lavfi", "-i", "aevalsrc=sin(440*2*PI*t*(1+t/3)):s=48000:d=1.2",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "20", "-pix_fmt", "yuv420p", "-c:a", "aac", src)
	w := b.slice(src, fn.Assembly{Container: "mp4", Sound: true}, x264)
	result, _ := b.merge(w)
	heard := func() slice.Check {
		for _, k := range b.certify(w, result).Checks {
			if k.Name == "audio_offset" {
				return k
			}
		}
		return slice.Check{}
	}
	if k := heard(); !k.OK || k.Want != "within 1 ms" {
		t.Errorf("in place: %+v", k)
	}
	moved := b.path("moved.m4a") // 5 ms late: less than a coded frame, so timestamps would pass
	b.run("-i", w.sound, "-af", "adelay=5:all=1", "-c:a", "aac", moved)
	w.sound = moved
	result, _ = b.merge(w)
	if k := heard(); k.OK {
		t.Errorf("5 ms late: %+v", k)
	}
}
