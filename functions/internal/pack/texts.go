package pack

import (
	"context"
	"fmt"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// texts.go: subtitles, as WebVTT.

const mimeText = "text/vtt"

// text is one track: a file, not cut into segments.
type text struct {
	spoken
	path  string // relative, without an extension
	bytes int64
}

// texts writes those subtitles of a source that are text, on the package's time line.
func (p *packing) texts(ctx context.Context) error {
	if p.Source == nil || p.Info.MainVideo() == nil {
		return nil
	}
	in, v := p.Source, p.Info.MainVideo()
	open, err := source.Open(in).Args()
	if err != nil {
		return err
	}
	first := v.StartTime
	if v.Timing != nil {
		first = v.TimeBase.Seconds(v.Timing.FirstPTS)
	}
	job := ffmpeg.Job{Args: append([]string{"-copyts"}, open...), Dir: p.Dir, WritePaths: []string{p.Dir}, Stall: 5 * time.Minute}
	source.Grant(&job, in)
	for _, o := range p.Info.Other {
		// What WebM takes as WebVTT is text.
		if written := encode.Subtitle(o.Codec, "webm"); o.Type != "subtitle" || written == "" {
			continue
		}
		one := text{spoken: called(len(p.subtitles), o.Language, o.Tags["title"], "Subtitles", func(label string) bool {
			return slices.ContainsFunc(p.subtitles, func(other text) bool { return other.label == label })
		})}
		one.path = "subtitles/" + one.name
		job.Args = append(job.Args, "-map", "0:"+strconv.Itoa(o.Index), "-c:s", "webvtt", "-output_ts_offset", strconv.FormatFloat(-first, 'f', -1, 64),
			"-f", "webvtt", "file:"+p.file(one.path+".vtt"))
		p.subtitles = append(p.subtitles, one)
	}
	if len(p.subtitles) == 0 {
		return nil
	}
	if err := os.MkdirAll(p.file("subtitles"), 0o700); err != nil {
		return errs.As(errs.Transient, op, err)
	}
	if _, err := p.FFmpeg.Run(ctx, job); err != nil {
		return errs.Wrap("subtitles", err)
	}
	for i := range p.subtitles {
		s := &p.subtitles[i]
		st, err := os.Stat(p.file(s.path + ".vtt"))
		if err != nil {
			return errs.As(errs.Internal, op, err)
		}
		s.bytes = st.Size()
		p.output(&p.files, s.path+".vtt", mimeText)
	}
	return nil
}

// list is a subtitle track's playlist: one segment, as long as all.
func (s text) list(total float64) string {
	return fmt.Sprintf("%s#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:%.6f,\n%s.vtt\n#EXT-X-ENDLIST\n",
		hlsHead, max(int(math.Round(total)), 1), total, path.Base(s.path))
}

// media is a subtitle track's line in the master playlist.
func (s text) media() string {
	lang := ""
	if s.lang != "" {
		lang = `,LANGUAGE="` + s.lang + `"`
	}
	return fmt.Sprintf("#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subtitles\",NAME=\"%s\"%s,DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI=\"%s.m3u8\"\n", quoted(s.label), lang, s.path)
}

// set is a subtitle track's part of the MPD.
func (s text) set(id int, total float64) adaptationSet {
	return adaptationSet{ID: id, ContentType: "text", Lang: s.lang, Label: s.label, Role: &property{"urn:mpeg:dash:role:2011", "subtitle"},
		Tracks: []representation{{ID: "subtitles-" + s.name, Mime: mimeText, Bandwidth: s.rate(total), BaseURL: s.path + ".vtt"}}}
}

func (s text) rate(total float64) int64 {
	return int64(math.Ceil(float64(s.bytes) * 8 / max(total, 1)))
}
