package ladder

import (
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// hls.go: derive.hls makes a video ready for HTTP Live Streaming.

var hlsSpec = fn.Spec{
	Name:    "derive.hls",
	Version: "1",
	Summary: "Make renditions of a video and package them for HLS",
	Doc:     method,
	Inputs:  inputs,
	Outputs: outputs,
	Purity:  fn.Equivalent,
	Slicing: fn.Slicing{Mode: fn.Independent},
	Timeout: fn.Timeout{Base: 2 * time.Minute, Factor: 10},
}

type hlsParams struct {
	Params
	DASH bool `json:"dash" default:"false" help:"write a DASH manifest of the same files too"`
}

// HLS returns derive.hls. Without ffmpeg it loads but refuses.
func HLS(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, hlsSpec), fn.Body[hlsParams]{
		Check: func(p *hlsParams, _ []media.Kind) error { return p.check() },
		Price: func(p *hlsParams, inputs []*media.Info) fn.Price { return p.price(inputs) },
		Assembly: func(p *hlsParams, info *media.Info) fn.Assembly {
			return p.assembly(info, p.packaging(true, p.DASH))
		},
		Run: func(ctx fn.Context, call *fn.Call, p *hlsParams) (*fn.Result, error) {
			return p.run(ctx, ff, call, p.packaging(true, p.DASH))
		},
	})
}
