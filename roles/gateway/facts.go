package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// factsLife is how long facts are kept. Their key names the content, so they
// never get old; the bound is about room.
const factsLife = 24 * time.Hour

// Computer computes small things in the gateway itself, with the code a worker
// uses; exec.Executor is one.
type Computer interface {
	Run(ctx context.Context, j job.Job, progress func(fn.Progress)) (job.Outcome, error)
	Identify(ctx context.Context, ref media.Ref) (string, error)
}

// facts answers GET /v1/media/facts: what is known of one piece of media, by
// url or by cloud, bucket and key. It is computed here, once for the same
// content, and kept.
func (g *Gateway) facts(w http.ResponseWriter, r *http.Request, tenant string) error {
	q := r.URL.Query()
	for name := range q {
		switch name {
		case "url", "cloud", "bucket", "key", "level":
		default:
			return errs.InField(name, "unknown parameter; known are url, cloud, bucket, key, level")
		}
	}
	ref := media.Ref{URL: q.Get("url"), Cloud: q.Get("cloud"), Bucket: q.Get("bucket"), Key: q.Get("key")}
	if err := g.checkRef(r.Context(), tenant, "query", &ref, true); err != nil {
		return err
	}
	body, err := g.look(r.Context(), ref, q.Get("level"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
	return nil
}

// look finds out what is known of media, at a level of inspect.probe.
func (g *Gateway) look(ctx context.Context, ref media.Ref, level string) ([]byte, error) {
	params, call, err := g.factsCall(level)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.cfg.FactsTime)
	defer cancel()
	identity, err := g.parts.Computer.Identify(ctx, ref)
	if err != nil {
		return nil, err
	}
	compute := func(ctx context.Context) ([]byte, error) {
		select {
		case g.probes <- struct{}{}:
			defer func() { <-g.probes }()
		default:
			return nil, errs.New(errs.Busy, "gateway", "too many files are being looked at")
		}
		call.Inputs[0].Ref = ref
		out, err := g.parts.Computer.Run(ctx, *call, nil)
		return out.Facts, err
	}
	if identity == "" {
		return compute(ctx)
	}
	return g.parts.Cache.Do(ctx, call.Fn+"@"+call.Version+" "+string(params)+" "+identity, factsLife, compute)
}

// factsCall is the job that finds out.
func (g *Gateway) factsCall(level string) (json.RawMessage, *job.Job, error) {
	f, err := g.parts.Functions.Get("inspect.probe")
	if err != nil {
		return nil, nil, err
	}
	texts := map[string]string{}
	if level != "" {
		texts["level"] = level
	}
	params, err := f.Spec().Params.ParseTexts(texts)
	if err != nil {
		return nil, nil, err
	}
	if params, err = f.Check(params, []media.Kind{""}); err != nil {
		return nil, nil, err
	}
	trace := task.NewID()
	return params, &job.Job{
		Trace: trace, Fn: f.Spec().Name, Version: f.Spec().Version, Params: params, Threads: 1,
		Inputs: []job.Input{{Slot: f.Spec().Inputs[0].Name}},
		Out:    job.Place{Cloud: g.parts.Place.Cloud, Bucket: g.parts.Place.Segments, Prefix: "facts/" + trace},
	}, nil
}
