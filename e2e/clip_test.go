package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var (
	clipMu   sync.Mutex
	clipMade = map[string]*sync.Once{}
)

// clip makes a piece of media with ffmpeg, once, and returns its path.
func clip(t *testing.T, name, args string) string {
	t.Helper()
	clipMu.Lock()
	once := clipMade[name]
	if once == nil {
		once = &sync.Once{}
		clipMade[name] = once
	}
	clipMu.Unlock()
	path := filepath.Join(clips, name)
	once.Do(func() { ffmpeg(t, append(strings.Fields(args), path)...) })
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("clip %s was not made", name)
	}
	return path
}

// ffmpeg runs the tool and returns what it printed as errors.
func ffmpeg(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("ffmpeg", append([]string{"-hide_banner", "-nostdin", "-v", "error", "-y"}, args...)...)
	cmd.Dir = clips
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// film is six seconds with sound in six groups of pictures.
func film(t *testing.T) string {
	return clip(t, "film.mp4", "-f lavfi -i testsrc2=s=192x108:r=25:d=6 -f lavfi -i sine=r=44100:d=6 "+
		"-c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a aac -movflags faststart")
}

// tiny is three seconds with sound in six groups of pictures.
func tiny(t *testing.T) string {
	return clip(t, "tiny.mp4", "-f lavfi -i testsrc2=s=128x96:r=24:d=3 -f lavfi -i sine=r=44100:d=3 "+
		"-c:v libx264 -preset ultrafast -g 12 -pix_fmt yuv420p -c:a aac -movflags faststart")
}

const tinyFrames = 72

// picture is a still.
func picture(t *testing.T) string {
	return clip(t, "picture.png", "-f lavfi -i testsrc2=s=160x120 -frames:v 1")
}
