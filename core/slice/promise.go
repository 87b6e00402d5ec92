package slice

import (
	"math"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// Promise is what the profile of the source says the merged result must be
// like. Ticks are of TimeBase, the source's; frame numbers are the result's.
type Promise struct {
	Rendition string         `json:"rendition,omitempty"` // which of several; empty = the only one
	Container string         `json:"container"`
	TimeBase  media.Rational `json:"time_base"`
	Scale     int64          `json:"time_scale"` // ticks per second the slices are written with
	Rate      media.Rational `json:"frame_rate"` // of the result if it is not the source's; then frame k is at first + k/rate
	Frames    int64          `json:"frames"`
	FirstPTS  int64          `json:"first_pts"`
	LastPTS   int64          `json:"last_pts"` // of the source's last frame
	EndPTS    int64          `json:"end_pts"`  // where it ends
	Joints    []Joint        `json:"joints"`   // where the second and later slices begin
	Sound     []Track        `json:"sound"`
	Color     media.Color    `json:"color"` // empty fields are not promised
	HDR       *media.HDR     `json:"hdr,omitempty"`
	Width     int            `json:"width,omitempty"` // displayed; 0 = not promised
	Height    int            `json:"height,omitempty"`
	Upright   string         `json:"upright,omitempty"` // portrait | landscape, as displayed; empty = square
	MaxRate   int64          `json:"max_rate,omitempty"`
	BufSize   int64          `json:"buf_size,omitempty"`
	// KeySeconds is that of fn.Assembly.
	KeySeconds float64 `json:"key_seconds,omitempty"`
}

// Joint is the first frame of a slice.
type Joint struct {
	Frame int64 `json:"frame"`
	PTS   int64 `json:"pts"`
}

// Track is a sound track.
type Track struct {
	Offset   float64 `json:"offset"`   // seconds from the first picture to the first sample
	Duration float64 `json:"duration"` // seconds; 0 = not known
	// Frame is the length in seconds of one coded frame, to which an encoder
	// may round the length.
	Frame float64 `json:"frame"`
	// Steady is that of media.AudioStream: jumps of its clock are meant.
	Steady bool `json:"steady,omitempty"`
}

// PromiseOf derives the promise from the profile a plan was made of. Parts
// must be the plan's, in order, and not empty.
func PromiseOf(source *media.Info, parts []fn.Part, a fn.Assembly) Promise {
	v := source.MainVideo()
	c := newCutter(v, a.FrameRate)
	first, last := parts[0], parts[len(parts)-1]
	p := Promise{
		Container: a.Container, TimeBase: v.TimeBase, Scale: first.Scale, Rate: c.rate,
		FirstPTS: first.Start, LastPTS: v.Timing.LastPTS, EndPTS: last.End,
		Joints: []Joint{}, Sound: []Track{}, Color: v.Color, HDR: v.HDR,
		Width: a.Width, Height: a.Height, Upright: upright(v.DisplaySize()), MaxRate: a.MaxRate, BufSize: a.BufSize,
		KeySeconds: a.KeySeconds,
	}
	for i, part := range parts {
		if i > 0 {
			p.Joints = append(p.Joints, Joint{Frame: p.Frames, PTS: part.Start})
		}
		if p.Rate.Known() {
			p.Frames = p.framesUntil(part.End)
		} else {
			p.Frames += part.Frames
		}
	}
	if a.Color != nil {
		p.Color = *a.Color
	}
	if a.SDR {
		p.HDR = nil
	}
	if a.Sound {
		for i := range source.Audio {
			s := &source.Audio[i]
			t := Track{Offset: s.StartTime - v.TimeBase.Seconds(p.FirstPTS), Duration: s.Duration, Frame: codedFrame(s), Steady: s.Steady != nil && *s.Steady}
			if s.Samples > 0 && s.SampleRate > 0 {
				t.Duration = float64(s.Samples) / float64(s.SampleRate)
			}
			if a.Filled {
				t.Offset, t.Duration = 0, v.TimeBase.Seconds(p.EndPTS-p.FirstPTS)
			}
			p.Sound = append(p.Sound, t)
		}
	}
	return p
}

// framesUntil counts the result's frames at a changed rate before a time.
func (p *Promise) framesUntil(pts int64) int64 {
	return int64(math.Round(p.TimeBase.Seconds(pts-p.FirstPTS) * p.Rate.Float()))
}

// mostTimes bounds lists of times: a week of film.
const mostTimes = 1 << 24

// times returns the promised times of all frames in seconds, given those of
// the source in ticks; nil if they are not known.
func (p *Promise) times(source []int64) []float64 {
	if p.Frames < 0 || p.Frames > mostTimes || !p.Rate.Known() && int64(len(source)) != p.Frames {
		return nil
	}
	want := make([]float64, 0, p.Frames)
	if p.Rate.Known() {
		start := p.TimeBase.Seconds(p.FirstPTS)
		for k := range p.Frames {
			want = append(want, start+float64(k)*float64(p.Rate.Den)/float64(p.Rate.Num))
		}
		return want
	}
	for _, t := range source {
		want = append(want, p.TimeBase.Seconds(t))
	}
	return want
}

// upright names the displayed orientation.
func upright(w, h int) string {
	switch {
	case w > h:
		return "landscape"
	case w < h:
		return "portrait"
	}
	return ""
}

// codedFrame is the length of one coded frame in seconds.
func codedFrame(s *media.AudioStream) float64 {
	samples := map[string]float64{"aac": 1024, "mp3": 1152, "ac3": 1536, "eac3": 1536, "vorbis": 2048, "flac": 4608, "opus": 960}[s.Codec]
	switch {
	case samples == 0:
		samples = 1024
	case s.Codec == "opus":
		return samples / 48000
	case s.Codec == "aac" && (s.Profile == "HE-AAC" || s.Profile == "HE-AACv2"):
		samples = 2048
	}
	if s.SampleRate <= 0 {
		return 0.05
	}
	return samples / float64(s.SampleRate)
}
