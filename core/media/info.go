package media

// Info is everything known about one piece of media. What was not looked at,
// or what the container cannot tell, is absent; nothing is guessed.
type Info struct {
	Kind      Kind              `json:"kind"`
	Format    string            `json:"format"` // mp4, mov, matroska, webm, mpegts, flv, avi, ogg, wav, mp3, adts, flac, jpeg, png, webp, gif, avif, heif, tiff, bmp, svg, …
	Mime      string            `json:"mime,omitempty"`
	Size      int64             `json:"size"`               // bytes
	Duration  float64           `json:"duration,omitempty"` // seconds, longest stream
	StartTime float64           `json:"start_time"`         // seconds, earliest first timestamp of any stream
	BitRate   int64             `json:"bit_rate,omitempty"` // bits per second over the whole file
	FastStart *bool             `json:"fast_start,omitempty"`
	Fragment  *bool             `json:"fragmented,omitempty"`
	Seekable  *bool             `json:"seekable,omitempty"` // has an index from which a range can be read in place
	Tags      map[string]string `json:"tags,omitempty"`
	Image     *ImageInfo        `json:"image,omitempty"`
	Video     []VideoStream     `json:"video,omitempty"`
	Audio     []AudioStream     `json:"audio,omitempty"`
	Other     []OtherStream     `json:"other,omitempty"` // subtitles, data, attachments, timecode
	Chapters  []Chapter         `json:"chapters,omitempty"`
	Warnings  []string          `json:"warnings,omitempty"`
}

// ImageInfo describes a still or animated image as stored (before EXIF
// orientation is applied).
type ImageInfo struct {
	Width       int    `json:"width"`  // pixels
	Height      int    `json:"height"` // pixels
	Pages       int    `json:"pages,omitempty"`
	Bands       int    `json:"bands,omitempty"`
	BitDepth    int    `json:"bit_depth,omitempty"`
	ColorSpace  string `json:"color_space,omitempty"` // srgb, cmyk, b-w, lab, …
	HasAlpha    bool   `json:"has_alpha,omitempty"`
	Orientation int    `json:"orientation,omitempty"` // EXIF 1–8
	ICC         string `json:"icc_profile,omitempty"` // description of the embedded profile
	DPI         int    `json:"dpi,omitempty"`
}

// Color names how code values map to light. Values are FFmpeg's names
// (bt709, smpte2084, bt2020nc, tv); empty means the stream does not say.
type Color struct {
	Range     string `json:"range,omitempty"` // tv | pc
	Primaries string `json:"primaries,omitempty"`
	Transfer  string `json:"transfer,omitempty"`
	Matrix    string `json:"matrix,omitempty"`
	ChromaLoc string `json:"chroma_location,omitempty"`
}

// HDR is static HDR metadata. Coordinates and luminance are in the units of
// SMPTE ST 2086 as FFmpeg prints them: CIE 1931 xy, candela per square metre.
type HDR struct {
	Format    string      `json:"format,omitempty"` // hdr10, hlg, dolby_vision
	Primaries [3]Chroma   `json:"primaries"`        // red, green, blue
	White     Chroma      `json:"white_point"`
	MinLum    Rational    `json:"min_luminance"`
	MaxLum    Rational    `json:"max_luminance"`
	Light     *LightLevel `json:"content_light,omitempty"`
}

// Chroma is a CIE 1931 xy coordinate.
type Chroma struct {
	X Rational `json:"x"`
	Y Rational `json:"y"`
}

// LightLevel is CTA-861.3 content light level, in candela per square metre.
type LightLevel struct {
	MaxCLL  int `json:"max_cll"`
	MaxFALL int `json:"max_fall"`
}

