// Package assemble holds the functions from parts to a whole: merging slices,
// joining and muxing tracks by copy, and proving that the whole is what was
// promised. Nothing here decodes or encodes pictures or sound, except to look.
package assemble

import (
	"fmt"
	"strconv"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// file is a kind of container a result is written as.
type file struct {
	container string
	muxer     string
	name      string // under which the result is stored
	mime      string
	fonts     bool // holds attachments
}

// files are the containers of fn.Assembly.
var files = map[string]file{
	"mp4":  {container: "mp4", muxer: "mp4", name: "video.mp4", mime: "video/mp4"},
	"mov":  {container: "mov", muxer: "mov", name: "video.mov", mime: "video/quicktime"},
	"mkv":  {container: "mkv", muxer: "matroska", name: "video.mkv", mime: "video/x-matroska", fonts: true},
	"webm": {container: "webm", muxer: "webm", name: "video.webm", mime: "video/webm"},
}

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
		// FFmpeg 5.1 calls FLAC in mp4 experimental.
		args = append(args, "-strict", "experimental", "-movflags", "+faststart")
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
// source, which is input number from: chapters, tags, subtitles, fonts, as far
// as a wants them. left lists what the container cannot hold.
func (f file) extras(origin *media.Info, from int, a fn.Assembly) (args, left []string) {
	n := strconv.Itoa(from)
	args = []string{"-map_metadata", n, "-map_chapters", n}
	if a.DropTags {
		args = []string{"-map_metadata", "-1", "-map_chapters", "-1"}
	}
	if v := origin.MainVideo(); v != nil && v.Tags["language"] != "" {
		args = append(args, "-metadata:s:v:0", "language="+v.Tags["language"])
	}
	kept := 0
	for _, o := range origin.Other {
		written := encode.Subtitle(o.Codec, f.container)
		switch {
		case a.DropSubtitles:
		case o.Type == "subtitle" && written != "":
			args = append(args, "-map", n+":"+strconv.Itoa(o.Index), "-c:s:"+strconv.Itoa(kept), written)
			kept++
		case o.Type == "attachment" && f.fonts:
			args = append(args, "-map", n+":"+strconv.Itoa(o.Index))
		case o.Type == "subtitle" || o.Type == "attachment":
			left = append(left, o.Type+" "+o.Codec)
		}
	}
	return args, left
}

// heard is a file whose sound tracks are copied.
type heard struct {
	info *media.Info
	in   *fn.Input
}

func soundOf(ctx fn.Context, ff *ffmpeg.Tool, in *fn.Input) (heard, error) {
	info, err := source.Facts(ctx, ff, nil, in, source.Want{})
	return heard{info, in}, err
}

// shift is by how many seconds the file's Opus tracks must be moved to stay in
// their place in a container; 0 if there are none.
func (h heard) shift(container string) float64 {
	for i := range h.info.Audio {
		if h.info.Audio[i].Codec == "opus" && h.in.Data != nil {
			return encode.OpusShift(container, encode.OpusDelay(h.in.Data, h.in.Size))
		}
	}
	return 0
}

// tracks opens a file whose sound is copied as input number next, moved by
// offset seconds, and maps every sound track of it. Opus tracks that must be
// moved come from the file opened once more. n is how many inputs that made.
func (h heard) tracks(container string, next int, offset float64, open []string) (args, maps []string, n int) {
	moved := func(by float64) {
		if by += offset; by != 0 {
			args = append(args, "-itsoffset", fmt.Sprintf("%.6f", by))
		}
		args = append(args, open...)
		n++
	}
	moved(0)
	shift := h.shift(container)
	if shift != 0 {
		moved(shift)
	}
	for i := range h.info.Audio {
		from := next
		if shift != 0 && h.info.Audio[i].Codec == "opus" {
			from++
		}
		maps = append(maps, "-map", fmt.Sprintf("%d:%d", from, h.info.Audio[i].Index))
	}
	return args, maps, n
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
