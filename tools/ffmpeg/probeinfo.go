package ffmpeg

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/media"
)

func itoa(n int) string { return strconv.Itoa(n) }

// info translates ffprobe's answer. format overrides what the demuxer says.
func (a *answer) info(format string) *media.Info {
	f := &a.Format
	i := &media.Info{
		Format: format, Size: f.Size.int(), Duration: max(f.Duration.value, 0), StartTime: f.StartTime.value,
		BitRate: f.BitRate.int(), Tags: f.Tags,
	}
	if i.Format == "" {
		i.Format = formatName(f.Name, f.Tags["major_brand"])
	}
	i.Mime = mimes[i.Format]
	for n := range a.Streams {
		s := &a.Streams[n]
		switch s.Type {
		case "video":
			i.Video = append(i.Video, s.video())
		case "audio":
			i.Audio = append(i.Audio, s.audio())
		default:
			o := media.OtherStream{Index: s.Index, Type: s.Type, Codec: s.Codec, Language: s.Tags["language"], Tags: s.Tags}
			switch {
			case s.Tag == "tmcd":
				o.Type = "timecode"
			case o.Type == "":
				o.Type = "data"
			}
			i.Other = append(i.Other, o)
		}
	}
	for _, c := range a.Chapters {
		i.Chapters = append(i.Chapters, media.Chapter{Span: media.Span{Start: c.Start.value, End: c.End.value}, Title: c.Tags["title"]})
	}
	if f.StartTime.known && f.Name == "image2" { // made up by the demuxer
		i.StartTime = 0
	}
	i.Kind = kindOf(i)
	return i
}

func kindOf(i *media.Info) media.Kind {
	v := i.MainVideo()
	switch {
	case v != nil && imageFormats[i.Format]:
		i.Image = &media.ImageInfo{Width: v.Width, Height: v.Height, BitDepth: v.BitDepth,
			HasAlpha: hasAlpha(v.PixelFormat), Pages: int(min(v.Frames, 1<<30))}
		return media.Image
	case v != nil:
		return media.Video
	case len(i.Audio) > 0:
		return media.Audio
	}
	return media.Text // subtitles only
}

func hasAlpha(pix string) bool {
	for _, p := range []string{"rgba", "bgra", "argb", "abgr", "yuva", "gbrap", "ya8", "ya16", "pal8"} {
		if strings.HasPrefix(pix, p) {
			return true
		}
	}
	return false
}

var imageFormats = map[string]bool{"jpeg": true, "png": true, "webp": true, "gif": true, "apng": true, "bmp": true,
	"tiff": true, "jxl": true, "jp2": true, "avif": true, "heif": true, "qoi": true, "ppm": true}

// formatName is our name for what a demuxer reads. The mov demuxer tells
// QuickTime from MP4 by the brand.
func formatName(demuxer, brand string) string {
	switch demuxer {
	case "mov,mp4,m4a,3gp,3g2,mj2":
		switch b := strings.TrimSpace(brand); {
		case b == "qt":
			return "mov"
		case b == "M4A" || b == "M4B":
			return "m4a"
		case strings.HasPrefix(b, "3g"):
			return "3gp"
		case b == "avif" || b == "avis":
			return "avif"
		}
		return "mp4"
	case "matroska,webm":
		return "matroska"
	}
	if name := formatNames[demuxer]; name != "" {
		return name
	}
	return strings.TrimSuffix(demuxer, "_pipe")
}

var formatNames = map[string]string{"aac": "adts", "mpeg": "mpegps", "yuv4mpegpipe": "y4m", "image2": "image", "jpegxl_pipe": "jxl",
	"j2k_pipe": "jp2", "loas": "latm", "hevc": "hevc"}

var mimes = map[string]string{
	"mp4": "video/mp4", "mov": "video/quicktime", "m4a": "audio/mp4", "3gp": "video/3gpp", "matroska": "video/x-matroska",
	"webm": "video/webm", "mpegts": "video/mp2t", "mpegps": "video/mpeg", "flv": "video/x-flv", "avi": "video/x-msvideo",
	"asf": "video/x-ms-asf", "ogg": "audio/ogg", "wav": "audio/wav", "mp3": "audio/mpeg", "adts": "audio/aac", "flac": "audio/flac",
	"aiff": "audio/aiff", "amr": "audio/amr", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif",
	"apng": "image/apng", "bmp": "image/bmp", "tiff": "image/tiff", "avif": "image/avif", "jxl": "image/jxl", "ivf": "video/x-ivf",
	"y4m": "video/x-yuv4mpeg",
}

func (s *stream) video() media.VideoStream {
	v := media.VideoStream{
		Index: s.Index, ID: s.ID, Codec: s.Codec, Tag: codecTag(s.Tag), Profile: say(s.Profile), Level: level(s.Codec, s.Level),
		Width: s.Width, Height: s.Height, SAR: rational(s.SAR), PixelFormat: s.PixelFormat, BitDepth: depth(s),
		FieldOrder: say(s.FieldOrder), TimeBase: rational(s.TimeBase), AvgRate: rational(s.AvgRate).Reduce(),
		Frames: s.Frames.int(), StartTime: s.StartTime.value, Duration: max(s.Duration.value, 0), BitRate: s.BitRate.int(),
		Attached: s.Disposition.Attached != 0, Default: s.Disposition.Default != 0, Tags: s.Tags,
		Color: media.Color{Range: say(s.Range), Primaries: say(s.Primaries), Transfer: say(s.Transfer), Matrix: say(s.Matrix), ChromaLoc: say(s.ChromaLoc)},
	}
	// The two rates are a guess from the first frames and an average; where
	// they agree the rate is nominal. Packets tell for certain.
	if r := rational(s.RFrameRate).Reduce(); r.Known() && r == v.AvgRate {
		v.FrameRate = r
	}
	if s.HasB > 0 {
		v.BFrames = new(true)
	}
	for _, d := range s.SideData {
		if d.Type == "Display Matrix" {
			v.Rotation, v.Flip = orientation(d.Matrix, d.Rotation)
		}
	}
	v.HDR = hdr(s.SideData, v.Color.Transfer)
	return v
}

