// Package video holds the functions video → video.
package video

import (
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// transcode.go: video.transcode writes a video anew.

var transcodeSpec = fn.Spec{
	Name:    "video.transcode",
	Version: "1",
	Summary: "Encode a video anew: codec, size, rate, colour, sound, container",
	Doc: "Decodes the main picture track and every sound track and encodes them with x264, x265, SVT-AV1 or libvpx. " +
		"Frame times are kept to the tick, also variable ones, unless fps is given. The picture is stored upright as it is displayed. " +
		"Colour tags and values are kept, static HDR metadata in h265 and av1; HDR for other codecs is tone-mapped (Hable) to BT.709. " +
		"The first timestamp is kept where the source's container has a time line of its own. A call with start or end is not sliced. " +
		"HLG keeps its tags; dynamic HDR metadata (Dolby Vision, HDR10+) is not carried over. Deinterlacing makes one frame of two fields. " +
		"Cover pictures and data tracks are left out; subtitles of pictures are kept in mkv only. " +
		"Sound is copied where the container takes the source's codec and refused otherwise; start and end cut copied sound at its coded frames. " +
		"A bitrate is reached within 2 % by two passes (av1: by encoding again), also over slices of h264 and h265; vp9 and av1 are not sliced then. " +
		"Sources of very low or very high rate get caps unless rate, crf, bitrate or max_bitrate say otherwise. " +
		"A sliced run always puts the index of mp4 and mov in front.",
	Inputs:   []fn.Slot{{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "the video"}},
	Outputs:  []fn.Slot{{Name: "video", Kinds: []media.Kind{media.Video, media.Audio}, Min: 1, Max: 1, Help: "the encoded video; of a sound slice its sound"}},
	Internal: render.Internal(),
	Purity:   fn.Equivalent,
	Slicing:  fn.Slicing{Mode: fn.Independent},
	Timeout:  fn.Timeout{Base: 2 * time.Minute, Factor: 10},
}

type transcodeParams struct {
	encode.Params
	Start float64  `json:"start" default:"0" min:"0" max:"1000000" unit:"s" help:"first second to keep; the result starts at 0"`
	End   *float64 `json:"end" min:"0" max:"1000000" unit:"s" help:"second where it ends, exclusive; not given = the end"`
}

// Transcode returns video.transcode. Without ffmpeg it loads but refuses.
func Transcode(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, transcodeSpec), fn.Body[transcodeParams]{
		Check: func(p *transcodeParams, _ []media.Kind) error {
			if p.End != nil && *p.End <= p.Start {
				return errs.InField("params.end", "must be behind start")
			}
			return p.Params.Check()
		},
		Price: func(p *transcodeParams, inputs []*media.Info) fn.Price { return render.Price(&p.Params, inputs) },
		Assembly: func(p *transcodeParams, info *media.Info) fn.Assembly {
			a := render.Assembly(&p.Params, info)
			if p.Start > 0 || p.End != nil {
				a.Whole = "start and end cut the result out of the source"
			}
			return a
		},
		Run: func(ctx fn.Context, call *fn.Call, p *transcodeParams) (*fn.Result, error) {
			return runTranscode(ctx, ff, call, p)
		},
	})
}

// planTranscode is what is done for params and a source. It is pure.
func planTranscode(p *transcodeParams, info *media.Info, part *fn.Part, threads int) render.Order {
	p.Normalize()
	return render.Order{Params: &p.Params, Info: info, Part: part, Threads: threads, Start: p.Start, End: p.End}
}

func runTranscode(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, p *transcodeParams) (*fn.Result, error) {
	in := call.In("source")
	if in == nil {
		return nil, errs.New(errs.Internal, "video.transcode", "no source")
	}
	info, err := render.Facts(ctx, ff, in)
	if err != nil {
		return nil, err
	}
	return planTranscode(p, info, call.Part, call.Threads).Run(ctx, ff, call, in)
}
