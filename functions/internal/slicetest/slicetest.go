// Package slicetest runs a function on slices as the platform does - plan,
// analyses, slices, sound, merge, certificate - and compares the result with that
// of the whole.
package slicetest

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/assemble"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// Case is one function with its parameters and files, the primary one first.
type Case struct {
	Rig      *fnrig.Rig
	Function fn.Function
	Params   string
	Paths    []string
}

// Plan is the plan the platform makes for the call, slicing forced.
func (c Case) Plan(t testing.TB) slice.Plan {
	t.Helper()
	in, err := c.Rig.Open(t, "source", c.Paths[0])
	if err != nil {
		t.Fatal(err)
	}
	raw := c.params(t)
	var plan slice.Plan
	for _, want := range []source.Want{{Keys: true}, {Frames: true}} {
		info, err := source.Facts(t.Context(), c.Rig.FFmpeg, nil, &in, want)
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.Function.Assembly(raw, info)
		if err != nil {
			t.Fatal(err)
		}
		plan = slice.Document(slice.Request{Source: info, Spec: c.Function.Spec().Slicing, Assembly: a, Mode: slice.Force, Workers: 2,
			Price: c.Function.Price(raw, []*media.Info{info})})
		if plan.Sliced {
			break
		}
	}
	return plan
}

