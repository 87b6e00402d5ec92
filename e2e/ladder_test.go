package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/core/task"
)

// TestLadder: a package of renditions, made in slices, works where it was
// published: its manifests find what they speak of. One rendition is made
// afresh, and the others are not computed again for it.
func TestLadder(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	rq := api.Submit{
		Cmd: "derive.hls", Inputs: []media.Ref{s.upload("in", film(t))}, Outputs: []media.Ref{{Bucket: "out", Key: "film/"}}, Extra: task.Extra{Slice: "force"},
		Params: json.RawMessage(`{"renditions":[{"name":"high","height":108},{"name":"low","height":54}],"preset":"ultrafast","segment_seconds":2,"dash":true,"segments":"files"}`),
	}
	id := s.submit(rq)
	end := s.succeeded(id)
	r := reportOf(t, end.Result)
	if !r.Sliced || r.Certificate == nil || !r.Certificate.OK || !slices.ContainsFunc(r.Certificate.Checks, func(c slice.Check) bool { return c.Rendition == "low" && c.Name == "keyframes" }) {
		t.Fatalf("%s", end.Result)
	}
	var names []string
	for _, o := range end.Outputs {
		if o.Bucket != "out" || o.Key != "film/"+o.Name {
			t.Errorf("%s lies at %s", o.Name, o.Ref)
		}
		names = append(names, o.Name)
	}
	for _, want := range []string{"master.m3u8", "manifest.mpd", "video/high.m3u8", "video/low/init.mp4", "video/low/00003.m4s", "audio/1/00001.m4s"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s among %q", want, names)
		}
	}
	for _, manifest := range []string{"master.m3u8", "manifest.mpd"} {
		if said := ffmpeg(t, "-i", s.url+"/v1/objects/out/film/"+manifest, "-map", "0", "-f", "null", "-"); said != "" {
			t.Errorf("%s: %s", manifest, said)
		}
	}
	before := s.folder(end)

	if _, err := s.RetryPart(t.Context(), id, api.Retry{Fresh: []string{"low"}}); err != nil {
		t.Fatal(err)
	}
	end = s.succeeded(id)
	parts := segments(end, task.Succeeded)
	for _, w := range parts {
		if w.Segment == nil {
			continue // the fan-out, all of them together
		}
		if len(w.Outputs) != 2 || w.Usage.Reused != 1 {
			t.Errorf("%s used %d of %d files again", w.ID, w.Usage.Reused, len(w.Outputs))
		}
	}
	if r := reportOf(t, end.Result); len(parts) < 2 || r.Certificate == nil || !r.Certificate.OK {
		t.Errorf("%d slices: %s", len(parts), end.Result)
	}
	after := s.folder(end)
	if len(after) != len(before) {
		t.Errorf("%d files became %d", len(before), len(after))
	}
	for name, content := range before {
		if strings.Contains(name, "high") && after[name] != content {
			t.Errorf("%s is another", name)
		}
	}
	quiet(t, s)
	s.stop()
}

// folder reads a task's files, by name.
func (s *server) folder(v *api.Task) map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for _, o := range v.Outputs {
		path := s.download(o.Ref)
		raw, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		all[filepath.ToSlash(o.Name)] = string(raw)
	}
	return all
}
