package exec

import (
	"context"
	"errors"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/exec/gate"
	"github.com/mediafn/mediafn/ports/blob"
)

// arriving makes what is there of an upload readable in place. Bytes never
// change once they have come, so the upload's name is that of the content.
func (f *fetching) arriving(input *fn.Input, p *job.Pieces) error {
	store, err := f.e.cfg.Stores.Get(input.Ref.Cloud)
	if err != nil {
		return err
	}
	if p.Size > f.e.cfg.MaxInput {
		return errs.New(errs.TooLarge, op, "%d bytes, the limit is %d", p.Size, f.e.cfg.MaxInput)
	}
	return f.place(input, &arrivingSource{f.job, store.Pieces(p.Bucket, p.List), p.Size}, "upload "+p.Upload)
}

// arrivingSource is a gate's view of an upload. What has not arrived is an error
// that says how much would have to.
type arrivingSource struct {
	job  context.Context
	p    *blob.Pieces
	size int64
}

var _ gate.ContextSource = (*arrivingSource)(nil)

func (s *arrivingSource) Size() int64 { return s.size }

func (s *arrivingSource) ReadAt(p []byte, off int64) (int, error) {
	return s.ReadAtContext(s.job, p, off)
}

func (s *arrivingSource) ReadAtContext(ctx context.Context, p []byte, off int64) (int, error) {
	n, err := s.p.ReadAtContext(ctx, p, off)
	if gap := (*blob.Gap)(nil); errors.As(err, &gap) {
		return n, errs.New(errs.Transient, op, "%w", &job.Short{Need: off + int64(len(p))})
	}
	if errs.Is(err, errs.NotFound) { // the object is there since, or the upload has ended: the next attempt is told
		err = errs.As(errs.Transient, op, err)
	}
	return n, err
}
