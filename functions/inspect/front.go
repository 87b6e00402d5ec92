package inspect

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/container/splice"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// front.go: inspect.front says what the beginning of a video tells.

var frontSpec = fn.Spec{
	Name:    "inspect.front",
	Version: "1",
	Summary: "Facts of a video by its first bytes",
	Doc: "Reads the first 4 MiB of a video that has no index and says what is in it, as inspect.probe does, for one that is still arriving. Its duration and bit rate are " +
		"estimates: as if the rest were like the beginning, where the header does not say. A file that can't be entered on its way, without an index, is unsupported.",
	Inputs:  []fn.Slot{{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "the video"}},
	Purity:  fn.Exact,
	Timeout: fn.Timeout{Base: time.Minute, Factor: 20},
	Hidden:  true,
}

type frontParams struct{}

// FrontFacts is the facts object of inspect.front.
type FrontFacts struct {
	ProbeFacts
	Front bool `json:"front"` // always true
}

// Front returns inspect.front. Without ffmpeg the function loads but refuses.
func Front(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, frontSpec), fn.Body[frontParams]{
		Price: func(*frontParams, []*media.Info) fn.Price { return fn.Price{CPUSeconds: 0.5, Memory: 64 << 20} },
		Run: func(ctx fn.Context, call *fn.Call, _ *frontParams) (*fn.Result, error) {
			return runFront(ctx, ff, call)
		},
	})
}

func runFront(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call) (*fn.Result, error) {
	began := time.Now()
	in := call.In("source")
	if _, err := splice.Open(in.Data, in.Size, in.Format); err != nil {
		return nil, err
	}
	front, err := begin(call, in)
	if err != nil {
		return nil, err
	}
	told, err := source.Facts(ctx, ff, nil, front, source.Want{Keys: true, Probe: true})
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(FrontFacts{factsOf(likely(told, in.Size, front.Size)), true})
	if err != nil {
		return nil, errs.New(errs.Internal, "inspect.front", "encode facts: %w", err)
	}
	return &fn.Result{Facts: raw, Usage: fn.Usage{WallSeconds: time.Since(began).Seconds()}}, nil
}

// begin is the beginning of in as a file of its own.
func begin(call *fn.Call, in *fn.Input) (*fn.Input, error) {
	b := make([]byte, min(in.Size, arrival.Front))
	if n, err := in.Data.ReadAt(b, 0); n < len(b) && err != io.EOF {
		return nil, errs.Wrap("inspect.front", err)
	}
	path := filepath.Join(call.Dir, "front")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return nil, errs.New(errs.Transient, "inspect.front", "%w", err)
	}
	front := *in
	front.Location, front.Port, front.Skip, front.Info = path, 0, nil, nil
	front.Data, front.Size = io.NewSectionReader(in.Data, 0, int64(len(b))), int64(len(b))
	return &front, nil
}

// likely is what of a file's beginning may be said of the whole, which has size bytes.
func likely(told *media.Info, size, front int64) *media.Info {
	info := *told
	info.Size, info.Seekable, info.Warnings = size, nil, nil
	info.Video, info.Audio = slices.Clone(told.Video), slices.Clone(told.Audio)
	v := info.MainVideo()
	if v == nil || v.Timing == nil {
		return &info
	}
	length := v.TimeBase.Seconds(v.Timing.LastPTS + v.Timing.LastDur - v.Timing.FirstPTS)
	// Matroska's header may know: then it is more than what is there.
	if known := told.Format == "matroska" || told.Format == "webm"; !known || told.Duration < length+1 {
		info.Duration = length * float64(size) / float64(front)
	}
	info.BitRate = 0
	if info.Duration > 0 {
		info.BitRate = int64(float64(size) * 8 / info.Duration)
	}
	v.Timing = &media.Timing{FirstPTS: v.Timing.FirstPTS}
	for i := range info.Video {
		s := &info.Video[i]
		s.Frames, s.Duration, s.BitRate, s.GOP, s.FrameList = 0, 0, 0, nil, nil
	}
	for i := range info.Audio {
		info.Audio[i].Duration, info.Audio[i].Samples = 0, 0
	}
	return &info
}
