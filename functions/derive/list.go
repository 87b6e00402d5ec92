package derive

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

const keyFile = "keys.txt"

// listArgs is the command line that decodes the picture track v and prints
// every frame's timestamp, and those of keyframes into keyFile.
func listArgs(v *media.VideoStream, in ffmpeg.Input) ([]string, error) {
	in.Extra = append(in.Extra, "-threads", "1")
	open, err := in.Args()
	if err != nil {
		return nil, err
	}
	graph := sprintf("[0:%d]metadata=mode=add:key=shot:value=1,split[all][some];[all]metadata=mode=print:file=-,nullsink;"+
		"[some]select=key,metadata=mode=print:file=%s[keys]", v.Index, keyFile)
	return append(append([]string{"-copyts", "-filter_threads", "1"}, open...),
		"-filter_complex", graph, "-map", "[keys]", "-fps_mode", "passthrough", "-f", "null", "-"), nil
}

// listFrames fills in the frame list of info's picture track by decoding it:
// for containers whose packets bear no presentation times (AVI).
func listFrames(ctx context.Context, ff *ffmpeg.Tool, call *fn.Call, in *fn.Input, info *media.Info) error {
	v := info.MainVideo()
	args, err := listArgs(v, source.Open(in))
	if err != nil {
		return err
	}
	var all stampReader
	job := ffmpeg.Job{Args: args, Dir: call.Dir, WritePaths: []string{call.Dir}, Stdout: &all, Tolerant: true}
	source.Grant(&job, in)
	if _, err := ff.Run(ctx, job); err != nil {
		return err
	}
	path := filepath.Join(call.Dir, keyFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return errs.New(errs.Internal, "derive.frames", "%w", err)
	}
	_ = os.Remove(path)
	var keys stampReader
	_, _ = keys.Write(raw)
	v.FrameList = nil
	for _, pts := range all.PTS {
		_, key := slices.BinarySearch(keys.PTS, pts)
		v.FrameList = append(v.FrameList, media.Frame{PTS: pts, Key: key})
	}
	return nil
}

// enterable is info without the frames before its first keyframe, where the
// container has no index: a recording cut out of a transmission begins in the
// middle, and what refers to pictures before it does not decode.
func enterable(info *media.Info) *media.Info {
	v := info.MainVideo()
	first := slices.IndexFunc(v.FrameList, func(f media.Frame) bool { return f.Key })
	if first <= 0 || info.Seekable != nil && *info.Seekable {
		return info
	}
	out := *info
	out.Video = slices.Clone(info.Video)
	v = out.MainVideo()
	v.FrameList = v.FrameList[first:]
	return &out
}
