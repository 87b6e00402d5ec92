package restore

import (
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// deinterlace.go: video.deinterlace makes frames of fields.

var deinterlaceSpec = declare("video.deinterlace", "Make full frames of interlaced fields",
	"bwdif and yadif fill the missing lines from the frames before and behind, estdif along the edges of the same field. One frame is made of both fields, or one of each, "+
		"which doubles the frame rate; frames of variable rate are brought to a constant one then. All frames are taken for interlaced. Slices overlap by two frames and are exactly those of the whole.",
	fn.Overlap)

type deinterlaceParams struct {
	encode.Params
	Method string `json:"method" default:"bwdif" enum:"bwdif,yadif,estdif" help:"how missing lines are found"`
	Mode   string `json:"mode" default:"frame" enum:"frame,field" help:"a frame of every frame, or of every field"`
	Parity string `json:"parity" default:"auto" enum:"auto,tff,bff" help:"which field is first: as the source says, the upper, the lower"`
}

var deinterlace = recipe[deinterlaceParams]{
	Encode: func(p *deinterlaceParams) *encode.Params { p.Deinterlace = "off"; return &p.Params },
	Check: func(p *deinterlaceParams) error {
		if p.Mode == "field" && p.FPS != "" {
			return errs.InField("params.fps", "is twice the source's with mode field")
		}
		return nil
	},
	Lap: func(*deinterlaceParams) fn.Lap { return fn.Lap{Before: 2, After: 2} },
	Rate: func(p *deinterlaceParams, v *media.VideoStream) media.Rational {
		if p.Mode != "field" {
			return media.Rational{}
		}
		return times(v, 2)
	},
	Speed: func(p *deinterlaceParams) float64 {
		return map[string]float64{"bwdif": 70e6, "yadif": 100e6, "estdif": 9e6}[p.Method]
	},
	Class: func(p *deinterlaceParams) string { return p.Method },
	Order: func(p *deinterlaceParams, o *render.Order) {
		mode := map[string]string{"frame": "send_frame", "field": "send_field"}[p.Mode]
		if p.Method == "estdif" {
			mode = p.Mode
		}
		f := graph.New(p.Method, "mode", mode, "parity", p.Parity, "deint", "all")
		if !o.Rate.Known() {
			// The filters halve the time base.
			o.Work = through(f, graph.New("settb", "expr", o.Info.MainVideo().TimeBase.String()))
			return
		}
		o.Work = through(graph.New("setpts", "expr", "PTS-STARTPTS"), f, graph.New("fps", "fps", o.Rate.String()),
			graph.New("tpad", "stop_mode", "clone", "stop", "4"))
	},
}

// Deinterlace returns video.deinterlace.
func Deinterlace(ff *ffmpeg.Tool) fn.Function { return define(ff, deinterlaceSpec, deinterlace) }

// times is n times a source's frame rate.
func times(v *media.VideoStream, n int64) media.Rational {
	rate := v.FrameRate
	if !rate.Known() || rate.Num <= 0 {
		rate = v.AvgRate
	}
	if !rate.Known() || rate.Num <= 0 {
		return media.Rational{}
	}
	return media.Rational{Num: rate.Num * n, Den: rate.Den}.Reduce()
}
