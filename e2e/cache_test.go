package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/core/task/chart"
)

// thirds is on how many cores a strip is cut into three slices of 8 s, once they are known.
const thirds = "--cores=3"

// strip is a film with sound.
func strip(t *testing.T) string {
	return clip(t, "strip.mp4", "-f lavfi -i testsrc2=s=160x90:r=25:d=24 -f lavfi -i sine=r=44100:d=24 "+
		"-c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a aac")
}

// titled is a film with two texts, the second from a second on to another.
func titled(source media.Ref, params string) api.Submit {
	return api.Submit{Cmd: "video.watermark", Inputs: []media.Ref{source}, Extra: task.Extra{Slice: "force"}, Params: json.RawMessage(params)}
}

// computed lists the slices of an ended task that were computed in its last
// generation, and reports whether the sound was.
func computed(v *api.Task) (orders []int, sound bool) {
	for _, w := range v.Work {
		switch {
		case w.Component == "Segments" && w.Segment != nil && w.Usage.Reused == 0:
			orders = append(orders, *w.Segment)
		case w.Component == "Sound":
			sound = w.Usage.Reused == 0
		}
	}
	slices.Sort(orders)
	return orders, sound
}

// parts are the ranges a task was cut into, in seconds.
func (s *server) parts(id string) (all []media.Span) {
	s.t.Helper()
	db := rows(s.t, s.data)
	defer func() { _ = db.Close() }()
	var raw string
	var plan slice.Plan
	err := db.QueryRow(`SELECT facts FROM work WHERE task_id = ? AND component = 'Plan'`, id).Scan(&raw)
	if err == nil {
		err = json.Unmarshal([]byte(raw), &plan)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range plan.Segments {
		all = append(all, media.Span{Start: p.TimeBase.Seconds(p.Start), End: p.TimeBase.Seconds(p.End)})
	}
	return all
}

// touching are the slices that a window, from one second to another, lies in.
func touching(parts []media.Span, from, to float64) (orders []int) {
	for i, p := range parts {
		if from < p.End && to > p.Start {
			orders = append(orders, i)
		}
	}
	return orders
}

// TestSliceCache: a task that was done before computes nothing; with one overlay
// at another time it computes the slices where that changes something; with other
// parameters or another source, everything; and so does a retry that says so.
func TestSliceCache(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "", thirds)
	src := s.upload("in", strip(t))
	const params = `{"preset":"ultrafast","texts":[{"text":"always"},{"text":"title","start":3,"end":4,"position":"top"}]}`
	end, parts := s.settled(titled(src, params))
	all := touching(parts, 0, 1e9)
	if len(parts) < 2 || len(touching(parts, 3, 5)) != 1 {
		t.Fatalf("slices of %v tell nothing", parts)
	}
	for _, c := range []struct {
		name, params string
		want         []int
		sound        bool
	}{
		{"again", params, nil, false},
		{"the title stays longer", strings.Replace(params, `"end":4`, `"end":5`, 1), touching(parts, 3, 5), false},
		{"the title stays till the end", strings.Replace(params, `"end":4`, `"end":99`, 1), all, false},
		{"the title is elsewhere", strings.Replace(params, `"start":3,"end":4`, `"start":20,"end":21`, 1),
			append(touching(parts, 3, 4), touching(parts, 20, 21)...), false},
		{"another quality", strings.Replace(params, "{", `{"crf":30,`, 1), all, false},
		{"other sound", strings.Replace(params, "{", `{"audio_bitrate":96000,`, 1), nil, true},
	} {
		end := s.succeeded(s.submit(titled(src, c.params)))
		orders, sound := computed(end)
		if !slices.Equal(orders, c.want) || sound != c.sound {
			t.Errorf("%s: slices %v computed, sound %v; want %v, %v", c.name, orders, sound, c.want, c.sound)
		}
		if f := end.Figures; f == nil || f.Slices != len(parts) || f.Reused != len(parts)-len(c.want) {
			t.Errorf("%s: figures %+v", c.name, end.Figures)
		}
		if g, err := s.Graph(t.Context(), end.TaskID); err != nil {
			t.Error(err)
		} else if n := nodeOf(g, "Segments"); n.Segments == nil || n.Segments.Reused != len(parts)-len(c.want) {
			t.Errorf("%s: graph %+v", c.name, n.Segments)
		}
	}
	if text := s.page("/metrics"); !strings.Contains(text, "mediafn_slice_cache_hits_total") || strings.Contains(text, "mediafn_slice_cache_hits_total 0\n") {
		t.Error("no hit was counted")
	}

	for _, c := range []struct {
		retry api.Retry
		want  []int
	}{{api.Retry{Fresh: []string{fn.AllFresh}}, all}, {api.Retry{Fresh: []string{"720p"}}, nil}, {api.Retry{Component: "Segments"}, nil}} {
		if _, err := s.RetryPart(t.Context(), end.TaskID, c.retry); err != nil {
			t.Fatal(err)
		}
		if orders, _ := computed(s.succeeded(end.TaskID)); !slices.Equal(orders, c.want) {
			t.Errorf("retry %+v: slices %v computed, want %v", c.retry, orders, c.want)
		}
	}

	s.upload("in", strip(t)) // the same bytes, but nobody has compared them
	if orders, sound := computed(s.succeeded(s.submit(titled(src, params)))); !slices.Equal(orders, all) || !sound {
		t.Errorf("another version of the source: slices %v computed, sound %v", orders, sound)
	}
	quiet(t, s)
	s.stop()
}

