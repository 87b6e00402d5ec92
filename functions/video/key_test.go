package video

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/sandbox"
)

// shelf keeps what calls computed, as the executor does.
type shelf map[string]fn.Output

// call runs f on one part of inputs, of which each is named by its content, and
// reports whether the file was there already.
func (s shelf) call(t *testing.T, rig *fnrig.Rig, f fn.Function, params string, part *fn.Part, inputs map[string]string) (path string, found bool) {
	t.Helper()
	call := &fn.Call{Trace: "test", Dir: t.TempDir(), Threads: 1, Part: part}
	var kinds []media.Kind
	for _, slot := range f.Spec().Inputs {
		if inputs[slot.Name] == "" {
			continue
		}
		in, err := rig.Open(t, slot.Name, inputs[slot.Name])
		if err != nil {
			t.Fatal(err)
		}
		in.Identity = inputs[slot.Name]
		call.Inputs, kinds = append(call.Inputs, in), append(kinds, in.Kind)
	}
	call.Stored = func(key string) (media.Object, bool) {
		o, ok := s[key]
		return media.Object{Name: o.Path}, ok
	}
	var err error
	if call.Params, err = f.Check(json.RawMessage(params), kinds); err != nil {
		t.Fatal(err)
	}
	res, err := f.Run(t.Context(), call)
	if err != nil {
		t.Fatal(err, errs.TailOf(err))
	}
	o := res.Outputs[0]
	if o.Object != nil {
		return o.Object.Name, true
	}
	if o.Key == "" {
		t.Error("it has no key")
	}
	if strings.Contains(o.Key, call.Dir) {
		t.Errorf("the key names a place of this attempt: %s", o.Key)
	}
	s[o.Key] = o
	return o.Path, false
}

// computed are the parts that were not there.
func (s shelf) computed(t *testing.T, rig *fnrig.Rig, f fn.Function, params string, parts []fn.Part, inputs map[string]string) (fresh []int) {
	t.Helper()
	for i := range parts {
		if _, found := s.call(t, rig, f, params, &parts[i], inputs); !found {
			fresh = append(fresh, i)
		}
	}
	return fresh
}

// TestKeys: a slice is computed again if, and only if, something it depends on has
// changed.
func TestKeys(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	src, mark, other := black(t), logo(t), logo(t)
	info, err := rig.Probe(t, src)
	if err != nil {
		t.Fatal(err)
	}
	parts := cut(t, info, 1) // of 0.4 s, five
	all := []int{0, 1, 2, 3, 4}
	mf := Watermark(rig.FFmpeg)
	in := map[string]string{"source": src, "logo": mark}
	kept := shelf{}
	const first = `{"preset":"ultrafast","logo":{"end":0.4},"texts":[{"text":"a","start":0.5,"end":0.7},{"text":"b","start":1.3}]}`
	for _, c := range []struct {
		name, params string
		inputs       map[string]string
		want         []int
	}{
		{"the first time", first, in, all},
		{"again", first, in, nil},
		{"a window moved within its slice", strings.Replace(first, "0.7", "0.75", 1), in, []int{1}},
		{"a window grew into the next slice", strings.Replace(first, "0.7", "0.9", 1), in, []int{1, 2}},
		{"a window that covers slice 4 begins elsewhere in slice 3", strings.Replace(first, "1.3", "1.4", 1), in, []int{3}},
		{"a text is another", strings.Replace(first, `"b"`, `"c"`, 1), in, []int{3, 4}},
		{"a text's colour is another", strings.Replace(first, `"text":"a"`, `"text":"a","color":"red"`, 1), in, []int{1}},
		{"the logo is another", first, map[string]string{"source": src, "logo": other}, []int{0}},
		{"a parameter of all", strings.Replace(first, "ultrafast", "superfast", 1), in, all},
		{"and back", first, in, nil},
	} {
		if diff := cmp.Diff(c.want, kept.computed(t, rig, mf, c.params, parts, c.inputs)); diff != "" {
			t.Errorf("%s: computed (- wanted, + done)\n%s", c.name, diff)
		}
	}
	replaced := fnrig.Generate(t, "replaced.mp4", "-i", src, "-c", "copy")
	if diff := cmp.Diff([]int{0, 1}, kept.computed(t, rig, mf, first, parts[:2], map[string]string{"source": replaced, "logo": mark})); diff != "" {
		t.Errorf("another source:\n%s", diff)
	}
	another := rebuilt(t)
	if diff := cmp.Diff([]int{0, 1}, kept.computed(t, &fnrig.Rig{FFmpeg: another}, Watermark(another), first, parts[:2], in)); diff != "" {
		t.Errorf("another build of ffmpeg:\n%s", diff)
	}

	// What was put together of slices of several runs looks like the whole.
	params := strings.Replace(strings.Replace(first, "0.7", "0.9", 1), "ultrafast\"", "ultrafast\",\"crf\":0", 1)
	var sliced []string
	for i := range parts {
		path, _ := kept.call(t, rig, mf, params, &parts[i], in)
		sliced = append(sliced, hashes(t, path)...)
	}
	whole, err := rig.Run(t, mf, params, nil, src, mark)
	if err != nil {
		t.Fatal(err, errs.TailOf(err))
	}
	if diff := cmp.Diff(hashes(t, whole.Outputs[0].Path), sliced); diff != "" {
		t.Errorf("slices that leave out what does not touch them differ from the whole:\n%s", diff)
	}
}

