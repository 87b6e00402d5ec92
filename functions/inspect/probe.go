// Package inspect holds the functions from media to facts.
package inspect

import (
	"encoding/json"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/engine"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// probe.go: inspect.probe says what a piece of media is.

var probeSpec = fn.Spec{
	Name:    "inspect.probe",
	Version: "1",
	Summary: "Facts of an image, a video or a sound file",
	Doc: "Reads the container's own tables in place, without decoding and without fetching the file: streams, sizes, rates, rotation, aspect, colour, HDR, " +
		"sound layout, timing. What the tables cannot tell is asked of ffprobe where the format has no tables (TS, FLV, AVI, raw audio), where the level asks for it, " +
		"or with decode. What nobody can tell is absent; nothing is guessed.",
	Inputs:  []fn.Slot{{Name: "source", Kinds: []media.Kind{media.Video, media.Audio, media.Image}, Min: 1, Max: 1, Help: "any media"}},
	Purity:  fn.Exact,
	Timeout: fn.Timeout{Base: time.Minute, Factor: 20},
}

type probeParams struct {
	Level  string `json:"level" default:"stream" enum:"stream,gop,frame" help:"stream = streams only; gop = also entry points and timestamp oddities, as far as the container's index tells; frame = also every frame's time, duration, size, key flag and type as far as known"`
	Count  bool   `json:"count" default:"false" help:"at level gop, count every frame also where the container's index names entry points without it (Matroska): the whole file is read"`
	Decode bool   `json:"decode" default:"false" help:"also decode what only decoding tells: picture types at level frame, field order, HDR data kept in the pictures"`
}

// maxFrames bounds a frame list in facts: about 60 bytes of JSON each.
const maxFrames = 2_000_000

// ProbeFacts is the facts object of inspect.probe: media.Info, and answers
// that flows and people ask for most, derived from it.
type ProbeFacts struct {
	*media.Info
	HasVideo        bool    `json:"has_video"`
	HasAudio        bool    `json:"has_audio"`
	DisplayWidth    int     `json:"display_width,omitempty"`    // as a viewer sees it: square pixels, upright
	DisplayHeight   int     `json:"display_height,omitempty"`   // as a viewer sees it
	ResolutionClass string  `json:"resolution_class,omitempty"` // 480, 540, 720, 1080, 2k, 4k, 8k
	BitsPerPixel    float64 `json:"bits_per_pixel,omitempty"`   // that the pictures take a pixel and frame
	BitRateClass    string  `json:"bit_rate_class,omitempty"`   // low, normal or high, by it
	VideoDuration   float64 `json:"video_duration,omitempty"`   // seconds of the main picture track
	AudioDuration   float64 `json:"audio_duration,omitempty"`   // seconds of the longest sound track
}

// Probe returns inspect.probe. Each tool may be nil: then what only that tool
// can read is Unsupported.
func Probe(ff *ffmpeg.Tool, pool *engine.Pool) fn.Function {
	return fn.Define(probeSpec, fn.Body[probeParams]{
		Price: priceProbe,
		Run: func(ctx fn.Context, call *fn.Call, p *probeParams) (*fn.Result, error) {
			return runProbe(ctx, ff, pool, call, p)
		},
	})
}

// priceProbe: tables are read in milliseconds, which is no core to count;
// decoding runs at about 500
// million pixels a second.
func priceProbe(p *probeParams, inputs []*media.Info) fn.Price {
	price := fn.Price{CPUSeconds: 0.2, Memory: 64 << 20}
	if p.Level != "stream" {
		price.CPUSeconds = 1
	}
	if !p.Decode || p.Level != "frame" {
		return price
	}
	price.CPUSeconds, price.Memory, price.Cores = 30, 512<<20, 1
	if len(inputs) > 0 && inputs[0] != nil && inputs[0].MainVideo() != nil {
		v := inputs[0].MainVideo()
		rate := v.AvgRate.Float()
		if rate <= 0 {
			rate = 30
		}
		price.CPUSeconds = 1 + inputs[0].Duration*rate*float64(v.Width)*float64(v.Height)/500e6
	}
	return price
}

// wanted is what a level needs to know.
func wanted(p *probeParams) source.Want {
	return source.Want{
		Index:  p.Level == "gop",
		Keys:   p.Level == "frame" || p.Level == "gop" && p.Count,
		Frames: p.Level == "frame",
		Types:  p.Level == "frame" && p.Decode,
		Probe:  p.Decode,
	}
}

func runProbe(ctx fn.Context, ff *ffmpeg.Tool, pool *engine.Pool, call *fn.Call, p *probeParams) (*fn.Result, error) {
	began := time.Now()
	info, err := source.Facts(ctx, ff, pool, call.In("source"), wanted(p))
	if err != nil {
		return nil, err
	}
	info = trim(info, p.Level)
	for i := range info.Video {
		if n := len(info.Video[i].FrameList); n > maxFrames {
			return nil, &errs.Error{Kind: errs.TooLarge, Op: "inspect.probe", Field: "params.level", Msg: "the video has more frames than a list may hold"}
		}
	}
	raw, err := json.Marshal(factsOf(info))
	if err != nil {
		return nil, errs.New(errs.Internal, "inspect.probe", "encode facts: %w", err)
	}
	call.Report(fn.Progress{Done: 1})
	return &fn.Result{Facts: raw, Usage: fn.Usage{WallSeconds: time.Since(began).Seconds(), InputDuration: info.Duration}}, nil
}

// trim takes away what the level does not ask for, so that the same call gives
// the same facts whatever was known before.
func trim(info *media.Info, level string) *media.Info {
	if level == "frame" {
		return info
	}
	out := *info
	out.Video = append([]media.VideoStream(nil), info.Video...)
	for i := range out.Video {
		v := &out.Video[i]
		v.FrameList = nil
		if level == "stream" && v.GOP != nil {
			g := *v.GOP
			g.Keys = nil
			v.GOP = &g
		}
	}
	return &out
}

// factsOf derives the common answers.
func factsOf(info *media.Info) ProbeFacts {
	f := ProbeFacts{Info: info, HasAudio: info.HasAudio()}
	for i := range info.Audio {
		f.AudioDuration = max(f.AudioDuration, info.Audio[i].Duration)
	}
	if v := info.MainVideo(); v != nil {
		f.HasVideo, f.ResolutionClass, f.VideoDuration = true, v.ResolutionClass(), v.Duration
		f.DisplayWidth, f.DisplayHeight = v.DisplaySize()
		f.BitsPerPixel, f.BitRateClass = info.BitsPerPixel(), info.BitRateClass()
	} else if im := info.Image; im != nil {
		f.DisplayWidth, f.DisplayHeight = im.Width, im.Height
		if im.Orientation >= 5 { // EXIF 5–8 lie on their side
			f.DisplayWidth, f.DisplayHeight = im.Height, im.Width
		}
	}
	return f
}
