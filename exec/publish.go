package exec

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/ports/blob"
)

// publish puts finished objects where the caller asked for them: input i goes
// to Out.Final[i], byte by byte as it is. Inside one store the store copies,
// without a byte passing here; between stores the bytes stream through memory.
// Nothing is sniffed: these are our own results. Doing it twice gives the same.
//
// The declaration of the function, if the menu has one, only serves for
// planning and for the version; its Run is not called.
func (e *Executor) publish(ctx context.Context, j *job.Job) (job.Outcome, error) {
	if f, err := e.cfg.Functions.Get(j.Fn); err == nil {
		if err := sameVersion(f.Spec(), j); err != nil {
			return job.Outcome{}, err
		}
	}
	began := time.Now()
	var out job.Outcome
	for i, in := range j.Inputs {
		obj, moved, err := e.publishOne(ctx, in.Ref, j.Out.Final[i])
		if strings.HasSuffix(obj.Key, "/"+in.Name) && in.Name != "" {
			obj.Name = in.Name
		}
		if err != nil {
			return out, &errs.Error{Kind: errs.KindOf(err), Op: j.Fn, Field: "output_files." + strconv.Itoa(i), Err: err}
		}
		out.Outputs = append(out.Outputs, obj)
		out.Usage.BytesIn += moved
		out.Usage.BytesOut += obj.Size
	}
	e.cfg.Hook("outputs stored")
	out.Usage.StoreSeconds = since(began)
	return out, nil
}

func (e *Executor) publishOne(ctx context.Context, from, to media.Ref) (obj media.Object, moved int64, err error) {
	if from.Bucket == "" {
		return obj, 0, errs.New(errs.Internal, op, "only stored objects are published")
	}
	source, err := e.cfg.Stores.Get(from.Cloud)
	if err != nil {
		return obj, 0, err
	}
	target, err := e.cfg.Stores.Get(to.Cloud)
	if err != nil {
		return obj, 0, err
	}
	to.Cloud, to.Type = e.cloud(to), ""
	var attr blob.Attr
	switch {
	case source == target && from.Bucket == to.Bucket && from.Key == to.Key:
		attr, err = source.Stat(ctx, from.Bucket, from.Key)
	case source == target:
		attr, err = source.Copy(ctx, from.Bucket, from.Key, to.Bucket, to.Key)
	default:
		body, have, gerr := source.Get(ctx, from.Bucket, from.Key, 0, -1)
		if gerr != nil {
			return obj, 0, gerr
		}
		defer body.Close()
		attr, err = target.Put(ctx, to.Bucket, to.Key, body, blob.PutOptions{Size: have.Size, Mime: have.Mime, SHA256: have.SHA256})
		moved = attr.Size
	}
	if err != nil {
		return obj, 0, err
	}
	return media.Object{Ref: to, Name: baseName(to.Key), Mime: attr.Mime, Kind: kindOf(attr.Mime), Size: attr.Size, SHA256: attr.SHA256}, moved, nil
}