// VideoStream describes one picture track. Width and height are as coded and
// cropped, before rotation and sample aspect ratio.
type VideoStream struct {
	Index       int               `json:"index"`
	ID          string            `json:"id,omitempty"`
	Codec       string            `json:"codec"` // h264, hevc, vvc, av1, vp9, prores, mpeg2video, …
	Tag         string            `json:"codec_tag,omitempty"`
	Profile     string            `json:"profile,omitempty"`
	Level       string            `json:"level,omitempty"`
	Width       int               `json:"width"`
	Height      int               `json:"height"`
	SAR         Rational          `json:"sample_aspect_ratio"`
	Rotation    int               `json:"rotation"` // degrees clockwise to display upright: 0, 90, 180, 270
	Flip        bool              `json:"flip,omitempty"`
	PixelFormat string            `json:"pixel_format,omitempty"`
	BitDepth    int               `json:"bit_depth,omitempty"`
	FieldOrder  string            `json:"field_order,omitempty"` // progressive | tt | bb | tb | bt
	Color       Color             `json:"color"`
	HDR         *HDR              `json:"hdr,omitempty"`
	TimeBase    Rational          `json:"time_base"`
	FrameRate   Rational          `json:"frame_rate"`     // exact nominal rate; unknown for VFR
	AvgRate     Rational          `json:"avg_frame_rate"` // frames ÷ duration
	VFR         *bool             `json:"variable_frame_rate,omitempty"`
	Frames      int64             `json:"frames,omitempty"`
	StartTime   float64           `json:"start_time"` // seconds, first presented frame
	Duration    float64           `json:"duration,omitempty"`
	BitRate     int64             `json:"bit_rate,omitempty"`
	BFrames     *bool             `json:"b_frames,omitempty"`
	Attached    bool              `json:"attached_picture,omitempty"`
	Default     bool              `json:"default,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Timing      *Timing           `json:"timing,omitempty"`
	GOP         *GOP              `json:"gop,omitempty"`
	FrameList   []Frame           `json:"frame_list,omitempty"` // on request only
}

// Timing is what is odd about a stream's timestamps.
type Timing struct {
	FirstPTS    int64 `json:"first_pts"` // ticks of the stream's time base, edit list applied
	LastPTS     int64 `json:"last_pts"`
	LastDur     int64 `json:"last_duration"`
	Negative    int   `json:"negative,omitempty"`      // frames presented before zero
	Repeated    int   `json:"repeated,omitempty"`      // frames that share a timestamp
	Gaps        int   `json:"gaps,omitempty"`          // jumps of more than three nominal frames
	EditList    bool  `json:"edit_list,omitempty"`     // an edit list does more than a start offset
	Discontinue bool  `json:"discontinuity,omitempty"` // timestamps jump backwards or reset
}

// GOP is the stream's keyframe structure. Keys lists every entry point in
// presentation order; a decoder started there reproduces every frame from
// PTS on (leading frames of an open GOP belong to the entry before). Where only
// an index was read, which need not name every entry point and counts no
// frames, lengths are 0.
type GOP struct {
	Count   int   `json:"count"`
	MinLen  int   `json:"min_length"` // frames
	MaxLen  int   `json:"max_length"` // frames
	Closed  *bool `json:"closed,omitempty"`
	AllIntr bool  `json:"all_intra,omitempty"`
	Keys    []Key `json:"keys,omitempty"`
}

// Key is one entry point.
type Key struct {
	Frame int64 `json:"frame"` // index in presentation order, 0 = first; −1 = not counted
	PTS   int64 `json:"pts"`   // ticks of the stream's time base
	Bytes int64 `json:"bytes"` // offset in the file of the keyframe's sample
}

// Frame is one picture at frame level.
type Frame struct {
	PTS  int64  `json:"pts"`
	Dur  int64  `json:"duration,omitempty"`
	Type string `json:"type,omitempty"` // I, P, B; empty where only decoding would tell
	Key  bool   `json:"key,omitempty"`
	Size int    `json:"size,omitempty"` // bytes of the coded sample
}

// AudioStream describes one sound track.
type AudioStream struct {
	Index      int      `json:"index"`
	ID         string   `json:"id,omitempty"`
	Codec      string   `json:"codec"`
	Profile    string   `json:"profile,omitempty"`
	SampleRate int      `json:"sample_rate"` // Hz
	Channels   int      `json:"channels"`
	Layout     string   `json:"channel_layout,omitempty"`
	BitDepth   int      `json:"bit_depth,omitempty"`
	TimeBase   Rational `json:"time_base"`
	StartTime  float64  `json:"start_time"` // seconds
	Duration   float64  `json:"duration,omitempty"`
	Samples    int64    `json:"samples,omitempty"`
	// Steady: packets follow one another on a fine clock but for a few jumps, which
	// are meant then: holes and overlaps where files were joined. Absent where not
	// known; where it is false the clock strays.
	Steady   *bool             `json:"steady,omitempty"`
	BitRate  int64             `json:"bit_rate,omitempty"`
	Language string            `json:"language,omitempty"`
	Default  bool              `json:"default,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
}

