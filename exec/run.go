package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
)

// Run carries out one job: fetch, compute, store. progress may be nil; it
// must not block. When Run returns, the scratch of the attempt is gone and its
// grants are revoked. Objects stored before a failure stay: no row names them,
// so they are swept as fragments.
//
// Errors keep the kind of what failed. An input that is not what its slot
// takes is Invalid and names input_files; a job for another version of the
// function is Transient, because another worker can have it; a function that
// panics is Internal; the end of ctx is Canceled, the job's deadline Timeout.
//
// In the outcome's usage, BytesIn is what came from stores and URLs: less than
// the inputs' size where only a range was read, or where the gate had it.
// FetchSeconds is the time before the function could start, plus the time the
// gate read for it while it ran.
func (e *Executor) Run(ctx context.Context, j job.Job, progress func(fn.Progress)) (job.Outcome, error) {
	if err := j.Validate(); err != nil {
		return job.Outcome{}, err
	}
	ctx, cancel := until(ctx, j.Deadline)
	defer cancel()
	out, err := e.either(ctx, &j, progress)
	if err != nil {
		return job.Outcome{}, ended(ctx, err)
	}
	return out, nil
}

func (e *Executor) either(ctx context.Context, j *job.Job, progress func(fn.Progress)) (out job.Outcome, err error) {
	defer e.recovered(j, &err)
	if j.Fn == job.Publish {
		return e.publish(ctx, j)
	}
	return e.compute(ctx, j, progress)
}

// recovered is deferred around code that meets hostile input: a panic ends the
// job, not the worker.
func (e *Executor) recovered(j *job.Job, err *error) {
	if p := recover(); p != nil {
		e.log.Error("panic in a job", "fn", j.Fn, "trace", j.Trace, "panic", p, "stack", string(debug.Stack()))
		*err = errs.New(errs.Internal, j.Fn, "panic: %v", p)
	}
}

// ended tells a failure from the end of the job: a tool that was killed
// reports all sorts of things.
func ended(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	cause := context.Cause(ctx)
	return &errs.Error{Kind: errs.KindOf(cause), Op: op, Msg: cause.Error(), Tail: errs.TailOf(err), Err: quiet{cause}}
}

// quiet keeps a cause reachable whose text is printed already.
type quiet struct{ err error }

func (q quiet) Error() string { return "" }
func (q quiet) Unwrap() error { return q.err }

