// Package pieces tells a job where the bytes of an input lie that is still
// arriving.
package pieces

import (
	"context"
	"slices"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

// Fill has each input of j, the job of w, that comes by an upload read in the
// pieces that are there, unless its object is.
func Fill(ctx context.Context, store *state.Store, bucket string, w *task.Work, j *job.Job) error {
	if !slices.ContainsFunc(j.Inputs, func(in job.Input) bool { return in.Ref.Upload != "" }) {
		return nil
	}
	j.Inputs = slices.Clone(j.Inputs) // the row has them too
	for i := range j.Inputs {
		in := &j.Inputs[i]
		if in.Ref.Upload == "" {
			continue
		}
		known, err := store.Uploads(ctx, in.Ref.Upload)
		if err != nil {
			return err
		}
		if len(known) == 0 || known[0].State == arrival.Done {
			continue
		}
		all, err := store.Pieces(ctx, in.Ref.Upload)
		if err != nil {
			return err
		}
		u := &known[0]
		in.Pieces = &job.Pieces{
			Upload: u.ID, Bucket: bucket, Size: u.Size,
			List: arrival.Wanted(j, u, arrival.Need(j, i, u, w.Short()), all),
		}
	}
	return nil
}