func nodeOf(g *chart.Graph, component string) (n chart.Node) {
	for _, n := range g.Nodes {
		if n.Component == component {
			return n
		}
	}
	return n
}

// TestKilledMidway: worker and controller are killed when a slice is stored and
// nobody has heard of it. Afterwards the task computes what is missing: of the
// slices nothing that was stored.
func TestKilledMidway(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data, "outputs stored:2", thirds) // of four or five: Probe, Sound and the slices
	src := s.upload("in", strip(t))
	const params = `{"preset":"ultrafast","texts":[{"text":"always"}]}`
	id := s.submit(titled(src, params))
	s.died(time.Minute)
	s.orphans()
	records, err := filepath.Glob(filepath.Join(data, "objects", keptForLater, "*.json"))
	if err != nil || len(records) < 2 {
		t.Fatalf("%d parts were stored before the end (%v)", len(records), err)
	}
	before := map[string]bool{} // attempts that computed something and stored it
	for _, path := range records {
		before[recorded(t, path)] = true
	}

	s = serve(t, data, "", thirds)
	end := s.succeeded(id)
	reused, attempts := 0, 0
	for _, w := range end.Work {
		if w.Component != "Segments" && w.Component != "Sound" || w.Component == "Segments" && w.Segment == nil {
			continue
		}
		attempts++
		if w.Usage.Reused > 0 {
			if reused++; w.Attempt < 2 || w.Usage.CPUSeconds > 0 {
				t.Errorf("%s used what was there: attempt %d, %+v", w.ID, w.Attempt, w.Usage)
			}
		}
	}
	if reused == 0 {
		t.Errorf("the slice that was stored was computed again: %s", shown(end))
	}
	// What was stored before, with its record, was not computed again. A file whose
	// record the kill forestalled may lie there as well.
	after, err := filepath.Glob(filepath.Join(data, "objects", keptForLater, "*.json"))
	if err != nil || len(after) != attempts {
		t.Errorf("%d files were kept for %d parts: %v", len(after), attempts, err)
	}
	kept := 0
	for _, path := range after {
		if before[recorded(t, path)] {
			kept++
		}
	}
	if kept != len(before) {
		t.Errorf("%d of %d files of before are there", kept, len(before))
	}
	if orders, sound := computed(s.succeeded(s.submit(titled(src, params)))); orders != nil || sound {
		t.Errorf("the same task again computed slices %v, sound %v", orders, sound)
	}
	quiet(t, s)
	s.stop()
}

// recorded is the attempt that stored what a record of the slice cache tells of.
func recorded(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	var r struct{ Trace string }
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil || r.Trace == "" {
		t.Fatalf("%s: %s %v", path, raw, err)
	}
	return r.Trace
}

// TestLifecycle: the sweeper of a server deletes and moves what is old enough,
// at its start too, and a film in the colder folder is processed as any other.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	data, cold := t.TempDir(), t.TempDir()
	objects := filepath.Join(data, "objects")
	blobs := "--blobs=local=file:" + objects + "?cold=" + cold
	s := serve(t, data, "", blobs)
	src, done := s.upload("inputs", strip(t)), s.upload("mine", picture(t))
	const params = `{"preset":"ultrafast","texts":[{"text":"always"}]}`
	end := s.succeeded(s.submit(titled(src, params)))
	quiet(t, s)
	s.stop()
	result := filepath.Join(objects, end.Outputs[0].Bucket, end.Outputs[0].Key)
	kept, err := filepath.Glob(filepath.Join(objects, keptForLater, "*.json"))
	if err != nil || len(kept) == 0 {
		t.Fatalf("no slices were kept (%v)", err)
	}
	for path, days := range map[string]int{
		filepath.Join(objects, "inputs", src.Key): 4, filepath.Join(objects, "mine", done.Key): 400, result: 22, kept[0]: 2,
	} {
		at := time.Now().Add(-time.Duration(days) * 24 * time.Hour)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	s = serve(t, data, "", blobs)
	film := filepath.Join(cold, "inputs", src.Key)
	eventually(t, 30*time.Second, func() error {
		for path, there := range map[string]bool{film: true, filepath.Join(objects, "inputs", src.Key): false, result: false, kept[0]: false} {
			if _, err := os.Stat(path); (err == nil) != there {
				return fmt.Errorf("%s: %v", path, err)
			}
		}
		return nil
	})
	for _, path := range append(kept[1:], filepath.Join(objects, "mine", done.Key)) {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("deleted before its time: %v", err)
		}
	}
	if text := s.page("/metrics"); !strings.Contains(text, `mediafn_lifecycle_objects_total{action="cooled",rule="originals"} 1`) {
		t.Error("the film that was moved is not counted")
	}
	s.succeeded(s.submit(titled(src, `{"preset":"ultrafast","texts":[{"text":"other"}]}`)))
	if _, err := os.Stat(film); err != nil {
		t.Errorf("the film did not stay where it was: %v", err)
	}
	quiet(t, s)
	s.stop()
}

// settled runs a task until it is cut as it was the time before: a server that has
// just begun has not heard of all cores of its worker.
func (s *server) settled(rq api.Submit) (end *api.Task, parts []media.Span) {
	s.t.Helper()
	for range 10 {
		end = s.succeeded(s.submit(rq))
		was := parts
		if parts = s.parts(end.TaskID); slices.Equal(was, parts) {
			return end, parts
		}
	}
	s.t.Fatalf("the same task is cut another way each time, at last %v", parts)
	return nil, nil
}

// page is what the server answers to a GET.
func (s *server) page(path string) string {
	s.t.Helper()
	resp, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(raw)
}
