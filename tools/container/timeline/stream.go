package timeline

import (
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/container/codec"
)

// Apply fills in everything about v that follows from its samples: shown is in
// presentation order, reordered is Order's answer. v.TimeBase, v.Codec and
// v.Timing.EditList must be set.
func Apply(v *media.VideoStream, shown []Sample, reordered, list, keys bool, hints ...media.Rational) {
	if len(shown) == 0 {
		return
	}
	editList := v.Timing != nil && v.Timing.EditList
	discontinue := v.Timing != nil && v.Timing.Discontinue
	rate, constant := Rate(shown, v.TimeBase, hints...)
	v.FrameRate, v.VFR = rate, new(!constant)
	if len(shown) == 1 {
		v.VFR = nil
		if d := shown[0].Dur; d > 0 {
			v.FrameRate = media.Rational{Num: v.TimeBase.Den, Den: v.TimeBase.Num * d}.Reduce()
		}
	}
	v.Timing = Timing(shown, v.TimeBase, rate)
	v.Timing.EditList, v.Timing.Discontinue = editList, discontinue
	v.Frames = int64(len(shown))
	v.StartTime = v.TimeBase.Seconds(v.Timing.FirstPTS)
	ticks := v.Timing.LastPTS - v.Timing.FirstPTS + v.Timing.LastDur
	v.Duration = v.TimeBase.Seconds(ticks)
	switch {
	case constant && rate.Known():
		v.AvgRate = rate
	case ticks > 0:
		v.AvgRate = media.Rational{Num: v.Frames * v.TimeBase.Den, Den: ticks * v.TimeBase.Num}.Reduce()
	}
	if len(shown) > 1 {
		v.BFrames = new(reordered)
	}
	var total int64
	for i := range shown {
		total += int64(shown[i].Size)
	}
	if v.BitRate == 0 && v.Duration > 0 {
		v.BitRate = int64(float64(total) * 8 / v.Duration)
	}
	v.GOP = GOP(shown, keys)
	if list {
		v.FrameList = Frames(shown, v.Timing.LastDur, v.GOP.AllIntr)
	}
}

// Probes of key samples: as many of the first ones are looked at; where all of
// them are real entry points, the rest of the encoder's are too.
const (
	probeKeys = 8
	maxProbes = 4096
	probeSize = 4 << 10
)

// CheckKeys takes away the key mark of samples a decoder cannot start at, and
// says whether GOPs are closed. at reads up to n bytes of the file at off.
func CheckKeys(codecName string, lengthSize int, shown []Sample, at func(off int64, n int) ([]byte, error)) (closed *bool, err error) {
	leads, open, unsure, lying := false, false, false, false
	looked := 0
	for i := range shown {
		s := &shown[i]
		if !s.Key {
			continue
		}
		leads = leads || s.Leads
		switch codecName {
		case "h264", "hevc":
		case "vp8", "vp9", "av1", "prores", "mjpeg", "dnxhd", "ffv1", "png":
			continue // a key refers to nothing and is shown in decode order
		default:
			unsure = true
			continue
		}
		if lengthSize == 0 || looked >= maxProbes {
			unsure = true
			continue
		}
		if looked >= probeKeys && !lying {
			unsure = unsure || s.Leads && codecName == "hevc"
			continue
		}
		looked++
		b, err := at(s.Offset, min(probeSize, int(s.Size)))
		if err != nil {
			return nil, err
		}
		switch codec.SampleEntry(codecName, b, lengthSize) {
		case codec.NoEntry:
			s.Key, lying = false, true
		case codec.OpenEntry:
			open = open || s.Leads
		case codec.Unclear:
			unsure = true
		}
	}
	switch {
	case codecName == "h264" && leads: // an IDR picture has no leading pictures
		return new(false), nil
	case open, lying:
		return new(false), nil
	case unsure:
		return nil, nil
	}
	return new(true), nil
}