// params are what Check makes of the case's.
func (c Case) params(t testing.TB) json.RawMessage {
	t.Helper()
	var kinds []media.Kind
	for _, path := range c.Paths {
		kinds = append(kinds, c.open(t, "", path).Kind)
	}
	raw, err := c.Function.Check(json.RawMessage(c.Params), kinds)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (c Case) open(t testing.TB, slot, path string) fn.Input {
	t.Helper()
	in, err := c.Rig.Open(t, slot, path)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// Call runs one part, nil for the whole, with further inputs, and expects it to
// succeed.
func (c Case) Call(t testing.TB, part *fn.Part, more ...fn.Input) *fn.Result {
	t.Helper()
	res, err := c.Try(t, part, more...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", c.Params, err, errs.TailOf(err))
	}
	return res
}

// Try is Call for what may fail.
func (c Case) Try(t testing.TB, part *fn.Part, more ...fn.Input) (*fn.Result, error) {
	t.Helper()
	call := &fn.Call{Trace: "test", Dir: t.TempDir(), Threads: 1, Part: part, Params: c.params(t), Inputs: more}
	names, err := c.Function.Spec().Assign(len(c.Paths))
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range c.Paths {
		call.Inputs = append(call.Inputs, c.open(t, names[i], path))
	}
	return c.Function.Run(t.Context(), call)
}

// Whole is the file of an unsliced run.
func (c Case) Whole(t testing.TB) string {
	t.Helper()
	return c.Call(t, nil).Outputs[0].Path
}

// data is a file of our own as an input, which nobody sniffs.
func data(t testing.TB, slot string, out fn.Output) fn.Input {
	t.Helper()
	f, err := os.Open(out.Path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return fn.Input{Slot: slot, Kind: media.Data, Size: st.Size(), Location: out.Path, Data: f}
}

// Slices are the files of the segments of a plan, in order.
func (c Case) Slices(t testing.TB, plan slice.Plan) []*fn.Result {
	t.Helper()
	var found []fn.Output
	for i := range plan.Analyses {
		found = append(found, c.Call(t, &plan.Analyses[i]).Outputs[0])
	}
	var reduced []fn.Output
	if plan.Reduction != nil {
		var all []fn.Input
		for _, o := range found {
			all = append(all, data(t, "analyses", o))
		}
		reduced = c.Call(t, plan.Reduction, all...).Outputs
	}
	var made []*fn.Result
	for i := range plan.Segments {
		var more []fn.Input
		for _, o := range reduced {
			more = append(more, data(t, "reduced", o))
		}
		if len(found) > 0 {
			more = append(more, data(t, "analysis", found[i]))
		}
		made = append(made, c.Call(t, &plan.Segments[i], more...))
	}
	return made
}

// Sliced is the merged and certified file of all slices, of which there must be at
// least two.
func (c Case) Sliced(t testing.TB) string {
	t.Helper()
	plan := c.Plan(t)
	if !plan.Sliced {
		t.Fatal(plan.Reason)
	}
	call := &fn.Call{Trace: "test", Dir: t.TempDir(), Threads: 1, Params: json.RawMessage(`{}`)}
	for _, r := range c.Slices(t, plan) {
		call.Inputs = append(call.Inputs, c.open(t, "slices", r.Outputs[0].Path))
	}
	if plan.Sound != nil {
		call.Inputs = append(call.Inputs, c.open(t, "sound", c.Call(t, plan.Sound).Outputs[0].Path))
	}
	doc, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	both := []fn.Input{c.open(t, "source", c.Paths[0]), {Slot: "plan", Kind: media.Text, Doc: doc}}
	call.Inputs = append(call.Inputs, both...)
	merged, err := assemble.Merge(c.Rig.FFmpeg).Run(t.Context(), call)
	if err != nil {
		t.Fatal(err, errs.TailOf(err))
	}
	out := merged.Outputs[0].Path
	Certified(t, c.Rig.FFmpeg, append(both, c.open(t, "result", out))...)
	return out
}

// Exact fails unless the sliced result has the whole's frame times and pictures,
// every one. It returns the whole.
func (c Case) Exact(t testing.TB) string {
	t.Helper()
	whole := c.Whole(t)
	merged := c.Sliced(t)
	if a, b := Times(t, whole), Times(t, merged); !slices.Equal(a, b) {
		t.Errorf("%s: times sliced\n%v\nwhole\n%v", c.Params, b, a)
	}
	if bad := Different(Hashes(t, whole), Hashes(t, merged)); len(bad) > 0 {
		t.Errorf("%s: pictures %v differ", c.Params, bad)
	}
	return whole
}

// Different are the positions where two lists differ.
func Different(a, b []string) (at []int) {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			at = append(at, i)
		}
	}
	return at
}

// Hashes are the MD5 sums of a file's decoded pictures, in order.
func Hashes(t testing.TB, path string) []string {
	t.Helper()
	return fnrig.Decoded(t, path).Sums
}

// Times are the times of a file's pictures in milliseconds, rounded.
func Times(t testing.TB, path string) (all []int64) {
	t.Helper()
	for _, at := range fnrig.Decoded(t, path).At {
		all = append(all, int64(at*1000+0.5))
	}
	return all
}

var psnr = regexp.MustCompile(`average:(inf|[0-9.]+) min:(inf|[0-9.]+)`)

// PSNR compares two files picture by picture, each behind a filter ("null" for
// none), in dB: of all, and of the worst picture. Equal ones have 200.
func PSNR(t testing.TB, a, b, filter string) (average, worst float64) {
	t.Helper()
	graph := "[0:v]settb=1/1000,setpts=N," + filter + "[a];[1:v]settb=1/1000,setpts=N," + filter + "[b];[a][b]psnr"
	said := fnrig.Said(t, "ffmpeg", "-hide_banner", "-i", a, "-i", b, "-filter_complex", graph, "-f", "null", "-")
	m := psnr.FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("no PSNR in %s", said)
	}
	number := func(s string) float64 {
		if s == "inf" {
			return 200
		}
		f, _ := strconv.ParseFloat(s, 64)
		return f
	}
	return number(m[1]), number(m[2])
}

// Certified fails unless the certificate holds: inputs are source, plan and result.
func Certified(t testing.TB, ff *ffmpeg.Tool, inputs ...fn.Input) {
	t.Helper()
	certify := assemble.Certify(ff)
	all, _ := certify.Check(nil, nil)
	proof, err := certify.Run(t.Context(), &fn.Call{Trace: "test", Dir: t.TempDir(), Threads: 1, Params: all, Inputs: inputs})
	if err != nil {
		t.Fatal(err, errs.TailOf(err))
	}
	var cert slice.Certificate
	if err := json.Unmarshal(proof.Facts, &cert); err != nil {
		t.Fatal(err)
	}
	for _, k := range cert.Checks {
		if !k.OK {
			t.Errorf("%s: want %s got %s %s", k.Name, k.Want, k.Got, k.Detail)
		}
	}
}
