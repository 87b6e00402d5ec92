package bench

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/core/task"
)

// PredictOptions sets what Predict runs.
type PredictOptions struct {
	Files   []string
	Fn      string
	Params  map[string]any
	Cores   []int // to predict for and to run on
	Workers []int // of the curve
	Rounds  int   // of each run
	Dir     string
}

// Predicted is what one video was predicted to take and took.
type Predicted struct {
	File     string             `json:"file"`
	Class    string             `json:"class"`
	Attempts int64              `json:"n"` // the price was learned of
	Price    float64            `json:"price"`
	Declared float64            `json:"declared"`
	Runs     []PredictedRun     `json:"runs"`
	Curve    []slice.Prediction `json:"curve"`
}

// PredictedRun is one way of doing it: medians of the rounds.
type PredictedRun struct {
	Cores     int     `json:"cores"`
	Slices    int     `json:"slices"` // 0 = whole
	Predicted Cost    `json:"predicted"`
	Measured  Cost    `json:"measured"`
	WallError float64 `json:"wall_error"` // predicted ÷ measured − 1
	CPUError  float64 `json:"cpu_error"`
}

// Predict lets a platform that knows nothing run each video until it has learned
// its price, on all cores; then compares what the tasks' own results predict, for
// each number of cores, with what they took, sliced and whole by turns. Each
// video has a platform of its own: a price is a mean over what was run.
func Predict(ctx context.Context, o PredictOptions) ([]Predicted, error) {
	var all []Predicted
	for _, file := range o.Files {
		p, err := predict(ctx, o, file)
		if err != nil {
			return nil, errs.Wrap(filepath.Base(file), err)
		}
		all = append(all, *p)
	}
	return all, nil
}

func predict(ctx context.Context, o PredictOptions, file string) (*Predicted, error) {
	dir, err := scratch(o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	params, err := json.Marshal(o.Params)
	if err != nil {
		return nil, err
	}
	all, err := machine()
	if err != nil {
		return nil, err
	}
	f := &foreseen{PredictOptions: o, params: params, machine: all, out: &Predicted{File: filepath.Base(file)}}
	if err := f.with(ctx, dir, 0, func(p *platform) error {
		if err := p.upload(ctx, file, "source"); err != nil {
			return err
		}
		return f.learn(ctx, p)
	}); err != nil {
		return nil, err
	}
	for _, cores := range o.Cores {
		if err := f.with(ctx, dir, cores, func(p *platform) error { return f.compare(ctx, p, cores) }); err != nil {
			return nil, err
		}
	}
	return f.out, nil
}

type foreseen struct {
	PredictOptions
	params  json.RawMessage
	machine unix.CPUSet
	out     *Predicted
}

// with has a platform that is confined to so many cores do something.
func (f *foreseen) with(ctx context.Context, dir string, cores int, do func(*platform) error) (err error) {
	if err := confine(f.machine, cores); err != nil {
		return err
	}
	defer func() { _ = confine(f.machine, 0) }()
	p, err := start(ctx, dir, cores, true)
	if err != nil {
		return err
	}
	defer p.end(&err)
	return do(p)
}

// enough is of how many attempts a price has to be learned.
const enough = 5

// learn runs the video in slices until its price is known.
func (f *foreseen) learn(ctx context.Context, p *platform) error {
	for range 10 {
		if _, err := p.run(ctx, f.request("force")); err != nil {
			return err
		}
		// What was learned is written down at the next tick.
		known, err := f.until(ctx, p, 3*time.Second, func(plan *api.Plan) bool { return plan.Attempts >= enough })
		if err != nil {
			return err
		}
		if known != nil {
			f.out.Class, f.out.Attempts, f.out.Price, f.out.Declared = known.Class, known.Attempts, known.Price.CPUSeconds, known.Declared.CPUSeconds
			f.out.Curve = known.Curve
			return nil
		}
	}
	return errs.New(errs.Internal, "bench", "no price was learned")
}

// until asks for the plan again and again; nil = it did not become so in time.
func (f *foreseen) until(ctx context.Context, p *platform, limit time.Duration, so func(*api.Plan) bool) (*api.Plan, error) {
	for end := time.Now().Add(limit); time.Now().Before(end); {
		plan, err := p.client.Plan(ctx, &api.PlanRequest{Cmd: f.Fn, Params: f.params, Inputs: []media.Ref{place("source")}, Workers: f.Workers})
		if err != nil {
			return nil, err
		}
		if so(plan) {
			return plan, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, nil
}

func (f *foreseen) request(mode string) api.Submit {
	return api.Submit{Cmd: f.Fn, Params: f.params, Inputs: []media.Ref{place("source")}, Extra: task.Extra{Slice: mode}}
}

// compare runs the video sliced and whole, by turns.
func (f *foreseen) compare(ctx context.Context, p *platform, cores int) error {
	told, took := map[string][]Cost{}, map[string][]Cost{}
	parts := 0
	for range f.Rounds {
		for _, mode := range []string{"force", "off"} {
			t, err := p.run(ctx, f.request(mode))
			if err != nil {
				return err
			}
			var result struct {
				Prediction  slice.Prediction   `json:"prediction"`
				Certificate *slice.Certificate `json:"certificate"`
			}
			if err := json.Unmarshal(t.Result, &result); err != nil {
				return errs.As(errs.Internal, "bench", err)
			}
			if c := result.Certificate; c != nil && !c.OK {
				return errs.New(errs.Internal, "bench", "what was sliced did not pass: the run holds a whole too")
			}
			g := result.Prediction
			if g.Workers != cores {
				return errs.New(errs.Internal, "bench", "predicted for %d cores, not %d", g.Workers, cores)
			}
			guess := Cost{Wall: g.WholeSeconds, CPU: g.WholeCost}
			if mode == "force" {
				guess, parts = Cost{Wall: g.SlicedSeconds, CPU: g.SlicedCost}, t.Figures.Slices
			}
			told[mode] = append(told[mode], guess)
			took[mode] = append(took[mode], Cost{Wall: t.Figures.Wall, CPU: t.Figures.CPU})
		}
	}
	for _, mode := range []string{"force", "off"} {
		run := PredictedRun{Cores: cores, Predicted: median(told[mode]), Measured: median(took[mode])}
		if mode == "force" {
			run.Slices = parts
		}
		run.WallError = run.Predicted.Wall/run.Measured.Wall - 1
		run.CPUError = run.Predicted.CPU/run.Measured.CPU - 1
		f.out.Runs = append(f.out.Runs, run)
	}
	return nil
}
