// Package encode turns what a caller wants of an encoder into ffmpeg's
// arguments. It is pure: the same wishes always give the same text, thread
// counts included, so that every slice of a video and the whole of it are
// encoded alike.
//
// Sound describes a sound track, Video a picture track, Picture the filters in
// front of the encoder, Container what the muxer is told. Each has Check, which
// names the request field at fault, and Args or Filters.
package encode

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// Sound says how every sound track of an output is encoded.
type Sound struct {
	Codec      string // one of SoundCodecs
	Bitrate    int64  // bit/s; 0 = DefaultBitrate; not for lossless codecs
	SampleRate int    // Hz; 0 = the source's, or the nearest the codec has
	Channels   int    // 1–8; 0 = the source's, as far as the codec can
	BitDepth   int    // 16, 24 or 32, of pcm, flac and alac; 0 = 16 for pcm, the source's for the others
	Steady     bool   // every jump of the source's clock is meant, however short (media.AudioStream)
}

// Price is the CPU time of rendering all sound tracks of a source: 0.07 µs a
// sample (0.03 of silence, 0.1 of music, 0.16 where AAC has a low rate), a third
// of that without loss, next to nothing to copy.
func (s Sound) Price(info *media.Info) float64 {
	per := 7e-8
	switch c := soundCodecs[s.Codec]; {
	case s.Codec == "copy" || s.Codec == "none":
		return 0
	case c.lossless:
		per = 2e-8
	}
	samples := 0.0
	for _, a := range info.Audio {
		length := a.Duration
		if length <= 0 {
			length = info.Duration
		}
		samples += length * float64(a.SampleRate) * float64(max(a.Channels, 1))
	}
	return per * samples
}

// SoundCodecs lists every value of Sound.Codec. "copy" keeps the coded stream,
// "none" leaves sound out.
var SoundCodecs = []string{"aac", "opus", "mp3", "flac", "vorbis", "alac", "ac3", "pcm", "copy", "none"}

// soundCodec is what one encoder can do. Rates are what FFmpeg 5.1 lists for
// the encoder; nil is any.
type soundCodec struct {
	encoder    string
	lossless   bool
	min, max   int64 // bit/s, all channels together
	perChannel int64 // default bit/s a channel, for up to two; more channels take less each
	channels   int
	rates      []int
	layouts    string // channel layouts the encoder takes, where it does not convert by itself
	containers []string
}

var soundCodecs = map[string]soundCodec{
	"aac": {encoder: "aac", min: 8000, max: 1536000, perChannel: 64000, channels: 8,
		rates:      []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350},
		containers: []string{"mp4", "mov", "m4a", "mkv", "adts", "mpegts", "flv"}},
	"opus": {encoder: "libopus", min: 6000, max: 2048000, perChannel: 64000, channels: 8, rates: []int{48000, 24000, 16000, 12000, 8000},
		layouts: "7.1|6.1|5.1|5.0|quad|3.0|stereo|mono", containers: []string{"mp4", "mkv", "webm", "ogg"}},
	"vorbis": {encoder: "libvorbis", min: 32000, max: 1000000, perChannel: 64000, channels: 8,
		layouts: "7.1|6.1|5.1|5.0|quad|3.0|stereo|mono", containers: []string{"mkv", "webm", "ogg"}},
	"mp3": {encoder: "libmp3lame", min: 8000, max: 320000, perChannel: 80000, channels: 2,
		rates:   []int{48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000},
		layouts: "stereo|mono", containers: []string{"mp3", "mp4", "mov", "mkv", "mpegts", "flv"}},
	"ac3": {encoder: "ac3", min: 32000, max: 640000, perChannel: 96000, channels: 6, rates: []int{48000, 44100, 32000},
		containers: []string{"mp4", "mov", "mkv", "mpegts"}},
	"flac": {encoder: "flac", lossless: true, channels: 8,
		layouts: "7.1|6.1|5.1|5.1(side)|5.0|5.0(side)|quad|quad(side)|3.0|stereo|mono", containers: []string{"flac", "mp4", "mkv", "ogg"}},
	"alac": {encoder: "alac", lossless: true, channels: 8, containers: []string{"m4a", "mp4", "mov", "mkv"}},
	"pcm":  {encoder: "pcm_s16le", lossless: true, channels: 8, containers: []string{"wav", "mov", "mkv"}},
}

