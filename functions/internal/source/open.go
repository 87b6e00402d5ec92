// Package source is how functions look at their inputs: what a child process
// may open, and what is known or can be found out about the media.
package source

import (
	"context"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/container"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/sniff"
)

// MaxPixels is the largest picture that is decoded: 16384 × 8192.
const MaxPixels = 16384 * 8192

// Open is in as FFmpeg opens it: with the sniffed demuxer and no other.
func Open(in *fn.Input) ffmpeg.Input {
	o := ffmpeg.Input{Demuxer: in.Demuxer, MaxPixels: MaxPixels}
	if in.Port > 0 {
		o.URL = in.Location
	} else {
		o.Path = in.Location
	}
	return o
}

// Heard is in for a reader of its sound alone: where the tables tell, pictures
// are not fetched.
func Heard(ctx context.Context, in *fn.Input) (*fn.Input, error) {
	format, ok := sniff.FormatByName(in.Format)
	if in.Skip == nil || !ok || format.Demuxer != "mov" {
		return in, nil
	}
	pictures, err := container.Pictures(ctx, in.Data, in.Size, format)
	if errs.Is(err, errs.TooLarge) || errs.Is(err, errs.Invalid) || errs.Is(err, errs.Unsupported) {
		return in, nil // the tool reads it as far as it goes
	}
	if err != nil {
		return nil, err
	}
	ranges := make([]fn.Range, len(pictures))
	for i, p := range pictures {
		ranges[i] = fn.Range{Start: p[0], End: p[1]}
	}
	heard := *in
	heard.Location, err = in.Skip(ranges)
	return &heard, err
}

// Grant lets the job read in and nothing else of the machine.
func Grant(job *ffmpeg.Job, in *fn.Input) {
	if in.Port > 0 {
		job.ConnectPorts = append(job.ConnectPorts, in.Port)
	} else {
		job.ReadPaths = append(job.ReadPaths, in.Location)
	}
}

// Indexed reports whether the source's container says where frames lie.
func Indexed(info *media.Info) bool {
	switch info.Format {
	case "mp4", "mov", "m4v", "m4a", "3gp", "matroska", "mkv", "webm":
		return true
	}
	return false
}

// Shift is what is added to the source's times in a result, in seconds: its
// clock may start anywhere in containers without a beginning, and pictures lie
// before zero in others; the result's starts at zero then. Sound alone before
// zero is what a decoder needs to get going, and moves nothing.
func Shift(info *media.Info) float64 {
	if Indexed(info) {
		if v := info.MainVideo(); info.StartTime >= 0 || v != nil && v.StartTime >= 0 {
			return 0
		}
	}
	return -info.StartTime
}
