package matrix_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/core/task"
)

// function is a column of the matrix.
type function struct {
	name, cmd, params string
	// undone does to the source, for comparing, what the function does to time.
	undone string
	// refused lists the codes with which it may refuse to slice any source.
	refused []string
}

// functions are the columns.
var functions = []function{
	{name: "transcode", cmd: "video.transcode"},
	{name: "watermark", cmd: "video.watermark", params: `"texts":[{"text":"mediafn","position":"top-left","size":12,"start":1.5,"end":4.5}]`},
	{name: "denoise, overlapping", cmd: "video.denoise"},
	{name: "removal", cmd: "video.delogo", params: `"marks":[{"x":0.1,"y":0.2,"width":0.2,"height":0.2,"start":1,"end":4.5}]`},
	{name: "frame rate", cmd: "video.transcode", params: `"fps":"RATE"`, undone: "setpts=PTS-STARTPTS,fps=RATE", refused: []string{"frame_rate"}},
}

// What a cell is held to (docs/slicing.md says where the limits come from).
const (
	maxDelta     = 1.0   // mean ΔE of a slice
	maxOffset    = 0.001 // s, sound against pictures
	maxLoss      = 0.003 // SSIM of a second
	maxJointLoss = 0.005 // of a second with a joint
	maxGrowth    = 1.03  // size, for slices of growthFrom
	growthFrom   = 10.0  // s
)

// outcome is a cell of the table.
type outcome struct {
	code   string  // refusal, or redone; empty = sliced
	slices int     // number of them
	delta  float64 // mean ΔE of the worst slice
	loss   float64 // SSIM whole − sliced of the worst second
	offset float64 // s
	size   float64 // sliced ÷ whole
}

func (o outcome) String() string {
	if o.code != "" {
		return "`" + o.code + "`"
	}
	return fmt.Sprintf("= %d · %.2f · %+.4f", o.slices, o.delta, -o.loss)
}

// report is what a task says of slicing.
type report struct {
	Sliced      bool               `json:"sliced"`
	Code        string             `json:"slice_code"`
	Reason      string             `json:"slice_reason"`
	Certificate *slice.Certificate `json:"certificate"`
}

// run carries the function out on the file and returns the result's path.
func (f *function) run(t *testing.T, l *app.Local, in *input, path, mode string) (string, report) {
	t.Helper()
	ref, err := l.Give(path)
	if err != nil {
		t.Fatal(err)
	}
	params := fmt.Sprintf(`"preset":"ultrafast","crf":%d`, cmp.Or(in.crf, 12))
	for _, more := range []string{in.params, strings.ReplaceAll(f.params, "RATE", cmp.Or(in.rate, "30"))} {
		if more != "" {
			params += "," + more
		}
	}
	accepted, err := l.Client.Submit(t.Context(), &api.Submit{Cmd: f.cmd, Inputs: []media.Ref{ref}, Params: json.RawMessage("{" + params + "}"), Extra: task.Extra{Slice: mode}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var end *api.Task
	for e, err := range l.Client.Events(t.Context(), accepted.TaskID) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == "end" {
			end = e.Task
		}
	}
	if end == nil || end.State != task.Succeeded || len(end.Outputs) != 1 {
		t.Fatalf("%s, %s: %s", f.cmd, mode, describe(end))
	}
	var r report
	if err := json.Unmarshal(end.Result, &r); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), mode+"-"+filepath.Base(end.Outputs[0].Ref.Key)))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := l.Fetch(t.Context(), end.Outputs[0].Ref, out); err != nil {
		t.Fatal(err)
	}
	return out.Name(), r
}

func describe(end *api.Task) string {
	if end == nil {
		return "no end"
	}
	return fmt.Sprintf("%s %+v, %d files", end.State, end.Error, len(end.Outputs))
}

