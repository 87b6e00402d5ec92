// Package all is the menu: every function mediafn offers, one line each.
package all

import (
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/functions/assemble"
	"github.com/mediafn/mediafn/functions/derive"
	"github.com/mediafn/mediafn/functions/generate"
	"github.com/mediafn/mediafn/functions/image"
	"github.com/mediafn/mediafn/functions/inspect"
	"github.com/mediafn/mediafn/functions/internal/ahead"
	"github.com/mediafn/mediafn/functions/ladder"
	"github.com/mediafn/mediafn/functions/restore"
	"github.com/mediafn/mediafn/functions/service"
	"github.com/mediafn/mediafn/functions/video"
	"github.com/mediafn/mediafn/tools/engine"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// Tools are what functions need; a nil one leaves them declared but not
// runnable.
type Tools struct {
	FFmpeg *ffmpeg.Tool
	Engine *engine.Pool
	Poster service.Poster
}

// Menu lists them.
func Menu(t Tools) *fn.Registry {
	return fn.NewRegistry(
		assemble.Certify(t.FFmpeg),
		assemble.Concat(t.FFmpeg),
		assemble.Joints(t.FFmpeg),
		assemble.Merge(t.FFmpeg),
		assemble.Mux(t.FFmpeg),
		assemble.Package(t.FFmpeg),
		assemble.Publish(),
		assemble.Remux(t.FFmpeg),
		derive.Audio(t.FFmpeg),
		derive.Frames(t.FFmpeg),
		generate.Noop(),
		image.Transform(t.Engine),
		inspect.Front(t.FFmpeg),
		inspect.Probe(t.FFmpeg, t.Engine),
		ahead.Of(t.FFmpeg, ladder.DASH(t.FFmpeg)),
		ahead.Of(t.FFmpeg, ladder.HLS(t.FFmpeg)),
		ahead.Of(t.FFmpeg, restore.Deblur(t.FFmpeg)),
		restore.Deinterlace(t.FFmpeg),
		ahead.Of(t.FFmpeg, restore.Delogo(t.FFmpeg)),
		restore.Denoise(t.FFmpeg),
		ahead.Of(t.FFmpeg, restore.Desubtitle(t.FFmpeg)),
		restore.Interpolate(t.FFmpeg),
		restore.Remove(t.FFmpeg),
		restore.Stabilize(t.FFmpeg),
		ahead.Of(t.FFmpeg, restore.Upscale(t.FFmpeg)),
		service.Call(t.Poster),
		ahead.Of(t.FFmpeg, video.Transcode(t.FFmpeg)),
		ahead.Of(t.FFmpeg, video.Watermark(t.FFmpeg)),
	)
}