func codecTag(s string) string {
	if strings.HasPrefix(s, "[0]") { // ffprobe's way to print zero bytes
		return ""
	}
	return s
}

// level prints a level as the codec's standard names it: H.264 counts tenths,
// HEVC thirtieths, AV1 an index from 2.0 in quarters.
func level(codec string, l int) string {
	switch {
	case l < 0 || l == 0 && codec != "av1":
		return ""
	case codec == "h264":
		if l == 9 {
			return "1b"
		}
		return fmt.Sprintf("%d.%d", l/10, l%10)
	case codec == "hevc":
		return fmt.Sprintf("%d.%d", l/30, l%30/3)
	case codec == "vvc":
		return fmt.Sprintf("%d.%d", l/16, l%16/3)
	case codec == "av1":
		return fmt.Sprintf("%d.%d", 2+l>>2, l&3)
	case l == 0 || codec == "vp9" && l > 62:
		return ""
	}
	return strconv.Itoa(l)
}

// depth is bits per sample, from the codec or from the pixel format's name.
func depth(s *stream) int {
	if n := int(s.BitsRaw.int()); n > 0 && n <= 64 {
		return n
	}
	name := strings.TrimSuffix(strings.TrimSuffix(s.PixelFormat, "le"), "be")
	switch {
	case name == "" || name == "none":
		return 0
	case strings.HasPrefix(name, "p010") || strings.HasPrefix(name, "p210"):
		return 10
	case strings.HasPrefix(name, "p016") || strings.Contains(name, "48") || strings.Contains(name, "64"):
		return 16
	case name == "monow" || name == "monob":
		return 1
	case name == "rgb565" || name == "rgb555" || name == "bgr565" || name == "bgr555":
		return 5
	}
	for _, bits := range []int{9, 10, 12, 14, 16} {
		n := strconv.Itoa(bits)
		if strings.HasSuffix(name, "p"+n) || name == "gray"+n || name == "ya"+n {
			return bits
		}
	}
	return 8
}

// orientation reads a display matrix. FFmpeg's rotation is counterclockwise
// as stored, ours is what has to be done clockwise to see it upright. A
// mirrored picture has a negative determinant: it is to be flipped left to
// right first and then turned.
func orientation(matrix string, rotation float64) (clockwise int, flip bool) {
	var m [6]float64
	n := 0
	for _, l := range lines(matrix) {
		_, row, ok := strings.Cut(l, ":")
		if !ok {
			continue
		}
		for _, f := range strings.Fields(row)[:min(2, len(strings.Fields(row)))] {
			if v, err := strconv.ParseFloat(f, 64); err == nil && n < len(m) {
				m[n] = v
				n++
			}
		}
	}
	if n >= 4 {
		flip = m[0]*m[3]-m[1]*m[2] < 0
		if m[0] != 0 || m[1] != 0 {
			a, b := m[0], m[1]
			if flip {
				a, b = -a, -b // undo the mirroring of the x axis
			}
			rotation = -math.Atan2(b, a) * 180 / math.Pi
		}
	}
	if rotation-rotation != 0 {
		return 0, flip
	}
	turn := int(math.Round(-rotation/90)) % 4 * 90
	return (turn + 360) % 360, flip
}

// hdr collects static HDR metadata; nil if there is none and the transfer
// does not make it HDR by itself.
func hdr(list []sideData, transfer string) *media.HDR {
	var h media.HDR
	found := false
	for _, d := range list {
		switch d.Type {
		case "Mastering display metadata":
			h.Primaries = [3]media.Chroma{{X: fraction(d.RedX), Y: fraction(d.RedY)}, {X: fraction(d.GreenX), Y: fraction(d.GreenY)}, {X: fraction(d.BlueX), Y: fraction(d.BlueY)}}
			h.White = media.Chroma{X: fraction(d.WhiteX), Y: fraction(d.WhiteY)}
			h.MinLum, h.MaxLum = fraction(d.MinLum), fraction(d.MaxLum)
			h.Format, found = "hdr10", true
		case "Content light level metadata":
			h.Light = &media.LightLevel{MaxCLL: d.MaxCLL, MaxFALL: d.MaxFALL}
			found = true
		case "DOVI configuration record":
			h.Format, found = "dolby_vision", true
		}
	}
	if transfer == "arib-std-b67" {
		found = true
		if h.Format == "" {
			h.Format = "hlg"
		}
	}
	if !found {
		return nil
	}
	return &h
}

func (s *stream) audio() media.AudioStream {
	a := media.AudioStream{
		Index: s.Index, ID: s.ID, Codec: s.Codec, Profile: say(s.Profile), SampleRate: int(s.SampleRate.int()),
		Channels: s.Channels, Layout: say(s.Layout), TimeBase: rational(s.TimeBase), StartTime: s.StartTime.value,
		Duration: max(s.Duration.value, 0), BitRate: s.BitRate.int(), Language: s.Tags["language"],
		Default: s.Disposition.Default != 0, Tags: s.Tags,
	}
	switch a.BitDepth = int(s.BitsRaw.int()); {
	case a.BitDepth == 0:
		a.BitDepth = s.Bits
	}
	// Ticks of one sample make the stream's duration a count of samples.
	if a.TimeBase.Num == 1 && a.TimeBase.Den == int64(a.SampleRate) && s.DurationTicks > 0 {
		a.Samples = s.DurationTicks
	}
	return a
}