// cell computes one cell: the function on the source in slices and whole, and
// everything that must not differ.
func cell(t *testing.T, l *app.Local, in *input, f *function) (o outcome) {
	path := in.path(t)
	sliced, r := f.run(t, l, in, path, "force")
	if said := ffmpeg(t, "-v", "warning", "-xerror", "-i", sliced, "-map", "0:v", "-map", "0:a?", "-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "null", "-"); said != "" {
		t.Errorf("it does not decode cleanly: %s", said)
	}
	source, a := probed(t, path), probed(t, sliced)
	if a.sound > 0 && !in.jumps {
		if o.offset = offset(heard(t, path, source.start()), heard(t, sliced, a.start())); math.Abs(o.offset) > maxOffset {
			t.Errorf("sound lies %.4f s behind the pictures", o.offset)
		}
	}
	for _, d := range differ(source, a, in.kept) {
		t.Errorf("of the source's tags %s", d)
	}
	if !r.Sliced {
		o.code = r.Code
		if r.Code == "" || !strings.HasPrefix(r.Reason, "not sliced: ") {
			t.Errorf("refused with code %q and reason %q", r.Code, r.Reason)
		}
		if !slices.Contains(append(slices.Clone(in.refused), f.refused...), r.Code) {
			t.Errorf("refused with %s: %s", r.Code, r.Reason)
		}
		return o
	}
	if r.Certificate == nil {
		t.Fatal("no certificate")
	}
	for _, c := range r.Certificate.Checks {
		if !c.OK && !in.redone {
			t.Errorf("certificate: %+v", c)
		}
	}
	if !r.Certificate.OK && !in.redone {
		return o // what there is was made whole
	}
	whole, _ := f.run(t, l, in, path, "off")
	b := probed(t, whole)
	if err := simultaneous(b, a); err != nil {
		t.Fatalf("against the whole: %v", err)
	}
	for _, d := range differ(b, a, func(string) bool { return true }) {
		t.Errorf("against the whole %s", d)
	}
	if !r.Certificate.OK {
		o.code = "redone"
		return o
	}
	joints := make([]int, 0, len(r.Certificate.Joints))
	for _, j := range r.Certificate.Joints {
		joints = append(joints, int(j.Frame))
	}
	o.slices = len(joints) + 1
	o.compare(t, in, f, path, sliced, whole, a, joints)
	o.size = float64(a.size) / float64(b.size)
	if length := (a.times[len(a.times)-1] - a.times[0]) / float64(o.slices); length >= growthFrom && o.size > maxGrowth {
		t.Errorf("%.3f times the size of the whole", o.size)
	}
	return o
}

// compare holds the pictures of the two results against each other and the
// source.
func (o *outcome) compare(t *testing.T, in *input, f *function, path, sliced, whole string, a *facts, joints []int) {
	undo := slices.DeleteFunc([]string{in.undone, strings.ReplaceAll(f.undone, "RATE", cmp.Or(in.rate, "30"))}, func(s string) bool { return s == "" })
	l := look(t, path, strings.Join(undo, ","), sliced, whole, a.tags["video 0 pixels"], a.tags["video 0 size"], around(joints, len(a.times)))
	if o.delta = slices.Max(l.delta); o.delta > maxDelta {
		t.Errorf("mean ΔE by slice %.2f from the whole", l.delta)
	}
	if len(l.sliced) != len(a.times) || len(l.whole) != len(a.times) {
		t.Errorf("%d and %d frames compared with the source, not %d", len(l.sliced), len(l.whole), len(a.times))
	}
	s, w := windows(a.times, l.sliced), windows(a.times, l.whole)
	o.loss = math.Inf(-1)
	for i := range s {
		loss, allowed := w[i]-s[i], maxLoss
		for _, j := range joints {
			if int(a.times[j]-a.times[0]+1e-6) == i {
				allowed = maxJointLoss
			}
		}
		o.loss = max(o.loss, loss)
		if loss > allowed {
			t.Errorf("second %d: SSIM %.4f, whole %.4f", i, s[i], w[i])
		}
	}
}

// kept says which of the source's tags the result must have too.
func (in *input) kept(name string) bool {
	_, what, _ := strings.Cut(strings.TrimPrefix(name, "video "), " ")
	switch {
	case strings.HasPrefix(name, "chapter"), strings.HasPrefix(name, "HDR"), name == "title":
		return in.name != "HDR10 to SDR"
	case strings.HasSuffix(name, "language"):
		return true
	case strings.HasPrefix(name, "video 0"):
		switch what {
		case "range", "matrix", "transfer", "primaries":
			return in.name != "HDR10 to SDR"
		case "SAR":
			return true
		}
	}
	return false
}
