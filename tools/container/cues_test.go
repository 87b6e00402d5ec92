package container

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/mediafn/mediafn/tools/sniff"
)

// The index of a Matroska file names entry points without reading the file,
// and a scan finds out where it lies.
func TestCues(t *testing.T) {
	path := generate(t, "a.mkv", cat(lavfi("testsrc2=s=160x96:r=25:d=4"), []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p", "-cluster_time_limit", "1000"})...)
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	format, _ := sniff.FormatByName("matroska")
	open := func(opt Options) (v []int64, frames int64, seekable bool, warned int) {
		i, err := Read(context.Background(), bytes.NewReader(body), int64(len(body)), format, opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range i.Video[0].GOP.Keys {
			v = append(v, k.Frame, k.PTS)
		}
		return v, i.Video[0].Frames, *i.Seekable, len(i.Warnings)
	}
	index, counted, _, _ := open(Options{Index: true})
	scan, frames, seekable, _ := open(Options{Keys: true})
	if len(index) != 8 || len(scan) != 8 || counted != 0 || frames != 100 || !seekable {
		t.Fatalf("%v (%d), %v (%d), seekable %v", index, counted, scan, frames, seekable)
	}
	for i := range 4 {
		if index[2*i] != -1 || scan[2*i] != int64(25*i) || index[2*i+1] != scan[2*i+1] {
			t.Errorf("entry %d: %v, %v", i, index[2*i:2*i+2], scan[2*i:2*i+2])
		}
	}
	// The time of a cue point, 0xb3, in the index at the end: one of 2,000 ms moved by one.
	at := bytes.LastIndex(body, []byte{0xb3, 0x82, 0x07, 0xd0})
	if at < 0 {
		t.Fatal("no cue at 2 s")
	}
	body[at+3]++
	if _, _, seekable, warned := open(Options{Keys: true}); seekable || warned == 0 {
		t.Error("an index that names what is not there passes")
	}
}

// Pictures that begin late lie behind clusters of sound: they still tell when.
func TestLatePictures(t *testing.T) {
	file := generate(t, "late.mkv", cat(lavfi("sine=d=4:r=44100"), []string{"-itsoffset", "1.3"}, lavfi("testsrc2=s=32x32:r=25:d=1"), []string{"-map", "1", "-map", "0", "-c:v", "libx264", "-c:a", "aac"})...)
	whole := read(t, file, Options{Keys: true}).MainVideo()
	if v := read(t, file, Options{}).MainVideo(); v.StartTime != whole.StartTime || v.StartTime < 1.3 {
		t.Errorf("pictures begin at %g s, a scan says %g s", v.StartTime, whole.StartTime)
	}
}
