package matroska

import (
	"fmt"
	"math"
	"strings"

	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/container/codec"
	"github.com/mediafn/mediafn/tools/container/timeline"
)

// info assembles the facts.
func (s *segment) info() (*media.Info, error) {
	i := &media.Info{Kind: media.Video, Format: "matroska", Mime: "video/x-matroska", Size: s.r.Size(), Tags: s.tags, Chapters: s.chapters}
	if s.doc == "webm" {
		i.Format, i.Mime = "webm", "video/webm"
	}
	i.Seekable = new(len(s.cues) > 0 && s.cuesHold())
	start := math.Inf(1)
	for n, t := range s.tracks {
		if t.begun {
			start = min(start, s.timebase().Seconds(t.first)-float64(t.delay)/1e9)
		}
		switch t.kind {
		case kindVideo:
			v, err := s.videoStream(n, t)
			if err != nil {
				return nil, err
			}
			i.Video = append(i.Video, v)
		case kindAudio:
			i.Audio = append(i.Audio, s.audioStream(n, t))
		default:
			o := media.OtherStream{Index: n, Type: "data", Codec: t.codecName(), Language: s.language(t), Tags: s.trackTags(t)}
			if t.kind == kindSubtitle {
				o.Type = "subtitle"
			}
			i.Other = append(i.Other, o)
		}
	}
	for n, a := range s.attached {
		if strings.HasPrefix(a.mime, "image/jpeg") || strings.HasPrefix(a.mime, "image/png") {
			i.Video = append(i.Video, media.VideoStream{Index: len(s.tracks) + n, Attached: true, TimeBase: media.Rational{Num: 1, Den: 90000},
				Codec: map[bool]string{true: "png", false: "mjpeg"}[a.mime == "image/png"], Tags: map[string]string{"filename": a.name, "mimetype": a.mime}})
			continue
		}
		i.Other = append(i.Other, media.OtherStream{Index: len(s.tracks) + n, Type: "attachment", Tags: map[string]string{"filename": a.name, "mimetype": a.mime}})
	}
	if !math.IsInf(start, 0) {
		i.StartTime = start
	}
	if s.duration > 0 && s.duration < 1e15 {
		i.Duration = s.duration * float64(s.scale) / 1e9
	} else if s.scanned {
		for _, t := range s.tracks {
			if t.seen {
				i.Duration = max(i.Duration, s.timebase().Seconds(t.last)-i.StartTime)
			}
		}
	}
	if i.Duration > 0 {
		i.BitRate = int64(float64(i.Size) * 8 / i.Duration)
	}
	if i.MainVideo() == nil && len(i.Audio) > 0 {
		i.Kind = media.Audio
		i.Mime = strings.Replace(i.Mime, "video/", "audio/", 1)
	}
	i.Warnings = s.warnings
	return i, nil
}

func (s *segment) language(t *track) string {
	if t.lang == "und" {
		return ""
	}
	return t.lang
}

func (s *segment) trackTags(t *track) map[string]string {
	tags := map[string]string{}
	for k, v := range s.byTrack[t.uid] {
		tags[k] = v
	}
	if l := s.language(t); l != "" {
		tags["language"] = l
	}
	if t.name != "" {
		tags["title"] = t.name
	}
	return tags
}

// taggedDuration reads the DURATION statistic muxers write, in seconds, or 0.
func taggedDuration(tags map[string]string) float64 {
	var h, m int
	var sec float64
	if _, err := fmt.Sscanf(tags["DURATION"], "%d:%d:%f", &h, &m, &sec); err != nil || h < 0 || h > 1e6 || m < 0 || sec < 0 {
		return 0
	}
	return float64(h)*3600 + float64(m)*60 + sec
}

// endAsTagged corrects how long the last picture is shown, for which nothing but
// the default duration speaks, a mean where the rate varies. A tag that names no
// time nearby was written for another file.
func endAsTagged(shown []timeline.Sample, end int64) {
	if len(shown) == 0 {
		return
	}
	last := &shown[len(shown)-1]
	if d := end - last.PTS; d > 0 && d <= 2*last.Dur {
		last.Dur = d
	}
}

// claimed is the rate a default duration in nanoseconds stands for.
func claimed(ns int64) media.Rational {
	if ns <= 0 {
		return media.Rational{}
	}
	rate := 1e9 / float64(ns)
	for _, den := range []int64{1, 1001} {
		num := math.Round(rate * float64(den))
		if den == 1001 {
			num = math.Round(num/1000) * 1000
		}
		if num > 0 && math.Abs(math.Round(1e9*float64(den)/num)-float64(ns)) <= 1 {
			return media.Rational{Num: int64(num), Den: den}.Reduce()
		}
	}
	return media.Rational{Num: 1e9, Den: ns}.Reduce()
}

