package ffmpeg

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTellingOf(t *testing.T) {
	got := tellingOf([]string{
		"-f", "mp4", "-i", "-crf", "-filter_complex", "drawtext=text=secret", "-c:v", "libx264", "-crf", "23", "-f", "mov", "http://127.0.0.1:1/token",
	})
	want := map[string]string{"-f": "mov", "-c:v": "libx264", "-crf": "23"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
