package ladder

import (
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// dash.go: derive.dash makes a video ready for MPEG-DASH.

var dashSpec = fn.Spec{
	Name:    "derive.dash",
	Version: "1",
	Summary: "Make renditions of a video and package them for DASH",
	Doc:     method,
	Inputs:  inputs,
	Outputs: outputs,
	Purity:  fn.Equivalent,
	Slicing: fn.Slicing{Mode: fn.Independent},
	Timeout: fn.Timeout{Base: 2 * time.Minute, Factor: 10},
}

type dashParams struct {
	Params
	HLS bool `json:"hls" default:"false" help:"write HLS playlists of the same files too"`
}

// DASH returns derive.dash. Without ffmpeg it loads but refuses.
func DASH(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, dashSpec), fn.Body[dashParams]{
		Check: func(p *dashParams, _ []media.Kind) error { return p.check() },
		Price: func(p *dashParams, inputs []*media.Info) fn.Price { return p.price(inputs) },
		Assembly: func(p *dashParams, info *media.Info) fn.Assembly {
			return p.assembly(info, p.packaging(p.HLS, true))
		},
		Run: func(ctx fn.Context, call *fn.Call, p *dashParams) (*fn.Result, error) {
			return p.run(ctx, ff, call, p.packaging(p.HLS, true))
		},
	})
}
