package render

import (
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/encode"
)

// assembly.go: what is said of an encode before it runs.

// Assembly is how slices of o become one file.
func Assembly(p *encode.Params, info *media.Info) fn.Assembly {
	p.Normalize()
	a := fn.Assembly{Container: p.Format, Sound: p.AudioCodec != "none", FrameRate: p.Rate(),
		DropTags: p.Metadata == "strip", DropSubtitles: p.Subtitles != "keep"}
	video, policy := p.RateFor(info)
	a.RatePolicy = policy
	if video.KeepsBuffer() {
		a.MaxRate, a.BufSize = video.VBV()
	}
	if !p.Rate().Known() {
		a.KeySeconds = p.KeyframeSeconds
	}
	if a.Reduce = video.Shared(); video.Bitrate > 0 && !a.Reduce {
		a.Whole = "a bit rate of " + p.Codec + " is reached over the whole video only: its encoder misses that of slices"
	}
	if info == nil || info.MainVideo() == nil {
		return a
	}
	a.Sound = a.Sound && info.HasAudio()
	if a.Sound && soundMuxer(p.AudioCodec, info) == "" {
		a.Whole = "sound of these codecs is copied only from the whole file"
	}
	chain, err := p.Picture().Plan(info.MainVideo(), p.Video())
	if err != nil {
		return a // the run says so
	}
	shape := media.VideoStream{Width: chain.Width, Height: chain.Height, SAR: chain.SAR}
	a.Width, a.Height = shape.DisplaySize()
	tags := chain.Tags
	a.Neighbours = len(chain.Before) > 0
	a.Color, a.SDR = &tags, chain.SDR
	return a
}

// Price is that of an encode. One core decodes and scales about 400 million of
// the source's pixels a second; the part of that which one thread does, whatever
// their number, passes 700 million (docs/benchmarks.md).
func Price(p *encode.Params, inputs []*media.Info) fn.Price {
	p.Normalize()
	price := fn.Price{CPUSeconds: 60, Memory: 1 << 30, Cores: 8, Class: class(p)}
	if len(inputs) == 0 || inputs[0] == nil || inputs[0].MainVideo() == nil {
		return price
	}
	info, v := inputs[0], inputs[0].MainVideo()
	rate := v.AvgRate.Float()
	if rate <= 0 {
		rate = 30
	}
	pixels := float64(v.Width) * float64(v.Height)
	out := pixels
	if c, err := p.Picture().Plan(v, p.Video()); err == nil {
		out = float64(c.Width) * float64(c.Height)
	}
	frames := info.Duration * rate
	price.Sound, price.Serial = p.Sound().Price(info), frames*pixels/700e6
	price.CPUSeconds = 0.15 + frames*(out/p.Speed()+pixels/400e6) + price.Sound
	price.Memory = 256<<20 + int64(pixels*60+out*200)
	return price
}

// Working is a price with work on the source's pictures beside the encoding; speed
// is in pixels a second and core. Such filters run on one thread.
func Working(price fn.Price, inputs []*media.Info, speed float64) fn.Price {
	if len(inputs) == 0 || inputs[0] == nil || inputs[0].MainVideo() == nil || speed <= 0 {
		return price
	}
	v := inputs[0].MainVideo()
	rate := v.AvgRate.Float()
	if rate <= 0 {
		rate = 30
	}
	work := inputs[0].Duration * rate * float64(v.Width) * float64(v.Height) / speed
	price.Serial += work
	if price.CPUSeconds += work; work > price.CPUSeconds/2 {
		price.Cores = 2 // the encoder waits for the filter
	}
	return price
}

// class is what makes calls alike in price.
func class(p *encode.Params) string {
	if p.Video().TwoPass() {
		return p.Codec + " " + p.Preset + " twice"
	}
	return p.Codec + " " + p.Preset
}
