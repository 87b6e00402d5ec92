package api

import (
	"encoding/json"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
)

// MaxCurve is how many numbers of workers one plan may be predicted for.
const MaxCurve = 64

// PlanRequest is the body of POST /v1/plan: a request that is not carried out.
type PlanRequest struct {
	Cmd     string          `json:"cmd"`
	Params  json.RawMessage `json:"params,omitempty"`
	Inputs  []media.Ref     `json:"input_files,omitempty"`
	Slice   string          `json:"slice,omitempty"`   // auto, force or off
	Cores   int             `json:"cores,omitempty"`   // to decide for; 0 = what the workers have now
	Workers []int           `json:"workers,omitempty"` // numbers of cores to predict for
}

// Plan is what would be decided for it now, and why.
type Plan struct {
	Sliced     bool               `json:"sliced"`
	Code       slice.Code         `json:"slice_code"`
	Reason     string             `json:"slice_reason"`
	Parts      []fn.Part          `json:"parts"`
	Prediction slice.Prediction   `json:"prediction"`      // for the cores the workers have
	Curve      []slice.Prediction `json:"curve,omitempty"` // for those asked about, slicing forced
	Price      fn.Price           `json:"price"`           // of the whole, as experience corrects it
	Declared   fn.Price           `json:"declared"`        // before
	Class      string             `json:"class"`           // under which it is learned
	Attempts   int64              `json:"n"`               // experience with that
}
