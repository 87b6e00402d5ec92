package controller

import (
	"encoding/json"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/core/task"
)

// PlanSlices is the inline function slice.plan: it decides from the profile of
// the source whether and how the task's function is sliced, for so many cores
// as the workers have then. Its answer is kept with the task.
func PlanSlices(cores *Cores) task.Inline {
	return func(in task.InlineCall) (json.RawMessage, error) {
		if in.Function == nil {
			return nil, errs.New(errs.Internal, "slice.plan", "the task names a flow, not a function")
		}
		return slice.Answer(in.Docs, in.Params, func(source *media.Info) (r slice.Request, err error) {
			if r.Mode, err = slice.ParseMode(in.Task.Request.Extra.Slice); err != nil {
				return r, err
			}
			r.Spec, r.Workers, r.Price = in.Function.Spec().Slicing, cores.Now(), in.Price(source)
			r.Assembly, err = in.Function.Assembly(in.Task.Request.Params, source)
			return r, err
		})
	}
}
