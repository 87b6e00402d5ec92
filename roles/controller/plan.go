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
		var source media.Info
		if err := json.Unmarshal(in.Docs["profile"], &source); err != nil {
			return nil, errs.New(errs.Internal, "slice.plan", "profile: %w", err)
		}
		mode, err := slice.ParseMode(in.Task.Request.Extra.Slice)
		if err != nil {
			return nil, err
		}
		assembly, err := in.Function.Assembly(in.Task.Request.Params, &source)
		if err != nil {
			return nil, err
		}
		return json.Marshal(slice.Document(slice.Request{
			Source: &source, Spec: in.Function.Spec().Slicing, Assembly: assembly, Mode: mode, Workers: cores.Now(),
			Price: in.Price(&source),
		}))
	}
}
