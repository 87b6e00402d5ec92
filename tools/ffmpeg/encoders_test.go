package ffmpeg

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// TestInsideSandbox: what encoders and filters need of the system (threads,
// fonts, processor topology) is granted.
func TestInsideSandbox(t *testing.T) {
	tool := newTool(t)
	for _, c := range []struct {
		name string
		args []string
	}{
		{"x265.mp4", []string{"-c:v", "libx265", "-x265-params", "pools=2:log-level=error"}},
		{"vp9.webm", []string{"-c:v", "libvpx-vp9", "-row-mt", "1", "-threads", "2", "-deadline", "realtime", "-cpu-used", "8"}},
		{"av1.mkv", []string{"-c:v", "libsvtav1", "-preset", "12"}},
		{"text.mp4", []string{"-c:v", "libx264", "-vf", graph.Of(graph.New("drawtext", "font", "Sans", "text", "it's 5:00, [%{n}]", "expansion", "none")).String()}},
		{"stab.trf", []string{"-vf", "format=yuv420p,vidstabdetect=result=stab.trf", "-f", "null"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			args := append([]string{"-f", "lavfi", "-i", "testsrc=s=160x120:r=10:d=0.5", "-pix_fmt", "yuv420p"}, c.args...)
			s, err := tool.Run(t.Context(), Job{Args: append(args, filepath.Join(dir, c.name)), WritePaths: []string{dir}, MaxMemory: 2 << 30})
			if err != nil || s.Frames != 5 {
				t.Errorf("%+v %v\n%s", s, err, errs.TailOf(err))
			}
			for _, w := range s.Warnings {
				if strings.Contains(w, "libnuma") || strings.Contains(w, "[info]") || strings.Contains(w, "ontconfig") {
					t.Errorf("said %q", w)
				}
			}
		})
	}
}
