package isobmff

import (
	"math"

	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/container/codec"
	"github.com/mediafn/mediafn/tools/container/timeline"
)

// info assembles the facts.
func (m *movie) info() (*media.Info, error) {
	i := &media.Info{Kind: media.Video, Format: "mp4", Mime: "video/mp4", Size: m.r.Size(), Tags: m.tags()}
	i.FastStart = new(m.mdatAt < 0 || m.moovAt < m.mdatAt)
	i.Fragment = new(m.fragmented)
	i.Seekable = new(!m.fragmented || m.indexed)
	chapterTracks := map[uint32]bool{}
	for _, t := range m.tracks {
		for _, id := range t.chapters {
			chapterTracks[id] = true
		}
	}
	start, end := math.Inf(1), 0.0
	seen := func(from, dur float64) {
		if dur > 0 {
			start, end = min(start, from), max(end, from+dur)
		}
	}
	for n, t := range m.tracks {
		switch t.handler {
		case "vide":
			v, err := m.videoStream(n, t)
			if err != nil {
				return nil, err
			}
			seen(v.StartTime, v.Duration)
			i.Video = append(i.Video, v)
		case "soun":
			a := m.audioStream(n, t)
			seen(a.StartTime, a.Duration)
			i.Audio = append(i.Audio, a)
		default:
			o, err := m.otherStream(n, t, chapterTracks[t.id])
			if err != nil {
				return nil, err
			}
			i.Other = append(i.Other, o)
		}
	}
	i.Video = append(i.Video, m.covers(len(m.tracks))...)
	if end > 0 {
		i.StartTime, i.Duration = start, end-start
		i.BitRate = int64(float64(i.Size) * 8 / i.Duration)
	} else if m.timescale > 0 && m.dur > 0 && m.dur < maxTick {
		i.Duration = float64(m.dur) / float64(m.timescale)
	}
	if i.MainVideo() == nil && len(i.Audio) > 0 {
		i.Kind, i.Mime = media.Audio, "audio/mp4"
	}
	var err error
	i.Chapters, err = m.chapters(i.Duration)
	i.Warnings = m.warnings
	return i, err
}

func (t *track) tags() map[string]string {
	tags := map[string]string{}
	for k, v := range map[string]string{"language": t.lang, "handler_name": t.name, "title": t.title} {
		if v != "" {
			tags[k] = v
		}
	}
	return tags
}

func (m *movie) videoStream(index int, t *track) (media.VideoStream, error) {
	v := media.VideoStream{Index: index, ID: hex(t.id), TimeBase: t.timebase(), Default: t.enabled, Tags: t.tags()}
	lengthSize, hint := t.video(&v)
	v.Rotation, v.Flip = t.orientation()
	raw, err := t.raw(m.opt.MaxSamples, m.r.Size())
	if err != nil {
		return v, err
	}
	s, odd, err := t.edited(raw, m.opt.MaxSamples)
	if err != nil {
		return v, err
	}
	var bytes int64
	jumps := false
	for i := range s {
		if s[i].Offset+int64(s[i].Size) > m.r.Size() {
			m.warn("truncated: track %d has samples beyond the end of the file", t.id)
			break
		}
	}
	for i := range s {
		bytes += int64(s[i].Size)
	}
	v.Timing = &media.Timing{EditList: odd, Discontinue: jumps}
	shown, reordered := timeline.Order(s)
	if !odd {
		t.lasting(shown)
	}
	var closed *bool
	if m.opt.Keys {
		m.r.SetAhead(probeAhead)
		if closed, err = timeline.CheckKeys(v.Codec, lengthSize, shown, m.r.Upto); err != nil {
			return v, err
		}
	} else {
		closed = cheaplyClosed(v.Codec, shown)
	}
	if v.Color.Transfer == "smpte2084" && v.HDR == nil && len(shown) > 0 && lengthSize > 0 {
		b, err := m.r.Upto(shown[0].Offset, min(int(shown[0].Size), probeAhead))
		if err != nil {
			return v, err
		}
		v.HDR = codec.SampleHDR(v.Codec, b, lengthSize)
	}
	timeline.Apply(&v, shown, reordered, m.opt.Frames, m.opt.Keys, hint)
	if v.GOP != nil {
		v.GOP.Closed = closed
	}
	if v.Duration > 0 {
		v.BitRate = int64(float64(bytes) * 8 / v.Duration)
	}
	if len(shown) == 0 {
		v.Timing = nil
	}
	return v, nil
}

