package image

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/fn/fntest"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/tools/engine"
	"github.com/mediafn/mediafn/tools/sandbox"
)

var (
	update = flag.Bool("update", false, "rewrite goldens")
	binary string // the real engine, built once
)

func TestMain(m *testing.M) {
	sandbox.MaybeExec()
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "mediafn-engine")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/mediafn/mediafn/cmd/mediafn-engine").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s\n%v\n", out, err)
		os.Exit(1)
	}
	code := fnrig.Run(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func newPool(t testing.TB) *engine.Pool {
	pool := engine.NewPool(engine.Exec(binary), engine.Options{Size: 1})
	t.Cleanup(pool.Close)
	return pool
}

func paramsOf(t *testing.T, raw string) *transformParams {
	t.Helper()
	checked, err := Transform(nil).Check(json.RawMessage(raw), nil)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	var p transformParams
	if err := json.Unmarshal(checked, &p); err != nil {
		t.Fatal(err)
	}
	return &p
}

func TestTransformPlan(t *testing.T) {
	for name, raw := range map[string]string{
		"nothing": `{}`,
		"thumb":   `{"width":300,"height":200,"resize":"fill","gravity":"sm","format":"webp","quality":70}`,
		"crop":    `{"crop":{"width":0.5,"height":100,"gravity":"fp","gravity_x":0.3,"gravity_y":1},"rotate":90,"flip":true}`,
		"corner":  `{"crop":{"width":10,"height":20,"x":3,"y":4},"auto_rotate":false,"flop":true}`,
		"frame":   `{"trim":{"threshold":12,"color":"FFffff"},"padding":{"top":1,"left":4},"background":"102030","width":50,"height":50,"extend":true,"extend_gravity":"no"}`,
		"adjust":  `{"blur":1.5,"sharpen":0.5,"pixelate":4,"brightness":-10,"contrast":1.2,"saturation":0,"dpr":2}`,
		"output":  `{"format":"jpg","max_bytes":20000,"progressive":true,"no_subsample":true,"strip":false,"keep_icc":true,"page":2,"pages":1}`,
		"palette": `{"format":"png","colors":16,"keep_copyright":true}`,
	} {
		plan := planTransform(paramsOf(t, raw))
		if err := plan.Validate(); err != nil {
			t.Errorf("%s: the engine refuses it: %v", name, err)
		}
		body, err := json.MarshalIndent(plan, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name+".golden")
		if *update {
			_ = os.MkdirAll("testdata", 0o755)
			if err := os.WriteFile(path, append(body, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(body)+"\n"); d != "" {
			t.Errorf("%s: (-want +got)\n%s", name, d)
		}
	}
}

func TestTransformCheck(t *testing.T) {
	for raw, field := range map[string]string{
		`{"rotate":45}`:                                             "params.rotate",
		`{"gravity":"fp","gravity_x":2}`:                            "params.gravity_x",
		`{"gravity":"sm","gravity_y":2}`:                            "params.gravity_x",
		`{"extend":true,"width":3}`:                                 "params.extend",
		`{"extend_aspect":true,"height":3}`:                         "params.extend_aspect",
		`{"extend_aspect":true,"extend":true,"height":3,"width":3}`: "params.extend_aspect",
		`{"lossless":true,"format":"jpg"}`:                          "params.lossless",
		`{"lossless":true,"max_bytes":10}`:                          "params.max_bytes",
		`{"max_bytes":10,"format":"png"}`:                           "params.max_bytes",
		`{"progressive":true,"format":"webp"}`:                      "params.progressive",
		`{"colors":1}`:                                              "params.colors",
		`{"colors":8,"format":"jpg"}`:                               "params.colors",
		`{"keep_copyright":true,"strip":false}`:                     "params.keep_copyright",
		`{"crop":{"x":1}}`:                                          "params.crop.x",
		`{"crop":{"x":1,"y":1,"gravity":"no"}}`:                     "params.crop.gravity",
		`{"crop":{"gravity":"fp","gravity_x":-1}}`:                  "params.crop.gravity_x",
		`{"crop":{"gravity_x":3}}`:                                  "params.crop.gravity_x",
		`{"background":"red"}`:                                      "params.background",
		`{"trim":{"color":"12345"}}`:                                "params.trim.color",
		`{"format":"exe"}`:                                          "params.format",
	} {
		_, err := Transform(nil).Check(json.RawMessage(raw), nil)
		if !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != field {
			t.Errorf("%s: %v names %q, want %q", raw, err, errs.FieldOf(err), field)
		}
	}
}

func TestTransformSuite(t *testing.T) {
	rig, pool := fnrig.New(t), newPool(t)
	photo := fnrig.Generate(t, "p.jpg", "-f", "lavfi", "-i", "testsrc2=s=300x200", "-frames:v", "1", "-q:v", "2")
	alpha := fnrig.Generate(t, "a.png", "-f", "lavfi", "-i", "testsrc=s=100x80,format=rgba", "-frames:v", "1")
	moving := fnrig.Generate(t, "m.gif", "-f", "lavfi", "-i", "testsrc=s=64x48:r=5:d=1")
	want := func(format string, w, h, pages int) func(t *testing.T, r *fn.Result) {
		return func(t *testing.T, r *fn.Result) {
			var f Facts
			if err := json.Unmarshal(r.Facts, &f); err != nil || f.Format != format || f.Width != w || f.Height != h || f.Pages != pages {
				t.Errorf("%s %v, want %s %d×%d %d", r.Facts, err, format, w, h, pages)
			}
			if format == "jpeg" && r.Outputs[0].Name != "image.jpg" || r.Usage.BytesOut == 0 {
				t.Errorf("%+v %+v", r.Outputs[0], r.Usage)
			}
		}
	}
	var cases []fntest.Case
	add := func(name, path, params string, check func(*testing.T, *fn.Result)) {
		cases = append(cases, fntest.Case{Name: name, Params: params, Inputs: []fntest.File{{Slot: "source", Path: path}}, Want: check})
	}
	add("same", photo, `{}`, want("jpeg", 300, 200, 1))
	add("fit", photo, `{"width":100,"height":100,"format":"webp"}`, want("webp", 100, 67, 1))
	add("fill", photo, `{"width":50,"height":60,"resize":"fill","gravity":"noea"}`, want("jpeg", 50, 60, 1))
	add("force", photo, `{"width":50,"height":60,"resize":"force","format":"png"}`, want("png", 50, 60, 1))
	add("no enlarging", photo, `{"width":600}`, want("jpeg", 300, 200, 1))
	add("enlarge", photo, `{"width":600,"enlarge":true}`, want("jpeg", 600, 400, 1))
	add("turn", photo, `{"rotate":90,"flip":true,"flop":true}`, want("jpeg", 200, 300, 1))
	add("crop", photo, `{"crop":{"width":40,"height":30,"x":5,"y":6}}`, want("jpeg", 40, 30, 1))
	add("padding", photo, `{"width":30,"padding":{"top":1,"right":2,"bottom":3,"left":4},"background":"ff0000"}`, want("jpeg", 36, 24, 1))
	add("extend", photo, `{"width":90,"height":90,"extend":true,"background":"000000"}`, want("jpeg", 90, 90, 1))
	add("alpha", alpha, `{"format":"jpg","background":"ffffff","blur":1,"brightness":5,"contrast":1.1,"saturation":0.5}`, want("jpeg", 100, 80, 1))
	add("small", photo, `{"format":"jpg","max_bytes":3000}`, func(t *testing.T, r *fn.Result) {
		if r.Usage.BytesOut > 3000 {
			t.Errorf("%d bytes", r.Usage.BytesOut)
		}
	})
	add("moving", moving, `{"width":32}`, want("gif", 32, 24, 5))
	add("one page", moving, `{"format":"png","page":2}`, want("png", 64, 48, 1))
	fntest.Run(t, fntest.Suite{Function: Transform(pool), Open: rig.Open, Probe: rig.Probe, Cases: cases})
}

// BenchmarkTransform compares a call with the engine alone.
func BenchmarkTransform(b *testing.B) {
	rig, pool := fnrig.New(b), newPool(b)
	photo := fnrig.Generate(b, "p.jpg", "-f", "lavfi", "-i", "testsrc2=s=1800x1200,noise=alls=8", "-frames:v", "1", "-q:v", "2")
	f := Transform(pool)
	for b.Loop() {
		if _, err := rig.Run(b, f, `{"width":400}`, nil, photo); err != nil {
			b.Fatal(err)
		}
	}
}