func (e *Executor) compute(ctx context.Context, j *job.Job, progress func(fn.Progress)) (job.Outcome, error) {
	var none job.Outcome
	f, err := e.cfg.Functions.Get(j.Fn)
	if err != nil {
		return none, err
	}
	spec := f.Spec()
	if err := sameVersion(spec, j); err != nil {
		return none, err
	}
	if j.Async && j.Callback == "" {
		return none, errs.New(errs.Transient, op, "%s is asynchronous, but nobody said where the answer goes", j.Fn)
	}
	call := &fn.Call{Trace: j.Trace, Threads: max(j.Threads, 1), Part: j.Part, Callback: j.Callback, Progress: progress,
		Place: media.Ref{Cloud: j.Out.Cloud, Bucket: j.Out.Bucket, Key: j.Out.Prefix + "/"}}
	kept := e.cached(ctx, j, spec)
	if kept != nil {
		call.Stored = kept.find
	}
	copies := ""
	if len(spec.Inputs)+len(spec.Outputs) > 0 { // without files there is nothing to put into a folder
		dir, end, err := e.scratch.attempt(j.Trace)
		if err != nil {
			return none, err
		}
		defer func() {
			if err := end(); err != nil {
				e.log.Error("scratch of an attempt is not removed", "trace", j.Trace, "error", err)
			}
		}()
		call.Dir, copies = filepath.Join(dir, "work"), filepath.Join(dir, "in")
		for _, d := range []string{call.Dir, copies} {
			if err := os.Mkdir(d, 0o700); err != nil {
				return none, errs.New(errs.Transient, op, "scratch: %w", err)
			}
		}
	}

	began := time.Now()
	in, err := e.fetched(ctx, j, spec, copies)
	defer in.close()
	if err != nil {
		return none, err
	}
	call.Inputs = in.all
	if call.Params, err = f.Check(j.Params, kinds(spec, in.all)); err != nil {
		return none, err
	}
	fetched := since(began)
	_, before := in.transfer() // counted in fetched already
	e.cfg.Hook("inputs fetched")

	began = time.Now()
	res, err := computed(ctx, f, call)
	if err == nil && res == nil {
		err = errs.New(errs.Internal, spec.Name, "no result and no error")
	}
	if err == nil {
		err = ctx.Err() // a result that came too late is none
	}
	if err != nil {
		if fault := in.fault(); fault != nil {
			return none, &errs.Error{Kind: errs.KindOf(fault), Op: "fetch", Msg: "an input broke off while it was read: " + fault.Error(), Tail: errs.TailOf(err), Err: quiet{fault}}
		}
		return none, err
	}
	if res.Pending {
		return pending(spec, j, res)
	}
	wall := since(began)

	began = time.Now()
	out := job.Outcome{Facts: res.Facts, Usage: res.Usage}
	if err := e.checkFacts(spec, out.Facts); err != nil {
		return none, err
	}
	if out.Outputs, err = e.stored(ctx, j, spec, call.Dir, res.Outputs, kept); err != nil {
		return none, err
	}
	e.cfg.Hook("outputs stored")

	u := &out.Usage
	var beside float64
	u.BytesIn, beside = in.transfer()
	u.WallSeconds, u.StoreSeconds, u.FetchSeconds = wall, since(began), fetched+beside-before
	u.BytesOut, u.Reused = 0, 0
	for i, o := range out.Outputs {
		if res.Outputs[i].Object != nil {
			u.Reused++
		} else {
			u.BytesOut += o.Size
		}
	}
	durations(u, j, in.all, res.Outputs)
	return out, nil
}

// pending passes on that an outside service will answer. What came already
// would be lost, so it is a defect of the function.
func pending(spec *fn.Spec, j *job.Job, res *fn.Result) (job.Outcome, error) {
	if j.Callback == "" || len(res.Outputs) > 0 || res.Facts != nil {
		return job.Outcome{}, errs.New(errs.Internal, spec.Name, "says that it is pending, with outputs, facts, or nowhere to answer")
	}
	return job.Outcome{Pending: true}, nil
}

func sameVersion(spec *fn.Spec, j *job.Job) error {
	if spec.Version != j.Version {
		return errs.New(errs.Transient, op, "other version: the job is for %s %s, here is %s", j.Fn, j.Version, spec.Version)
	}
	return nil
}

// kinds are those of the inputs a caller gives.
func kinds(spec *fn.Spec, in []fn.Input) []media.Kind {
	out := make([]media.Kind, 0, len(in))
	for i := range in {
		if spec.Asked(in[i].Slot) {
			out = append(out, in[i].Kind)
		}
	}
	return out
}

func (e *Executor) checkFacts(spec *fn.Spec, facts json.RawMessage) error {
	switch {
	case facts == nil:
		return nil
	case len(facts) > e.cfg.MaxFacts:
		return errs.New(errs.TooLarge, spec.Name, "facts of %d bytes, the limit is %d", len(facts), e.cfg.MaxFacts)
	case !bytes.HasPrefix(bytes.TrimSpace(facts), []byte("{")) || !json.Valid(facts):
		return errs.New(errs.Internal, spec.Name, "facts are not a JSON object")
	}
	return nil
}

// durations fills in how much media went in and came out, as far as known.
func durations(u *fn.Usage, j *job.Job, in []fn.Input, out []fn.Output) {
	if u.InputDuration == 0 {
		if p := j.Part; p != nil && p.Stream == fn.Pictures && p.TimeBase.Known() {
			u.InputDuration = p.TimeBase.Seconds(p.End - p.Start)
		} else if len(in) > 0 && in[0].Info != nil {
			u.InputDuration = in[0].Info.Duration
		}
	}
	if u.OutputDuration == 0 {
		for _, o := range out {
			if o.Info != nil {
				u.OutputDuration += o.Info.Duration
			}
		}
	}
}
