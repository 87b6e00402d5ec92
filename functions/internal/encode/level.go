package encode

import (
	"slices"
)

// level.go: encoders choose the level they write into a stream by its bit rate.
// Slices with shares of one budget would choose different ones, and a decoder
// set up for the first could refuse another; so it is chosen here, for the
// slice that has most. x265 holds a stream to its level's bit rate.

// Shape is what a level depends on beside the bit rate.
type Shape struct {
	Width, Height int
	FrameRate     float64
}

// avcLevel is a row of ITU-T H.264 table A-1.
type avcLevel struct {
	name                 string
	blocks, frame, store float64 // macroblocks a second, a picture, and kept for reference
	rate                 float64 // 1000 bit/s at most (Main)
}

var avcLevels = []avcLevel{
	{"1", 1485, 99, 396, 64}, {"1.1", 3000, 396, 900, 192}, {"1.2", 6000, 396, 2376, 384}, {"1.3", 11880, 396, 2376, 768},
	{"2", 11880, 396, 2376, 2000}, {"2.1", 19800, 792, 4752, 4000}, {"2.2", 20250, 1620, 8100, 4000},
	{"3", 40500, 1620, 8100, 10000}, {"3.1", 108000, 3600, 18000, 14000}, {"3.2", 216000, 5120, 20480, 20000},
	{"4", 245760, 8192, 32768, 20000}, {"4.1", 245760, 8192, 32768, 50000}, {"4.2", 522240, 8704, 34816, 50000},
	{"5", 589824, 22080, 110400, 135000}, {"5.1", 983040, 36864, 184320, 240000}, {"5.2", 2073600, 36864, 184320, 240000},
	{"6", 4177920, 139264, 696320, 240000}, {"6.1", 8355840, 139264, 696320, 480000}, {"6.2", 16711680, 139264, 696320, 800000},
}

// hevcLevel is a row of ITU-T H.265 tables A.8 and A.9, main tier.
type hevcLevel struct {
	name           string
	samples, frame float64 // luma samples a second and a picture
	rate           float64 // 1000 bit/s at most
}

var hevcLevels = []hevcLevel{
	{"1", 552960, 36864, 128}, {"2", 3686400, 122880, 1500}, {"2.1", 7372800, 245760, 3000}, {"3", 16588800, 552960, 6000},
	{"3.1", 33177600, 983040, 10000}, {"4", 66846720, 2228224, 12000}, {"4.1", 133693440, 2228224, 20000},
	{"5", 267386880, 8912896, 25000}, {"5.1", 534773760, 8912896, 40000}, {"5.2", 1069547520, 8912896, 60000},
	{"6", 1069547520, 35651584, 60000}, {"6.1", 2139095040, 35651584, 120000}, {"6.2", 4278190080, 35651584, 240000},
}

// referenced is how many pictures x264 keeps at each of Presets; with B
// pictures that refer to each other it keeps four at the least.
var referenced = []float64{1, 1, 1, 2, 2, 3, 5, 8, 16}

// LevelFor is the lowest level that holds the stream, as x264 and x265 would
// find for this bit rate; empty for codecs that choose theirs by other things.
func (v Video) LevelFor(s Shape) string {
	switch {
	case v.Level != "" || !videoCodecs[v.Codec].levels:
		return v.Level
	case v.Codec == "h264":
		rate := float64(max(2*v.Bitrate, v.MaxBitrate)) / 1000
		if v.MaxBitrate > 0 {
			rate = float64(v.MaxBitrate) / 1000
		}
		_, buffer := v.VBV()
		wide, high := float64((s.Width+15)/16), float64((s.Height+15)/16)
		kept := max(referenced[max(slices.Index(Presets, v.Preset), 0)], 4)
		if v.BFrames != nil && *v.BFrames < 2 || v.Profile == "baseline" {
			kept = max(referenced[max(slices.Index(Presets, v.Preset), 0)], 2)
		}
		for _, l := range avcLevels {
			more := 1.25 // High
			switch v.Profile {
			case "baseline", "main":
				more = 1
			case "high10", "high422", "high444":
				more = 3
			}
			if wide*high <= l.frame && wide*wide <= 8*l.frame && high*high <= 8*l.frame && wide*high*kept <= l.store &&
				wide*high*s.FrameRate <= l.blocks && rate <= more*l.rate && float64(buffer)/1000 <= more*l.rate {
				return l.name
			}
		}
	case v.Codec == "h265":
		rate := float64(v.Bitrate) / 1000
		if v.MaxBitrate > 0 {
			rate = float64(v.MaxBitrate) / 1000
		}
		wide, high := float64(s.Width), float64(s.Height)
		for _, l := range hevcLevels {
			if wide*high <= l.frame && wide*wide <= 8*l.frame && high*high <= 8*l.frame && wide*high*s.FrameRate <= l.samples && rate <= l.rate {
				return l.name
			}
		}
	}
	return ""
}