// OtherStream is a track that is neither picture nor sound.
type OtherStream struct {
	Index    int               `json:"index"`
	Type     string            `json:"type"` // subtitle | data | attachment | timecode
	Codec    string            `json:"codec,omitempty"`
	Language string            `json:"language,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
}

// Chapter is a named span.
type Chapter struct {
	Span
	Title string `json:"title,omitempty"`
}

// MainVideo returns the first picture track that is not a cover image.
func (i *Info) MainVideo() *VideoStream {
	for n := range i.Video {
		if !i.Video[n].Attached {
			return &i.Video[n]
		}
	}
	return nil
}

// HasAudio reports whether there is a sound track.
func (i *Info) HasAudio() bool { return len(i.Audio) > 0 }

// DisplaySize is the size in square pixels as a viewer sees it: sample aspect
// ratio and rotation applied.
func (v *VideoStream) DisplaySize() (w, h int) {
	w, h = v.Width, v.Height
	if v.SAR.Known() && v.SAR.Num > 0 && v.SAR.Num != v.SAR.Den {
		w = int(float64(w)*v.SAR.Float() + 0.5)
	}
	if v.Rotation == 90 || v.Rotation == 270 {
		w, h = h, w
	}
	return w, h
}

// ResolutionClass names the height class prices are kept by: 480, 540, 720,
// 1080, 2k, 4k or 8k, from the shorter displayed side.
func (v *VideoStream) ResolutionClass() string {
	short := min(v.DisplaySize())
	for _, c := range []struct {
		max  int
		name string
	}{{480, "480"}, {540, "540"}, {720, "720"}, {1088, "1080"}, {1440, "2k"}, {2160, "4k"}} {
		if short <= c.max {
			return c.name
		}
	}
	return "8k"
}

// BitsPerPixel is how many bits the main video spends on a pixel of a frame, by
// the track's bit rate, or the file's where that is not known; 0 = not known.
func (i *Info) BitsPerPixel() float64 {
	v := i.MainVideo()
	if v == nil {
		return 0
	}
	bits, rate := v.BitRate, v.AvgRate.Float()
	if bits <= 0 {
		bits = i.BitRate
	}
	if rate <= 0 {
		rate = v.FrameRate.Float()
	}
	if pixels := float64(v.Width) * float64(v.Height) * rate; pixels > 0 && bits > 0 {
		return float64(bits) / pixels
	}
	return 0
}

// BitRateClass is low, normal or high: coded so thinly that encoding it anew at
// constant quality would enlarge it, or far above what viewing needs. Empty =
// not known. The limits are those of H.264, 1 and 26 Mbit/s at 1080p25.
func (i *Info) BitRateClass() string {
	switch b := i.BitsPerPixel(); {
	case b <= 0:
		return ""
	case b < 0.02:
		return "low"
	case b > 0.5:
		return "high"
	}
	return "normal"
}