// rebuilt is an ffmpeg that differs from the installed one by a byte nobody runs.
func rebuilt(t *testing.T) *ffmpeg.Tool {
	t.Helper()
	raw, err := os.ReadFile("/usr/bin/ffmpeg")
	path := filepath.Join(t.TempDir(), "ffmpeg")
	if err == nil {
		err = os.WriteFile(path, append(raw, 0), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := sandbox.New("", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	tool, err := ffmpeg.New(l, ffmpeg.Options{FFmpeg: path})
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

// TestSoundKey: sound has no windows, so it is kept whatever is drawn.
func TestSoundKey(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	in := map[string]string{"source": clip(t, "in.mp4"), "logo": logo(t)}
	part := &fn.Part{Stream: fn.Sound}
	kept := shelf{}
	for i, params := range []string{`{"texts":[{"text":"a"}]}`, `{"texts":[{"text":"b"}],"logo":{"scale":0.3}}`, `{"texts":[{"text":"a"}],"audio_bitrate":96000}`} {
		if _, found := kept.call(t, rig, Watermark(rig.FFmpeg), params, part, in); found != (i == 1) {
			t.Errorf("%s: found %v", params, found)
		}
	}
}

// TestSpan: windows are cut to slices, and those a rounding could decide are left
// as they are.
func TestSpan(t *testing.T) {
	at := func(s float64) *float64 { return &s }
	// Pictures at 10.00, 10.04 … 19.96 of a source that begins at 5.
	part := &fn.Part{TimeBase: media.Rational{Num: 1, Den: 25}, Start: 375, End: 625}
	for name, c := range map[string]struct {
		in    place
		start float64
		end   *float64
		there bool
	}{
		"always":                     {place{}, 0, nil, true},
		"before":                     {place{End: at(9.9)}, 0, nil, false},
		"behind":                     {place{Start: 20}, 0, nil, false},
		"around":                     {place{Start: 9, End: at(30)}, 0, nil, true},
		"within":                     {place{Start: 11, End: at(12)}, 11, at(12), true},
		"over the beginning":         {place{Start: 9, End: at(12)}, 0, at(12), true},
		"over the end":               {place{Start: 11, End: at(30)}, 11, nil, true},
		"to the first picture":       {place{Start: 1, End: at(10)}, 0, nil, false},
		"from the first picture":     {place{Start: 10, End: at(30)}, 0, nil, true},
		"from the last picture":      {place{Start: 19.96}, 19.96, nil, true},
		"up to the last picture":     {place{End: at(19.96)}, 0, at(19.96), true},
		"to just behind the picture": {place{End: at(19.97)}, 0, nil, true},
	} {
		start, end, there := c.in.span(part, -5)
		if there != c.there || start != c.start || !cmp.Equal(end, c.end) {
			t.Errorf("%s: %v–%v, %v", name, start, end, there)
		}
	}
	if start, end, there := (place{Start: 3, End: at(4)}).span(nil, -5); start != 3 || *end != 4 || !there {
		t.Error("a whole run's window was changed")
	}
}
