package all

import (
	"strings"
	"testing"
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
