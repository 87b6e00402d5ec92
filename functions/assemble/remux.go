package assemble

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/remux"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// remux.go: assemble.remux copies a video into a file whose ranges are exact.

var remuxSpec = fn.Spec{
	Name:    "assemble.remux",
	Version: "1",
	Summary: "Copy pictures and sound into an mp4 that can be read by ranges",
	Doc: "Copies the main picture track and every sound track into one mp4 (mov where only that holds the sound), without encoding, at the times a whole run gives its " +
		"result: from zero where the source's clock starts anywhere. The copy is then compared with what was read: every frame's time, the streams' shapes and colours, " +
		"where sound begins. A copy that is not the same, or that the container cannot hold, is no error: failed = true, with the reason, and no file.",
	Inputs:  []fn.Slot{{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "the video"}},
	Outputs: []fn.Slot{{Name: "video", Kinds: []media.Kind{media.Video}, Max: 1, Help: "the copy"}},
	Purity:  fn.Equivalent,
	Timeout: fn.Timeout{Base: 2 * time.Minute, Factor: 20},
	Hidden:  true,
}

type remuxParams struct{}

// Remux returns assemble.remux. Without ffmpeg the function loads but refuses.
func Remux(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, remuxSpec), fn.Body[remuxParams]{
		Price: func(_ *remuxParams, inputs []*media.Info) fn.Price { return priceCopy(inputs) },
		Run: func(ctx fn.Context, call *fn.Call, _ *remuxParams) (*fn.Result, error) {
			return runRemux(ctx, ff, call)
		},
	})
}

func runRemux(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call) (*fn.Result, error) {
	in := call.In("source")
	info, err := source.Facts(ctx, ff, nil, in, source.Want{})
	if err != nil {
		return nil, err
	}
	p, err := remux.Plan(info)
	if err != nil {
		return refused(err)
	}
	out := files[p.Muxer]
	path := filepath.Join(call.Dir, out.name)
	job := ffmpeg.Job{WritePaths: []string{call.Dir}, Dir: call.Dir, Duration: info.Duration, Progress: progress(call)}
	source.Grant(&job, in)
	open := source.Open(in)
	if in.Demuxer == "avi" {
		// AVI stores one time a frame, in decode order; which it is shown at follows from the order.
		open.Extra = append(open.Extra, "-fflags", "+genpts")
	}
	stats, err := p.Run(ctx, ff, job, open, path, &remux.Packets{})
	if err != nil {
		_ = os.Remove(path)
		return refused(err)
	}
	return result(out, path, slice.Remuxed{Shift: p.Shift}, stats)
}

// refused turns what a copy cannot do into an answer; what may succeed another
// time stays an error.
func refused(err error) (*fn.Result, error) {
	if !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.Unsupported) {
		return nil, err
	}
	raw, merr := json.Marshal(slice.Remuxed{Failed: true, Reason: err.Error()})
	if merr != nil {
		return nil, errs.New(errs.Internal, "assemble", "encode facts: %w", merr)
	}
	return &fn.Result{Facts: raw}, nil
}
