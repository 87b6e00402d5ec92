package render

import (
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/encode"
)

// sound.go: what lies beside the pictures, and the container.

// soundArgs map and encode every sound track.
func (o Order) soundArgs(p *plan) {
	s := o.Params.Sound()
	if !o.Info.HasAudio() || s.Codec == "none" {
		p.Args = append(p.Args, "-an")
		return
	}
	channels := 0
	s.Steady = true
	for _, a := range o.Info.Audio {
		s.Steady = s.Steady && a.Steady != nil && *a.Steady
		from := 0
		if shift := encode.OpusShift(o.container(), o.OpusDelay); s.Codec == "copy" && a.Codec == "opus" && shift != 0 {
			from, p.Again = 1+len(o.Extra), shift
		}
		p.Args = append(p.Args, "-map", itoa(from)+":"+itoa(a.Index))
		channels = max(channels, a.Channels)
	}
	filters := s.Filters()
	if c := o.container(); s.Codec == "opus" && (c == "mkv" || c == "webm") {
		// Matroska's times include the codec's delay of 6.5 ms (RFC 7845 §4.2,
		// Matroska CodecDelay); FFmpeg 5.1 writes the delay and forgets to add it.
		filters = append([]string{"asetpts=PTS+0.0065/TB"}, filters...)
	}
	if o.Filled {
		filters = append(filters, o.fill()...)
	}
	if len(filters) > 0 {
		p.Args = append(p.Args, "-af", strings.Join(filters, ","))
	}
	p.Args = append(p.Args, s.Args(channels)...)
}

// fill are the filters that lengthen or cut sound to where the pictures are.
func (o Order) fill() []string {
	v := o.Info.MainVideo()
	first, length := v.TimeBase.Seconds(o.first(v))-o.origin(), v.Duration
	if t := v.Timing; t != nil {
		length = v.TimeBase.Seconds(t.LastPTS + t.LastDur - t.FirstPTS)
	}
	filters := []string{"asetpts=PTS-(" + float(first) + ")/TB", "aresample=first_pts=0"}
	if length > 0 {
		filters = append(filters, "apad=whole_dur="+float(length), "atrim=end="+float(length))
	}
	return append(filters, "asetpts=PTS+("+float(first)+")/TB")
}

// sound is a slice of all sound tracks, whole length, in an mp4 file on the
// source's time line.
func (o Order) sound() (*plan, error) {
	if !o.Info.HasAudio() || o.Params.AudioCodec == "none" {
		return nil, errs.New(errs.Invalid, "video", "there is no sound to render")
	}
	if err := o.copyable(); err != nil {
		return nil, err
	}
	p := &plan{Copyts: true, Output: "sound.m4a", Length: o.Info.Duration}
	p.Args = append(p.Args, "-vn", "-sn", "-dn")
	o.soundArgs(p)
	p.Args = append(p.Args, "-map_chapters", "-1", "-threads:a", itoa(max(o.Threads, 1)))
	p.Args = append(p.Args, o.muxer(p)...)
	return p, nil
}

// copyable refuses to copy sound the container does not take.
func (o Order) copyable() error {
	if o.Params.AudioCodec != "copy" {
		return nil
	}
	for _, codec := range soundCodecs(o.Info) {
		if err := encode.CheckCopy(codec, o.Params.Format); err != nil {
			return err
		}
	}
	if o.Part != nil && soundMuxer("copy", o.Info) == "" {
		return &errs.Error{Kind: errs.Unsupported, Op: "video", Field: "params.audio_codec", Msg: "this sound cannot be copied beside slices"}
	}
	return nil
}

func soundCodecs(info *media.Info) (all []string) {
	for _, a := range info.Audio {
		all = append(all, a.Codec)
	}
	return all
}

// subtitles keeps the tracks the container can carry, and the fonts of styled
// ones.
func (o Order) subtitles(p *plan) {
	kept := 0
	for _, t := range o.Info.Other {
		written := encode.Subtitle(t.Codec, o.Params.Format)
		switch {
		case t.Type == "subtitle" && written != "":
			p.Args = append(p.Args, "-map", "0:"+itoa(t.Index), "-c:s:"+itoa(kept), written)
			kept++
		case t.Type == "attachment" && o.Params.Format == "mkv":
			p.Args = append(p.Args, "-map", "0:"+itoa(t.Index), "-c:t", "copy")
		}
	}
	if kept == 0 {
		p.Args = append(p.Args, "-sn")
	}
}

// soundMuxer is mp4 but for what only QuickTime names; empty where copied
// tracks fit neither.
func soundMuxer(codec string, info *media.Info) string {
	switch codec {
	case "pcm", "vorbis":
		return "mov"
	case "copy":
		return encode.SoundSlice(soundCodecs(info))
	}
	return "mp4"
}
