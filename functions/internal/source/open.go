// Package source is how functions look at their inputs: what a child process
// may open, and what is known or can be found out about the media.
package source

import (
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/ffmpeg"
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
