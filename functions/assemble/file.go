// Package assemble holds the functions from parts to a whole: merging slices,
// joining and muxing tracks by copy, and proving that the whole is what was
// promised. Nothing here decodes or encodes pictures or sound, except to look.
package assemble

import (
	"strconv"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// file is a kind of container a result is written as.
type file struct {
	muxer string
	name  string // under which the result is stored
	mime  string
	// subtitles maps what a source holds to what is written: "copy", or the
	// encoder that converts the text. What is missing cannot be kept.
	subtitles map[string]string
	fonts     bool // holds attachments
}

// files are the containers of fn.Assembly.
var files = map[string]file{
	"mp4": {muxer: "mp4", name: "video.mp4", mime: "video/mp4", subtitles: timedText},
	"mov": {muxer: "mov", name: "video.mov", mime: "video/quicktime", subtitles: timedText},
	"mkv": {muxer: "matroska", name: "video.mkv", mime: "video/x-matroska", fonts: true, subtitles: map[string]string{
		"subrip": "copy", "ass": "copy", "ssa": "copy", "webvtt": "copy", "hdmv_pgs_subtitle": "copy", "dvd_subtitle": "copy", "dvb_subtitle": "copy", "mov_text": "srt"}},
	"webm": {muxer: "webm", name: "video.webm", mime: "video/webm", subtitles: map[string]string{
		"webvtt": "copy", "subrip": "webvtt", "ass": "webvtt", "ssa": "webvtt", "mov_text": "webvtt"}},
}

var timedText = map[string]string{"mov_text": "copy", "subrip": "mov_text", "ass": "mov_text", "ssa": "mov_text", "webvtt": "mov_text"}

// containerOf names the container of a format; empty if results are not
// written as that.
func containerOf(format string) string {
	switch format {
	case "matroska":
		return "mkv"
	case "m4v", "m4a", "3gp":
		return "mp4"
	}
	if _, ok := files[format]; ok {
		return format
	}
	return ""
}

func fileOf(container string) (file, error) {
	f, ok := files[container]
	if !ok {
		return file{}, errs.New(errs.Unsupported, "assemble", "results are not written as %q", container)
	}
	return f, nil
}

// args are the options that end a command line: times are written as they
// are, counted in 1/scale s where the container lets one choose, and the index
// stands in front.
func (f file) args(scale int64, path string) []string {
	args := []string{"-avoid_negative_ts", "disabled"}
	if f.muxer == "mp4" || f.muxer == "mov" {
		args = append(args, "-movflags", "+faststart")
		if scale > 0 {
			// A late start is written in the movie's clock, so that clock must be
			// as fine as the track's.
			movie := scale
			for movie < 90_000 {
				movie += scale
			}
			args = append(args, "-video_track_timescale", itoa(scale), "-movie_timescale", itoa(movie))
		}
	}
	return append(args, "-f", f.muxer, path)
}

// extras are the options that keep what lies beside picture and sound in the
// source, which is input number from: chapters, tags, subtitles, fonts. left
// lists what the container cannot hold.
func (f file) extras(source *media.Info, from int) (args, left []string) {
	n := strconv.Itoa(from)
	args = []string{"-map_metadata", n, "-map_chapters", n}
	if v := source.MainVideo(); v != nil && v.Tags["language"] != "" {
		args = append(args, "-metadata:s:v:0", "language="+v.Tags["language"])
	}
	kept := 0
	for _, o := range source.Other {
		switch {
		case o.Type == "subtitle" && f.subtitles[o.Codec] != "":
			args = append(args, "-map", n+":"+strconv.Itoa(o.Index), "-c:s:"+strconv.Itoa(kept), f.subtitles[o.Codec])
			kept++
		case o.Type == "attachment" && f.fonts:
			args = append(args, "-map", n+":"+strconv.Itoa(o.Index))
		case o.Type == "subtitle" || o.Type == "attachment":
			left = append(left, o.Type+" "+o.Codec)
		}
	}
	return args, left
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