const probeAhead = 16 << 10

// cheaplyClosed tells closed GOPs from sample times alone: where no picture
// is shown before the key it follows, no GOP reaches into another.
func cheaplyClosed(codecName string, shown []timeline.Sample) *bool {
	for _, s := range shown {
		if s.Key && s.Leads {
			if codecName == "h264" { // an IDR picture has no leading pictures
				return new(false)
			}
			return nil
		}
	}
	switch codecName {
	case "h264", "hevc", "vp8", "vp9", "av1", "prores", "mjpeg", "dnxhd":
		return new(true)
	}
	return nil
}

func (m *movie) audioStream(index int, t *track) media.AudioStream {
	a := media.AudioStream{Index: index, ID: hex(t.id), TimeBase: t.timebase(), Language: t.lang, Default: t.enabled, Tags: t.tags()}
	if a.Language == "und" {
		a.Language = ""
	}
	t.audio(&a)
	first, ticks, bytes, _ := t.extent()
	if ticks <= 0 {
		return a
	}
	a.BitRate = int64(float64(bytes) * 8 / a.TimeBase.Seconds(ticks))
	a.Steady = t.steady()
	spans, _ := t.spans()
	slack := t.editSlack()
	shown, start := int64(0), int64(0)
	for i, s := range spans {
		from, to := max(s.from, first), min(s.to, first+ticks)
		if first+ticks-to <= slack {
			to = first + ticks
		}
		if from >= to {
			continue
		}
		if i == 0 || shown == 0 {
			start = s.at
			if s.from == math.MinInt64 {
				start = from
			} else {
				start += from - s.from
			}
		}
		shown += to - from
	}
	a.StartTime, a.Duration = a.TimeBase.Seconds(start), a.TimeBase.Seconds(shown)
	if t.timescale == uint32(a.SampleRate) {
		a.Samples = shown
	} else if a.SampleRate > 0 {
		a.Samples = int64(math.Round(a.Duration * float64(a.SampleRate)))
	}
	return a
}

// steady reports whether a track's samples last alike but for a jump a second, at
// the most, of more than a millisecond; nil if the tables do not tell.
func (t *track) steady() *bool {
	if t.fragSamples > 0 || len(t.stts) == 0 || t.timescale < 8000 {
		return nil
	}
	count, usual := map[int64]int64{}, int64(0)
	ticks, samples := int64(0), int64(0)
	for s := t.stts; len(s) > 0; s = s[8:] {
		n, d := int64(be.Uint32(s)), int64(int32(be.Uint32(s[4:])))
		if count[d] += n; count[d] > count[usual] {
			usual = d
		}
		ticks, samples = min(ticks+n*max(d, 0), maxTick), samples+n
	}
	jumps := int64(0)
	for d, n := range count {
		if max(d-usual, usual-d)*1000 > int64(t.timescale) {
			jumps += n
		}
	}
	return new(jumps*int64(t.timescale) <= max(ticks, int64(t.timescale)))
}

var subtitleCodecs = map[string]string{"tx3g": "mov_text", "text": "mov_text", "stpp": "ttml", "wvtt": "webvtt", "c608": "eia_608", "c708": "eia_608", "mp4s": "dvd_subtitle", "sbtt": "text", "stxt": "text"}

func (m *movie) otherStream(index int, t *track, chapter bool) (media.OtherStream, error) {
	o := media.OtherStream{Index: index, Type: "data", Language: t.lang, Tags: t.tags()}
	if o.Language == "und" {
		o.Language = ""
	}
	kind, _ := t.entry()
	o.Codec = kind
	switch {
	case t.handler == "tmcd" || kind == "tmcd":
		o.Type = "timecode"
		tc, err := m.timecode(t)
		if err != nil {
			return o, err
		}
		if tc != "" {
			o.Tags["timecode"] = tc
		}
	case chapter:
	case subtitleCodecs[kind] != "":
		o.Type, o.Codec = "subtitle", subtitleCodecs[kind]
	case t.handler == "sbtl" || t.handler == "subt" || t.handler == "clcp":
		o.Type = "subtitle"
	}
	return o, nil
}

func hex(v uint32) string {
	const digits = "0123456789abcdef"
	if v >= 16 {
		return hex(v/16) + digits[v%16:v%16+1]
	}
	return "0x" + digits[v:v+1]
}