// DefaultSound is the codec a container usually carries.
func DefaultSound(container string) string {
	switch container {
	case "webm", "ogg":
		return "opus"
	case "mp3", "flac":
		return container
	case "wav":
		return "pcm"
	}
	return "aac"
}

// Containers lists the containers that can carry the codec.
func (s Sound) Containers() []string { return soundCodecs[s.Codec].containers }

// Lossless reports whether the codec has no bit rate to set.
func (s Sound) Lossless() bool { return soundCodecs[s.Codec].lossless }

// Check tests the combination for an output container: mp4, mov, m4a, mkv,
// webm, ogg, mp3, flac, wav, adts, mpegts or flv. prefix is put in front of the
// parameter names in errors, "audio_" for params.audio_codec, or nothing for
// params.codec.
func (s Sound) Check(container, prefix string) error {
	field := func(name string) string { return "params." + prefix + name }
	if s.Codec == "none" || s.Codec == "copy" {
		for _, set := range []struct {
			name string
			on   bool
		}{{"bitrate", s.Bitrate != 0}, {"sample_rate", s.SampleRate != 0}, {"channels", s.Channels != 0}, {"bit_depth", s.BitDepth != 0}} {
			if set.on {
				return errs.InField(field(set.name), "cannot be set with codec %s", s.Codec)
			}
		}
		return nil
	}
	c, ok := soundCodecs[s.Codec]
	if !ok {
		return errs.InField(field("codec"), "must be one of %s, not %q", strings.Join(SoundCodecs, ", "), s.Codec)
	}
	switch {
	case !slices.Contains(c.containers, container):
		return errs.InField(field("codec"), "%s does not go into %s; it goes into %s", s.Codec, container, strings.Join(c.containers, ", "))
	case s.Bitrate != 0 && c.lossless:
		return errs.InField(field("bitrate"), "%s is lossless and has no bit rate", s.Codec)
	case s.Bitrate != 0 && (s.Bitrate < c.min || s.Bitrate > c.max):
		return errs.InField(field("bitrate"), "must be %d–%d bit/s for %s", c.min, c.max, s.Codec)
	case s.SampleRate < 0 || s.SampleRate > 192000 || s.SampleRate != 0 && s.SampleRate < 7350:
		return errs.InField(field("sample_rate"), "must be 7350–192000 Hz")
	case s.SampleRate != 0 && c.rates != nil && !slices.Contains(c.rates, s.SampleRate):
		return errs.InField(field("sample_rate"), "%s has no %d Hz; it has %s", s.Codec, s.SampleRate, join(c.rates))
	case s.Channels < 0 || s.Channels > c.channels:
		return errs.InField(field("channels"), "must be 1–%d for %s", c.channels, s.Codec)
	}
	return s.checkDepth(field("bit_depth"))
}

func (s Sound) checkDepth(field string) error {
	allowed := map[string][]int{"pcm": {16, 24, 32}, "flac": {16, 24}, "alac": {16, 24}}[s.Codec]
	switch {
	case s.BitDepth == 0 || slices.Contains(allowed, s.BitDepth):
		return nil
	case allowed == nil:
		return errs.InField(field, "cannot be set with codec %s", s.Codec)
	}
	return errs.InField(field, "must be one of %s for %s", join(allowed), s.Codec)
}