func (s *segment) videoStream(index int, t *track) (media.VideoStream, error) {
	v := t.v
	v.Index, v.ID, v.Codec, v.TimeBase = index, fmt.Sprint(t.number), t.codecName(), s.timebase()
	v.Default, v.Tags = t.isDefault, s.trackTags(t)
	if t.codecID == "V_MS/VFW/FOURCC" && len(t.private) >= 20 {
		v.Tag = string(t.private[16:20])
	}
	var c codec.Config
	var err error
	switch v.Codec {
	case "h264":
		c, err = codec.AVCConfig(t.private)
	case "hevc":
		c, err = codec.HEVCConfig(t.private)
		if h := codec.HEVCConfigHDR(t.private); h != nil && v.HDR == nil {
			v.HDR = h
		}
	case "av1":
		if len(t.private) > 4 {
			c.Params, err = codec.AV1(t.private[4:])
		}
	case "vp9":
		if !t.encoded && len(t.head) > 0 {
			c.Params, err = codec.VP9Frame(t.head)
		}
	case "vp8":
		if !t.encoded && len(t.head) > 0 {
			c.Params, err = codec.VP8Frame(t.head)
		}
	}
	if err != nil {
		s.warn("track %d: %v", t.number, err)
	}
	if t.encoded {
		c.LengthSize = 0
	}
	s.shape(t, &v)
	c.Params.Apply(&v)
	if v.Color.Transfer == "smpte2084" && v.HDR == nil && c.LengthSize > 0 {
		v.HDR = codec.SampleHDR(v.Codec, t.head, c.LengthSize)
	}
	hint := claimed(t.defaultDur)
	v.Duration = taggedDuration(v.Tags)
	if t.begun {
		v.StartTime = v.TimeBase.Seconds(t.first)
		v.Duration = max(0, v.Duration-v.StartTime) // the tag counts from zero
	}
	if !s.scanned {
		v.FrameRate = hint
		if s.opt.Index {
			v.GOP = s.index(t)
		}
		return v, nil
	}
	shown, reordered := timeline.Order(t.samples)
	endAsTagged(shown, v.TimeBase.Ticks(taggedDuration(v.Tags)))
	closed, err := timeline.CheckKeys(v.Codec, c.LengthSize, shown, s.r.Upto)
	if err != nil {
		return v, err
	}
	timeline.Apply(&v, shown, reordered, s.opt.Frames, s.opt.Keys, hint, c.FrameRate)
	if v.GOP != nil {
		v.GOP.Closed = closed
	}
	return v, nil
}

// shape derives the sample aspect ratio from the display size.
func (s *segment) shape(t *track, v *media.VideoStream) {
	w, h := t.v.Width-t.crop[2]-t.crop[3], t.v.Height-t.crop[0]-t.crop[1]
	if w <= 0 || h <= 0 || t.unit > 3 {
		return
	}
	dw, dh := t.display[0], t.display[1]
	if dw == 0 && t.unit == 0 {
		dw = w
	}
	if dh == 0 && t.unit == 0 {
		dh = h
	}
	if dw > 0 && dh > 0 {
		v.SAR = media.Rational{Num: int64(dw) * int64(h), Den: int64(dh) * int64(w)}.Reduce()
	}
}

func (s *segment) audioStream(index int, t *track) media.AudioStream {
	a := t.a
	a.Index, a.ID, a.Codec, a.TimeBase = index, fmt.Sprint(t.number), t.codecName(), s.timebase()
	a.Default, a.Language, a.Tags = t.isDefault, s.language(t), s.trackTags(t)
	if a.Codec == "aac" {
		if c, err := codec.AAC(t.private); err == nil {
			a.Profile = c.Profile
			if c.SampleRate > 0 {
				a.SampleRate = c.SampleRate
			}
			if c.Channels > 0 {
				a.Channels = c.Channels
			}
		}
	}
	if a.Channels == 0 {
		a.Channels = 1 // the format's default
	}
	if a.SampleRate == 0 {
		a.SampleRate = 8000
	}
	if a.Channels <= 2 || a.Codec == "aac" || a.Codec == "opus" || a.Codec == "vorbis" {
		a.Layout = codec.Layout(a.Channels)
	}
	end := taggedDuration(a.Tags)
	if t.begun {
		a.StartTime = s.timebase().Seconds(t.first) - float64(t.delay)/1e9
	}
	if t.seen && end == 0 {
		end = s.timebase().Seconds(t.last)
	}
	if end > a.StartTime {
		a.Duration = end - max(a.StartTime, 0)
		if s.scanned {
			a.BitRate = int64(float64(t.bytes) * 8 / a.Duration)
		}
	}
	return a
}
