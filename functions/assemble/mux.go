package assemble

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// mux.go: assemble.mux puts pictures and sound into one file.

var muxSpec = fn.Spec{
	Name:    "assemble.mux",
	Version: "1",
	Summary: "Put a video and sound tracks into one file, by copy",
	Doc: "Copies the first picture track of the video and every sound track given, each on its own time line, without encoding. Tags, chapters and subtitles " +
		"come from the video. A codec the container cannot hold is unsupported.",
	Inputs: []fn.Slot{
		{Name: "video", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "the pictures"},
		{Name: "sound", Kinds: []media.Kind{media.Audio, media.Video}, Help: "files whose sound tracks are added, in order"},
	},
	Outputs: []fn.Slot{{Name: "video", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "both together"}},
	Purity:  fn.Exact,
	Timeout: fn.Timeout{Base: 2 * time.Minute, Factor: 20},
}

type muxParams struct {
	Container string  `json:"container" default:"auto" enum:"auto,mp4,mov,mkv,webm" help:"auto = that of the video where results are written as that, else mkv"`
	KeepSound bool    `json:"keep_sound" default:"false" help:"keep the video's own sound, before what is added"`
	Offset    float64 `json:"offset" default:"0" min:"-3600" max:"3600" unit:"s" help:"how much later the added sound starts than its own timestamps say"`
	Shortest  bool    `json:"shortest" default:"false" help:"end with the shortest track"`
}

// TrackFacts is the facts object of assemble.mux and assemble.concat.
type TrackFacts struct {
	Container string   `json:"container"`
	LeftOut   []string `json:"left_out"` // what the container cannot hold
	Warnings  []string `json:"warnings"` // of the muxer
}

// Mux returns assemble.mux. Without ffmpeg the function loads but refuses.
func Mux(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, muxSpec), fn.Body[muxParams]{
		Price: func(_ *muxParams, inputs []*media.Info) fn.Price { return priceCopy(inputs) },
		Run: func(ctx fn.Context, call *fn.Call, p *muxParams) (*fn.Result, error) {
			return runMux(ctx, ff, call, p)
		},
	})
}

func runMux(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, p *muxParams) (*fn.Result, error) {
	video := call.In("video")
	info, err := source.Facts(ctx, ff, nil, video, source.Want{})
	if err != nil {
		return nil, errs.Wrap("video", err)
	}
	v := info.MainVideo()
	if v == nil {
		return nil, errs.New(errs.Invalid, "video", "there is no picture track")
	}
	container := chosen(p.Container, info.Format)
	out, err := fileOf(container)
	if err != nil {
		return nil, err
	}
	args, left, err := muxArgs(ctx, ff, call, p, info, out)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(call.Dir, out.name)
	job := ffmpeg.Job{Args: append(args, out.args(trackScale(v), path)...), WritePaths: []string{call.Dir}, Dir: call.Dir, Stall: 5 * time.Minute,
		Duration: info.Duration, Progress: progress(call)}
	for i := range call.Inputs {
		source.Grant(&job, &call.Inputs[i])
	}
	stats, err := ff.Run(ctx, job)
	if err != nil {
		return nil, err
	}
	return result(out, path, TrackFacts{Container: container, LeftOut: append([]string{}, left...), Warnings: append([]string{}, stats.Warnings...)}, stats)
}

// muxArgs is the command line up to the options of the output.
func muxArgs(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, p *muxParams, info *media.Info, out file) (args, left []string, err error) {
	in, err := source.Open(call.In("video")).Args()
	if err != nil {
		return nil, nil, err
	}
	args = append([]string{"-copyts"}, in...)
	maps := []string{"-map", fmt.Sprintf("0:%d", info.MainVideo().Index)}
	next := 1
	if p.KeepSound {
		own := heard{info, call.In("video")}
		if own.shift(out.container) != 0 {
			open, tracks, n := own.tracks(out.container, next, 0, in)
			args, maps, next = append(args, open...), append(maps, tracks...), next+n
		} else {
			maps = append(maps, "-map", "0:a?")
		}
	}
	for _, s := range call.All("sound") {
		in, err := source.Open(s).Args()
		if err != nil {
			return nil, nil, err
		}
		added, err := soundOf(ctx, ff, s)
		if err != nil {
			return nil, nil, errs.Wrap("sound", err)
		}
		if len(added.info.Audio) == 0 {
			return nil, nil, errs.New(errs.Invalid, "sound", "there is no sound track")
		}
		open, tracks, n := added.tracks(out.container, next, p.Offset, in)
		args, maps, next = append(args, open...), append(maps, tracks...), next+n
	}
	extras, left := out.extras(info, 0, fn.Assembly{})
	args = append(append(args, maps...), "-c", "copy")
	args = append(args, extras...)
	if p.Shortest {
		args = append(args, "-shortest")
	}
	return args, left, nil
}

// chosen is the container of the result for a source's format.
func chosen(container, format string) string {
	if container != "auto" {
		return container
	}
	if c := containerOf(format); c != "" {
		return c
	}
	return "mkv"
}

// trackScale is the clock of the result's picture track: the source's, where
// it is fine enough to be written.
func trackScale(v *media.VideoStream) int64 {
	if tb := v.TimeBase.Reduce(); tb.Known() && tb.Num == 1 && tb.Den >= 1000 && tb.Den <= 1_000_000 {
		if tb.Den == 1000 {
			return 90_000
		}
		return tb.Den
	}
	return 90_000
}
