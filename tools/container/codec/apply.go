package codec

import "github.com/mediafn/mediafn/core/media"

// Apply lays what a parameter set says over what the container said. The sample
// shape and field order of the container win where it has them: a muxer may
// override the stream, and players follow it.
func (p Params) Apply(v *media.VideoStream) {
	set := func(dst *string, s string) {
		if s != "" {
			*dst = s
		}
	}
	set(&v.Profile, p.Profile)
	set(&v.Level, p.Level)
	set(&v.PixelFormat, p.PixelFormat)
	set(&v.Color.Range, p.Color.Range)
	set(&v.Color.Primaries, p.Color.Primaries)
	set(&v.Color.Transfer, p.Color.Transfer)
	set(&v.Color.Matrix, p.Color.Matrix)
	set(&v.Color.ChromaLoc, p.Color.ChromaLoc)
	if v.FieldOrder == "" {
		v.FieldOrder = p.FieldOrder
	}
	if p.Width > 0 {
		v.Width, v.Height = p.Width, p.Height
	}
	if p.BitDepth > 0 {
		v.BitDepth = p.BitDepth
	}
	if !v.SAR.Known() {
		v.SAR = p.SAR
	}
	if v.BFrames == nil {
		v.BFrames = p.BFrames
	}
	switch {
	case v.HDR != nil && v.HDR.Format == "":
		v.HDR.Format = "hdr10"
	case v.HDR == nil && v.Color.Transfer == "arib-std-b67":
		v.HDR = &media.HDR{Format: "hlg"}
	}
}
