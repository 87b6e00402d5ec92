package exec

import (
	"context"

	"go.opentelemetry.io/otel/attribute"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/internal/span"
)

// The phases of a job, each a step of its trace.

func (e *Executor) fetched(ctx context.Context, j *job.Job, spec *fn.Spec, dir string) (*inputs, error) {
	traced, s := span.Step(ctx, "fetch", attribute.Int("inputs", len(j.Inputs)))
	in, err := e.fetch(traced, j, spec, dir)
	copied, _ := in.transfer()
	s.Set(attribute.Int64("bytes", copied))
	s.End(err)
	return in, err
}

func computed(ctx context.Context, f fn.Function, call *fn.Call) (*fn.Result, error) {
	ctx, s := span.Step(ctx, "compute", attribute.String("fn", f.Spec().Name), attribute.Int("threads", call.Threads))
	res, err := f.Run(ctx, call)
	s.End(err)
	return res, err
}

func (e *Executor) stored(ctx context.Context, j *job.Job, spec *fn.Spec, dir string, outs []fn.Output, kept *cached) ([]media.Object, error) {
	ctx, s := span.Step(ctx, "store", attribute.Int("outputs", len(outs)))
	objects, err := e.store(ctx, j, spec, dir, outs, kept)
	var total int64
	for _, o := range objects {
		total += o.Size
	}
	s.Set(attribute.Int64("bytes", total))
	s.End(err)
	return objects, err
}
