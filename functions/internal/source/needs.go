package source

import (
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// Needs returns the declaration of a function that cannot run without ffmpeg:
// where that is missing it is offered, and says why it refuses.
func Needs(ff *ffmpeg.Tool, spec fn.Spec) fn.Spec {
	if ff == nil {
		spec.Missing = "ffmpeg missing"
	}
	return spec
}
