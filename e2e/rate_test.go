package e2e_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/core/task"
)

// rated is what a result says of rates and joints.
type rated struct {
	Sliced       bool                `json:"sliced"`
	Reason       string              `json:"slice_reason"`
	RatePolicy   *fn.RatePolicy      `json:"rate_policy"`
	Certificate  *slice.Certificate  `json:"certificate"`
	JointQuality *slice.JointQuality `json:"joint_quality"`
	Facts        struct {
		RatePolicy *fn.RatePolicy `json:"rate_policy"`
	} `json:"facts"`
}

func (s *server) rated(end *api.Task) (r rated) {
	s.t.Helper()
	if err := json.Unmarshal(end.Result, &r); err != nil {
		s.t.Fatal(err, shown(end))
	}
	return r
}

// TestBitrateOverSlices: a bit rate is reached over slices by two passes through
// the whole platform, and the joints are measured on request.
func TestBitrateOverSlices(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	src := s.upload("in", clip(t, "rated.mp4", "-f lavfi -i mandelbrot=s=160x90:r=25:end_scale=0.02 -t 12 -c:v libx264 -preset ultrafast -crf 12 -g 25 -pix_fmt yuv420p"))
	end := s.succeeded(s.submit(api.Submit{Cmd: "video.transcode", Inputs: []media.Ref{src},
		Params: json.RawMessage(`{"bitrate":150000,"preset":"veryfast","format":"mkv"}`), Extra: task.Extra{Slice: "force", JointQuality: true}}))
	r := s.rated(end)
	if !r.Sliced || r.Certificate == nil || !r.Certificate.OK || r.RatePolicy != nil {
		t.Fatalf("%+v %s", r, shown(end))
	}
	if q := r.JointQuality; q == nil || q.OK == nil || !*q.OK || q.Compared < 1 || q.Elsewhere < 0.9 {
		t.Errorf("joints: %+v", q)
	}
	ran := map[string]int{}
	for _, w := range end.Work {
		if w.State == task.Succeeded {
			ran[w.Component]++
		}
	}
	if ran["Analyse"] < 2 || ran["Analyse"] != ran["Segments"] || ran["Reduce"] != 1 {
		t.Errorf("ran %v", ran)
	}
	bits := 0.0
	for _, size := range strings.Fields(entries(t, s.download(end.Outputs[0].Ref), "v:0", "packet=size")) {
		var n float64
		if json.Unmarshal([]byte(strings.Trim(size, ",")), &n) == nil {
			bits += 8 * n
		}
	}
	if off := bits/12/150000 - 1; math.Abs(off) > 0.02 {
		t.Errorf("%.0f bit/s, off by %.1f %%", bits/12, 100*off)
	}
	quiet(t, s)
	s.stop()
}

// TestRatePolicyIsTold: a source for editing gets caps, whole and sliced, and
// the result says so; who asks otherwise gets what is asked.
func TestRatePolicyIsTold(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	src := s.upload("in", clip(t, "master.mov", "-f lavfi -i testsrc2=s=160x90:r=25:d=6 -c:v prores_ks -profile:v 2"))
	for _, c := range []struct{ slicing, params, code string }{
		{"force", `{"preset":"ultrafast"}`, "mezzanine"},
		{"off", `{"preset":"ultrafast"}`, "mezzanine"},
		{"off", `{"preset":"ultrafast","rate":"asked"}`, ""},
	} {
		r := s.rated(s.succeeded(s.submit(api.Submit{Cmd: "video.transcode", Inputs: []media.Ref{src}, Params: json.RawMessage(c.params), Extra: task.Extra{Slice: c.slicing}})))
		code := ""
		if r.RatePolicy != nil {
			code = r.RatePolicy.Code
		}
		if code != c.code || r.Sliced != (c.slicing == "force") {
			t.Errorf("%s %s: %+v", c.slicing, c.params, r)
		}
		if !r.Sliced && c.code != "" && (r.Facts.RatePolicy == nil || *r.Facts.RatePolicy != *r.RatePolicy) {
			t.Errorf("the run itself says %+v, the plan %+v", r.Facts.RatePolicy, r.RatePolicy)
		}
	}
	s.stop()
}
