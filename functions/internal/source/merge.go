package source

import (
	"slices"

	"github.com/mediafn/mediafn/core/media"
)

// Merge fills what base does not say from more, which another reader found out
// about the same file. What base says stands: it was read from the container's
// own tables. Neither is changed.
func Merge(base, more *media.Info) *media.Info {
	if base == nil {
		return more
	}
	if more == nil {
		return base
	}
	out := *base
	fill(&out.Kind, more.Kind)
	fill(&out.Format, more.Format)
	fill(&out.Mime, more.Mime)
	fill(&out.Size, more.Size)
	fill(&out.Duration, more.Duration)
	fill(&out.BitRate, more.BitRate)
	fill(&out.FastStart, more.FastStart)
	fill(&out.Fragment, more.Fragment)
	fill(&out.Seekable, more.Seekable)
	fill(&out.Image, more.Image)
	if len(out.Tags) == 0 {
		out.Tags = more.Tags
	}
	if len(out.Chapters) == 0 {
		out.Chapters = more.Chapters
	}
	out.Video, out.Audio = slices.Clone(base.Video), slices.Clone(base.Audio)
	for i := range out.Video {
		if j := slices.IndexFunc(more.Video, func(v media.VideoStream) bool { return v.Index == out.Video[i].Index }); j >= 0 {
			mergeVideo(&out.Video[i], &more.Video[j])
		}
	}
	for i := range out.Audio {
		if j := slices.IndexFunc(more.Audio, func(a media.AudioStream) bool { return a.Index == out.Audio[i].Index }); j >= 0 {
			mergeAudio(&out.Audio[i], &more.Audio[j])
		}
	}
	if len(base.Video)+len(base.Audio) == 0 {
		out.Video, out.Audio, out.Other = more.Video, more.Audio, more.Other
		out.StartTime = more.StartTime
	}
	out.Warnings = slices.Clone(base.Warnings)
	for _, w := range more.Warnings {
		if !slices.Contains(out.Warnings, w) {
			out.Warnings = append(out.Warnings, w)
		}
	}
	return &out
}

func mergeVideo(v, m *media.VideoStream) {
	fill(&v.ID, m.ID)
	fill(&v.Codec, m.Codec)
	fill(&v.Tag, m.Tag)
	fill(&v.Profile, m.Profile)
	fill(&v.Level, m.Level)
	if v.Width == 0 || v.Height == 0 {
		v.Width, v.Height = m.Width, m.Height
	}
	known(&v.SAR, m.SAR)
	fill(&v.PixelFormat, m.PixelFormat)
	fill(&v.BitDepth, m.BitDepth)
	fill(&v.FieldOrder, m.FieldOrder)
	fill(&v.Color.Range, m.Color.Range)
	fill(&v.Color.Primaries, m.Color.Primaries)
	fill(&v.Color.Transfer, m.Color.Transfer)
	fill(&v.Color.Matrix, m.Color.Matrix)
	fill(&v.Color.ChromaLoc, m.Color.ChromaLoc)
	fill(&v.HDR, m.HDR)
	if !v.TimeBase.Known() {
		v.TimeBase, v.StartTime = m.TimeBase, m.StartTime
	}
	known(&v.AvgRate, m.AvgRate)
	if !v.FrameRate.Known() && v.VFR == nil {
		v.FrameRate, v.VFR = m.FrameRate, m.VFR
	}
	fill(&v.Frames, m.Frames)
	fill(&v.Duration, m.Duration)
	fill(&v.BitRate, m.BitRate)
	fill(&v.BFrames, m.BFrames)
	if len(v.Tags) == 0 {
		v.Tags = m.Tags
	}
	// Ticks mean something in their own time base only.
	if v.TimeBase != m.TimeBase {
		return
	}
	fill(&v.Timing, m.Timing)
	fill(&v.GOP, m.GOP)
	if v.GOP != nil && len(v.GOP.Keys) == 0 && m.GOP != nil && len(m.GOP.Keys) > 0 {
		v.GOP = m.GOP
	}
	mergeFrames(v, m)
}

// mergeFrames takes m's list where v has none, else only the picture types v
// does not know, by timestamp.
func mergeFrames(v, m *media.VideoStream) {
	if len(v.FrameList) == 0 {
		v.FrameList = m.FrameList
		return
	}
	types := make(map[int64]string, len(m.FrameList))
	for _, f := range m.FrameList {
		if f.Type != "" {
			types[f.PTS] = f.Type
		}
	}
	if len(types) == 0 {
		return
	}
	v.FrameList = slices.Clone(v.FrameList)
	for i := range v.FrameList {
		if v.FrameList[i].Type == "" {
			v.FrameList[i].Type = types[v.FrameList[i].PTS]
		}
	}
}

func mergeAudio(a, m *media.AudioStream) {
	fill(&a.ID, m.ID)
	fill(&a.Codec, m.Codec)
	fill(&a.Profile, m.Profile)
	fill(&a.SampleRate, m.SampleRate)
	fill(&a.Channels, m.Channels)
	fill(&a.Layout, m.Layout)
	fill(&a.BitDepth, m.BitDepth)
	if !a.TimeBase.Known() {
		a.TimeBase, a.StartTime = m.TimeBase, m.StartTime
	}
	fill(&a.Duration, m.Duration)
	fill(&a.Samples, m.Samples)
	fill(&a.BitRate, m.BitRate)
	fill(&a.Language, m.Language)
	if len(a.Tags) == 0 {
		a.Tags = m.Tags
	}
}

// fill sets dst where it holds nothing.
func fill[T comparable](dst *T, from T) {
	var none T
	if *dst == none {
		*dst = from
	}
}

func known(dst *media.Rational, from media.Rational) {
	if !dst.Known() {
		*dst = from
	}
}
