package encode

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
)

// Every codec in every container it claims, with odd channel layouts, must be
// accepted by the real encoder and muxer.
func TestSoundEncodes(t *testing.T) {
	muxers := map[string]string{"m4a": "ipod", "mkv": "matroska"}
	for name, c := range soundCodecs {
		for _, container := range c.containers {
			for _, layout := range []string{"mono", "stereo", "5.1(side)"} {
				t.Run(name+"/"+container+"/"+layout, func(t *testing.T) {
					t.Parallel()
					s := Sound{Codec: name}
					if err := s.Check(container, ""); err != nil {
						t.Fatal(err)
					}
					muxer := container
					if m := muxers[container]; m != "" {
						muxer = m
					}
					args := []string{"-v", "error", "-f", "lavfi", "-i", "sine=d=0.2:r=44100,aformat=channel_layouts=" + layout,
						"-af", strings.Join(s.Filters(), ",")}
					args = append(args, s.Args(map[string]int{"mono": 1, "stereo": 2}[layout])...)
					args = append(args, "-f", muxer, filepath.Join(t.TempDir(), "out"))
					if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
						t.Fatalf("ffmpeg %s: %s", strings.Join(args, " "), out)
					}
				})
			}
		}
	}
}

func TestSoundArgs(t *testing.T) {
	for _, c := range []struct {
		sound    Sound
		channels int
		args     string
		filters  string
	}{
		{Sound{Codec: "aac"}, 2, "-c:a aac -b:a 128000", "aresample=async=1:min_hard_comp=0.02"},
		{Sound{Codec: "aac"}, 6, "-c:a aac -b:a 256000", "aresample=async=1:min_hard_comp=0.02"},
		{Sound{Codec: "opus", Bitrate: 96000, Channels: 1, SampleRate: 48000}, 6, "-c:a libopus -b:a 96000",
			"aresample=async=1:min_hard_comp=0.02:osr=48000,aformat=channel_layouts=mono:sample_rates=48000"},
		{Sound{Codec: "mp3", Channels: 2}, 6, "-c:a libmp3lame -b:a 160000",
			"aresample=async=1:min_hard_comp=0.02,aformat=channel_layouts=stereo"},
		{Sound{Codec: "pcm", BitDepth: 24}, 2, "-c:a pcm_s24le", "aresample=async=1:min_hard_comp=0.02"},
		{Sound{Codec: "flac", BitDepth: 24}, 1, "-c:a flac -strict experimental -sample_fmt s32 -bits_per_raw_sample 24",
			"aresample=async=1:min_hard_comp=0.02,aformat=channel_layouts=" + soundCodecs["flac"].layouts},
		{Sound{Codec: "copy"}, 2, "-c:a copy", ""},
		{Sound{Codec: "none"}, 2, "-an", ""},
	} {
		if got := strings.Join(c.sound.Args(c.channels), " "); got != c.args {
			t.Errorf("%+v: args %s, want %s", c.sound, got, c.args)
		}
		if got := strings.Join(c.sound.Filters(), ","); got != c.filters {
			t.Errorf("%+v: filters %s, want %s", c.sound, got, c.filters)
		}
	}
}

func TestSoundCheck(t *testing.T) {
	for _, c := range []struct {
		sound     Sound
		container string
		field     string
	}{
		{Sound{Codec: "wma"}, "mp4", "params.audio_codec"},
		{Sound{Codec: "vorbis"}, "mp4", "params.audio_codec"},
		{Sound{Codec: "flac", Bitrate: 1}, "mp4", "params.audio_bitrate"},
		{Sound{Codec: "mp3", Bitrate: 400000}, "mp3", "params.audio_bitrate"},
		{Sound{Codec: "opus", SampleRate: 44100}, "webm", "params.audio_sample_rate"},
		{Sound{Codec: "pcm", SampleRate: 1}, "wav", "params.audio_sample_rate"},
		{Sound{Codec: "mp3", Channels: 6}, "mp3", "params.audio_channels"},
		{Sound{Codec: "aac", BitDepth: 16}, "mp4", "params.audio_bit_depth"},
		{Sound{Codec: "flac", BitDepth: 32}, "mkv", "params.audio_bit_depth"},
		{Sound{Codec: "copy", Channels: 2}, "mp4", "params.audio_channels"},
	} {
		err := c.sound.Check(c.container, "audio_")
		if !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != c.field {
			t.Errorf("%+v in %s: %v names %q, want %q", c.sound, c.container, err, errs.FieldOf(err), c.field)
		}
	}
}
