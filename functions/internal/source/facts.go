package source

import (
	"context"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/container"
	"github.com/mediafn/mediafn/tools/engine"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/sniff"
)

// Want says what is needed beside the streams' own facts.
type Want struct {
	Index  bool // entry points, as far as the container's index names them
	Keys   bool // GOP with its keys, every one with its frame's number, and Timing
	Frames bool // FrameList; implies Keys
	Types  bool // FrameList with picture types, decoding if need be; implies Frames
	Probe  bool // ask ffprobe even where the container told: what only decoding shows
}

// Has reports whether info answers w for every picture track.
func (w Want) Has(info *media.Info) bool {
	if info == nil {
		return false
	}
	for i := range info.Video {
		v := &info.Video[i]
		if v.Attached {
			continue
		}
		if w.Index && (v.GOP == nil || v.GOP.Count > 0 && len(v.GOP.Keys) == 0) {
			return false
		}
		if (w.Keys || w.Frames || w.Types) && (v.GOP == nil || v.Timing == nil ||
			v.GOP.Count > 0 && (len(v.GOP.Keys) == 0 || v.GOP.MaxLen == 0)) { // an index alone does not say how long GOPs are
			return false
		}
		if (w.Frames || w.Types) && len(v.FrameList) == 0 && v.Frames != 0 {
			return false
		}
		if w.Types && len(v.FrameList) > 0 && !typed(v.FrameList) {
			return false
		}
	}
	return true
}

// fielded reports whether every picture track says in which order its fields
// are shown. H.264 may keep that in its pictures, where the tables are silent.
func fielded(info *media.Info) bool {
	for i := range info.Video {
		if v := &info.Video[i]; v.Codec == "h264" && v.FieldOrder == "" && !v.Attached {
			return false
		}
	}
	return true
}

func typed(frames []media.Frame) bool {
	for i := range frames {
		if frames[i].Type == "" {
			return false
		}
	}
	return true
}

// Facts finds out what in is: from what the call knows already, then from the
// container's tables, and only then from ffprobe. Images are asked of the
// engine. ff or pool may be nil where the tool is missing; then what only that
// tool can read is Unsupported.
func Facts(ctx context.Context, ff *ffmpeg.Tool, pool *engine.Pool, in *fn.Input, want Want) (*media.Info, error) {
	if in.Info != nil && !want.Probe && want.Has(in.Info) {
		return in.Info, nil
	}
	format, ok := sniff.FormatByName(in.Format)
	if !ok {
		return nil, errs.New(errs.Unsupported, "facts", "no reader for format %q", in.Format)
	}
	if format.Kind == media.Image {
		return imageFacts(ctx, pool, in)
	}
	var told *media.Info
	var err error
	if in.Data != nil {
		opt := container.Options{Frames: want.Frames || want.Types, Keys: want.Keys || want.Frames || want.Types, Index: want.Index}
		told, err = container.Read(ctx, in.Data, in.Size, format, opt)
		switch {
		case err == nil && !want.Probe && want.Has(told) && (ff == nil || !want.Keys && !want.Index || fielded(told)):
			return told, nil
		case ctx.Err() != nil:
			return nil, errs.Wrap("facts", context.Cause(ctx))
		case err != nil && !errs.Is(err, errs.Unsupported) && !errs.Is(err, errs.Invalid):
			return nil, err
		}
	}
	if ff == nil {
		if err != nil {
			return nil, err
		}
		if told != nil {
			return told, nil
		}
		return nil, errs.New(errs.Unsupported, "facts", "%s needs ffmpeg, which is missing", in.Format)
	}
	opt := ffmpeg.ProbeOptions{Format: in.Format}
	if told == nil || !want.Has(told) {
		opt.Packets = want.Index || want.Keys || want.Frames || want.Types
		opt.Frames = want.Types
	}
	probed, perr := probe(ctx, ff, in, opt)
	if perr != nil {
		if told != nil && ctx.Err() == nil {
			told.Warnings = append(told.Warnings, "ffprobe: "+perr.Error())
			return told, nil
		}
		return nil, perr
	}
	merged := Merge(told, probed)
	if merged.Size == 0 {
		merged.Size = in.Size
	}
	return merged, nil
}

func probe(ctx context.Context, ff *ffmpeg.Tool, in *fn.Input, opt ffmpeg.ProbeOptions) (*media.Info, error) {
	var job ffmpeg.Job
	Grant(&job, in)
	opt.ReadPaths, opt.ConnectPorts = job.ReadPaths, job.ConnectPorts
	info, err := ff.Probe(ctx, Open(in), opt)
	if err != nil {
		return nil, err
	}
	if info.Mime == "" {
		if f, ok := sniff.FormatByName(info.Format); ok {
			info.Mime = f.Mime
		}
	}
	return info, nil
}
