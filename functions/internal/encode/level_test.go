package encode

import "testing"

func TestLevelFor(t *testing.T) {
	hd := Shape{Width: 1920, Height: 1080, FrameRate: 25}
	small := Shape{Width: 320, Height: 180, FrameRate: 25}
	for name, c := range map[string]struct {
		v    Video
		s    Shape
		want string
	}{
		// What x264 and x265 chose by themselves for the same settings.
		"small":             {Video{Codec: "h264", Preset: "medium", Bitrate: 400_000}, small, "1.3"},
		"small, fewer bits": {Video{Codec: "h264", Preset: "fast", Bitrate: 150_000}, small, "1.2"},
		"small, more bits":  {Video{Codec: "h264", Preset: "ultrafast", Bitrate: 800_000}, small, "2"},
		"HD":                {Video{Codec: "h264", Preset: "medium", Bitrate: 4_000_000}, hd, "4"},
		"HD at 50":          {Video{Codec: "h264", Preset: "medium", Bitrate: 4_000_000}, Shape{1920, 1080, 50}, "4.2"},
		"HD, slower":        {Video{Codec: "h264", Preset: "slower", Bitrate: 4_000_000}, hd, "5"},
		"HD, peaks":         {Video{Codec: "h264", Preset: "medium", Bitrate: 4_000_000, MaxBitrate: 40_000_000, Buffer: 40_000_000}, hd, "4.1"},
		"asked for":         {Video{Codec: "h264", Preset: "medium", Level: "5.1", Bitrate: 4_000_000}, hd, "5.1"},
		"HEVC":              {Video{Codec: "h265", Preset: "medium", Bitrate: 4_000_000}, hd, "4"},
		"small HEVC":        {Video{Codec: "h265", Preset: "medium", Bitrate: 200_000}, small, "2"},
		"VP9 has none":      {Video{Codec: "vp9", Preset: "medium", Bitrate: 4_000_000}, hd, ""},
	} {
		if got := c.v.LevelFor(c.s); got != c.want {
			t.Errorf("%s: level %q, want %q", name, got, c.want)
		}
	}
}
