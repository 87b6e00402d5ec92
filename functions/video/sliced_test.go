package video

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/assemble"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/functions/internal/slicetest"
	"github.com/mediafn/mediafn/functions/internal/source"
)

// planned is the plan the platform makes for a call, slicing forced, and the
// file that is sliced: the first one, or a copy of it, which ends with the test.
func planned(t testing.TB, rig *fnrig.Rig, f fn.Function, params string, paths ...string) (slice.Plan, string) {
	t.Helper()
	type made struct {
		plan slice.Plan
		path string
	}
	m := fnrig.Once("plan", strings.Join(append([]string{t.Name(), f.Spec().Name, params}, paths...), " "), func() (m made) {
		m.plan, m.path = plan(t, rig, f, params, paths...)
		return m
	})
	return m.plan, m.path
}

func plan(t testing.TB, rig *fnrig.Rig, f fn.Function, params string, paths ...string) (slice.Plan, string) {
	t.Helper()
	kinds := []media.Kind{media.Video, media.Image}
	raw, err := f.Check(json.RawMessage(params), kinds[:len(paths)])
	if err != nil {
		t.Fatal(err)
	}
	profile := func(path string, want source.Want) *media.Info {
		in, err := rig.Open(t, "source", path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := source.Facts(t.Context(), rig.FFmpeg, nil, &in, want)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	request := func(info *media.Info) slice.Request {
		a, err := f.Assembly(raw, info)
		if err != nil {
			t.Fatal(err)
		}
		return slice.Request{Source: info, Spec: f.Spec().Slicing, Assembly: a, Mode: slice.Force, Workers: 2, Price: f.Price(raw, []*media.Info{info})}
	}
	info := profile(paths[0], source.Want{Index: true})
	look, sliced := slice.LookAt(request(info)), paths[0]
	var done *slice.Remuxed
	if look.Remux {
		res, err := rig.Run(t, assemble.Remux(rig.FFmpeg), `{}`, nil, paths[0])
		if err != nil {
			t.Fatal(err)
		}
		done = &slice.Remuxed{}
		if err := json.Unmarshal(res.Facts, done); err != nil {
			t.Fatal(err)
		}
		if len(res.Outputs) > 0 {
			sliced = res.Outputs[0].Path
		}
	}
	seen := info
	if look.Again {
		seen = profile(sliced, source.Want{Keys: true})
	}
	return slice.Closer(look, done, info, seen, request(seen)), sliced
}

// sliced runs a call the way the platform does: plan, slices, sound, merge,
// certificate. It returns the merged file.
func sliced(t testing.TB, rig *fnrig.Rig, f fn.Function, params string, paths ...string) string {
	t.Helper()
	plan, entered := planned(t, rig, f, params, paths...)
	if !plan.Sliced {
		t.Fatal(plan.Reason)
	}
	open := func(slot, path string) fn.Input {
		in, err := rig.Open(t, slot, path)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	call := &fn.Call{Trace: "test", Dir: t.TempDir(), Threads: 2, Params: json.RawMessage(`{}`)}
	from := append([]string{entered}, paths[1:]...)
	// Files of a function's own, from one pass to the next.
	var analyses, reduced []fn.Input
	for i := range plan.Analyses {
		analyses = append(analyses, own(t, "analyses", pass(t, rig, f, params, &plan.Analyses[i], nil, from...)))
	}
	if plan.Reduction != nil {
		reduced = append(reduced, own(t, "reduced", pass(t, rig, f, params, plan.Reduction, analyses, from...)))
	}
	for i := range plan.Segments {
		more := reduced
		if plan.Reduced {
			one := analyses[i]
			one.Slot = "analysis"
			more = append(more, one)
		}
		call.Inputs = append(call.Inputs, open("slices", pass(t, rig, f, params, &plan.Segments[i], more, from...)))
	}
	if plan.Sound != nil {
		call.Inputs = append(call.Inputs, open("sound", run(t, rig, f, params, plan.Sound, from...)))
	}
	doc, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	promised := fn.Input{Slot: "plan", Kind: media.Text, Doc: doc}
	call.Inputs = append(call.Inputs, open("source", paths[0]), promised)
	merged, err := assemble.Merge(rig.FFmpeg).Run(t.Context(), call)
	if err != nil {
		t.Fatal(err, errs.TailOf(err))
	}
	out := merged.Outputs[0].Path
	slicetest.Certified(t, rig.FFmpeg, open("source", entered), promised, open("result", out))
	return out
}

// own is a file in an internal slot: nobody recognises it.
func own(t testing.TB, slot, path string) fn.Input {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	st, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return fn.Input{Slot: slot, Kind: media.Data, Location: path, Data: file, Size: st.Size()}
}

// run is one call that must succeed; it returns its file.
func run(t testing.TB, rig *fnrig.Rig, f fn.Function, params string, part *fn.Part, paths ...string) string {
	t.Helper()
	return pass(t, rig, f, params, part, nil, paths...)
}

// pass is run with files in internal slots.
func pass(t testing.TB, rig *fnrig.Rig, f fn.Function, params string, part *fn.Part, more []fn.Input, paths ...string) string {
	t.Helper()
	res, err := rig.RunWith(t, f, params, part, more, paths...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", params, err, errs.TailOf(err))
	}
	return res.Outputs[0].Path
}

// alike fails unless two files have the same frame times and pictures.
func alike(t testing.TB, what, whole, merged string) {
	t.Helper()
	a, b := times(t, whole), times(t, merged)
	if len(a) != len(b) {
		t.Errorf("%s: %d frames sliced, %d whole", what, len(b), len(a))
	} else if !sameTimes(b, a, 0) {
		t.Errorf("%s: times\n%v\nwhole\n%v", what, b, a)
	}
	if x, y := hashes(t, whole), hashes(t, merged); strings.Join(x, " ") != strings.Join(y, " ") {
		bad := 0
		for i := range min(len(x), len(y)) {
			if x[i] != y[i] {
				bad++
			}
		}
		t.Errorf("%s: %d of %d pictures differ", what, bad, len(x))
	}
}
