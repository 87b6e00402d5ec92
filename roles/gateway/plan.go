package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/core/task"
)

// mostCores bounds what a prediction is made for.
const mostCores = 100_000

// predict answers POST /v1/plan: what slice.plan would decide for a request now,
// and what it predicts for other numbers of cores. Nothing is stored.
func (g *Gateway) predict(w http.ResponseWriter, r *http.Request, tenant string) error {
	var body api.PlanRequest
	if err := decode(w, r, g.cfg.MaxBody, &body); err != nil {
		return err
	}
	if len(body.Workers) > api.MaxCurve {
		return errs.InField("workers", "at most %d numbers, got %d", api.MaxCurve, len(body.Workers))
	}
	for _, n := range body.Workers {
		if n < 1 || n > mostCores {
			return errs.InField("workers", "%d is not 1–%d", n, mostCores)
		}
	}
	if body.Cores < 0 || body.Cores > mostCores {
		return errs.InField("cores", "%d is not 0–%d", body.Cores, mostCores)
	}
	mode, err := slice.ParseMode(body.Slice)
	if err != nil {
		return errs.InField("slice", "must be auto, force or off, not %q", body.Slice)
	}
	req := task.Request{MsgID: "plan", Cmd: body.Cmd, Params: body.Params, Inputs: body.Inputs, Priority: 5}
	if err := g.checkFields(r.Context(), tenant, &req); err != nil {
		return err
	}
	if _, err := g.checkCall(&req); err != nil {
		return err
	}
	if body.Cores == 0 {
		body.Cores = g.cores(r.Context())
	}
	out, err := g.planned(r.Context(), &req, mode, &body)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (g *Gateway) planned(ctx context.Context, req *task.Request, mode slice.Mode, body *api.PlanRequest) (*api.Plan, error) {
	f, err := g.parts.Functions.Get(req.Cmd)
	if err != nil {
		return nil, errs.InField("cmd", "%s is a flow; functions are sliced", req.Cmd)
	}
	if f.Spec().Slicing.Mode == fn.Whole || len(req.Inputs) == 0 {
		return nil, errs.InField("cmd", "%s is never sliced", req.Cmd)
	}
	facts, err := g.look(ctx, req.Inputs[0], "gop")
	if err != nil {
		return nil, err
	}
	var source media.Info
	if err := json.Unmarshal(facts, &source); err != nil {
		return nil, errs.New(errs.Internal, "gateway", "facts: %w", err)
	}
	assembly, err := f.Assembly(req.Params, &source)
	if err != nil {
		return nil, err
	}
	known, err := g.parts.Store.Prices(ctx)
	if err != nil {
		return nil, err
	}
	d := task.Decider{Learned: known}
	price, declared, class := d.PriceOf(f, req.Params, []*media.Info{&source})
	ask := slice.Request{Source: &source, Spec: f.Spec().Slicing, Price: price, Assembly: assembly, Mode: mode, Workers: body.Cores}
	p := slice.Document(ask)
	return &api.Plan{
		Sliced: p.Sliced, Code: p.Code, Reason: p.Reason, Parts: p.Segments, Prediction: p.Prediction, Curve: slice.Curve(ask, body.Workers),
		Price: price, Declared: declared, Class: class, Attempts: known[task.KeyOf(f.Spec(), class)].N,
	}, nil
}

// cores is how many cores the workers have, as the matcher has told; 1 until it
// has.
func (g *Gateway) cores(ctx context.Context) int {
	told, err := g.parts.Store.Settings(ctx, job.CoresSetting)
	if err != nil {
		return 1
	}
	n, err := strconv.Atoi(told[job.CoresSetting])
	if err != nil {
		return 1
	}
	return max(n, 1)
}
