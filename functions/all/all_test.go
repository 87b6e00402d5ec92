package all

import (
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/media"
)

// Without any tool the menu loads; what cannot run says which tool it misses.
func TestMenuLoads(t *testing.T) {
	menu := Menu(Tools{})
	for _, name := range menu.Names() {
		f, err := menu.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		spec := f.Spec()
		if spec.Summary == "" || spec.Doc == "" {
			t.Errorf("%s: needs a summary and a doc", name)
		}
		if m := spec.Missing; m != "" && !strings.Contains(m, "ffmpeg") && !strings.Contains(m, "engine") && name != "service.call" {
			t.Errorf("%s: missing %q names no tool", name, m)
		}
	}
}

// Functions whose slices share the bits of the whole take what flows pass
// between the passes.
func TestSharedBitsHaveSlots(t *testing.T) {
	seen := 0
	menu := Menu(Tools{})
	for _, name := range menu.Names() {
		f, err := menu.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := f.Check([]byte(`{"bitrate":1000000,"codec":"h264","format":"mp4"}`), []media.Kind{media.Video})
		if err != nil {
			continue // no video, or more is required
		}
		a, err := f.Assembly(raw, nil)
		if err != nil || !a.Reduce {
			continue
		}
		seen++
		for _, name := range []string{"analyses", "analysis", "reduced"} {
			if s := f.Spec().Slot(name); s == nil || f.Spec().Asked(name) || !s.Accepts(media.Data) {
				t.Errorf("%s has no internal slot %q", f.Spec().Name, name)
			}
		}
	}
	if seen < 2 {
		t.Errorf("%d functions share bits", seen)
	}
}