// DefaultBitrate is the bit rate used where none is given, for a track of that
// many channels: the codec's rate for transparent speech and music a channel,
// and half of it for every channel above two. 0 for lossless codecs.
func (s Sound) DefaultBitrate(channels int) int64 {
	c := soundCodecs[s.Codec]
	if channels <= 0 {
		channels = 2
	}
	if s.Channels > 0 {
		channels = s.Channels
	}
	channels = min(channels, max(c.channels, 1))
	rate := c.perChannel*int64(min(channels, 2)) + c.perChannel/2*int64(max(channels-2, 0))
	return min(rate, c.max)
}

// Filters are the audio filters that belong in front of the encoder, in order,
// as text for -af or a graph. Holes in the timestamps are filled with silence
// and overlaps cut, so that what follows stays where it was: of more than a
// millisecond where the source's clock is steady, else of more than 20, since
// clocks that stray would cut sound to pieces. The first timestamp is left alone.
// Empty for copy and none.
func (s Sound) Filters() []string {
	c, ok := soundCodecs[s.Codec]
	if !ok {
		return nil
	}
	resample := "aresample=async=1:min_hard_comp=0.02"
	if s.Steady {
		resample = "aresample=async=1:min_hard_comp=0.001"
	}
	if s.SampleRate > 0 {
		resample += ":osr=" + strconv.Itoa(s.SampleRate)
	}
	filters := []string{resample}
	format := ""
	switch {
	case s.Channels > 0:
		format = "channel_layouts=" + layoutOf(s.Channels)
	case c.layouts != "":
		format = "channel_layouts=" + c.layouts
	}
	rate := s.SampleRate
	if rate > 0 && s.Codec == "opus" {
		// Opus always decodes to 48 kHz. FFmpeg 5.1 counts the encoder's delay in
		// samples of the input's rate, so only at 48 kHz is it right.
		rate = 48000
	}
	if rate > 0 {
		format = strings.TrimPrefix(format+":sample_rates="+strconv.Itoa(rate), ":")
	}
	if format != "" {
		filters = append(filters, "aformat="+format)
	}
	return filters
}

// layoutOf is FFmpeg's usual layout of n channels, as every encoder here takes.
func layoutOf(n int) string {
	return [...]string{1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}[n]
}

// Args are the output options that select and set up the encoder for every
// mapped sound track ("-c:a", …), or "-an" for none. channels is the source
// track's number of channels, 0 if unknown; it only chooses the default bit
// rate.
func (s Sound) Args(channels int) []string {
	switch s.Codec {
	case "none":
		return []string{"-an"}
	case "copy":
		return []string{"-c:a", "copy"}
	}
	c := soundCodecs[s.Codec]
	args := []string{"-c:a", c.encoder}
	switch {
	case c.lossless:
	case s.Codec == "vorbis" && s.Bitrate == 0:
		args = append(args, "-q:a", "5") // its rates depend on sample rate and channels; a quality always fits
	default:
		rate := s.Bitrate
		if rate == 0 {
			rate = s.DefaultBitrate(channels)
		}
		args = append(args, "-b:a", strconv.FormatInt(rate, 10))
	}
	switch {
	case s.Codec == "pcm" && s.BitDepth > 16:
		args[1] = "pcm_s" + strconv.Itoa(s.BitDepth) + "le"
	case s.Codec == "flac":
		args = append(args, "-strict", "experimental") // FFmpeg 5.1 calls FLAC in mp4 so
	}
	switch {
	case s.Codec == "flac" && s.BitDepth == 24:
		args = append(args, "-sample_fmt", "s32", "-bits_per_raw_sample", "24")
	case s.Codec == "flac" && s.BitDepth == 16:
		args = append(args, "-sample_fmt", "s16")
	case s.Codec == "alac" && s.BitDepth == 24:
		args = append(args, "-sample_fmt", "s32p", "-bits_per_raw_sample", "24")
	case s.Codec == "alac" && s.BitDepth == 16:
		args = append(args, "-sample_fmt", "s16p")
	}
	return args
}

func join(numbers []int) string {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ", ")
}
