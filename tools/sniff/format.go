// Package sniff says what a file really is from its first bytes. Names,
// extensions and declared types are never looked at: they are what an attacker
// chooses. The answer names the one ffmpeg demuxer that may read the file, so
// that ffmpeg never probes and a playlist is never followed.
package sniff

import "github.com/mediafn/mediafn/core/media"

// HeadSize is how many first bytes Sniff looks at, at most.
const HeadSize = 64 << 10

// Format is one file format.
type Format struct {
	Name     string     // mp4, matroska, jpeg, …, as in media.Info.Format
	Kind     media.Kind // what it usually holds; an mp4 may still turn out to hold only sound
	Mime     string
	Demuxer  string // ffmpeg -f name to force; "" for formats the image engine reads
	Animated bool   // an image that says in its head that it has more than one frame
}

// formats is every format Sniff can answer.
var formats = []Format{
	{Name: "mp4", Kind: media.Video, Mime: "video/mp4", Demuxer: "mov"},
	{Name: "mov", Kind: media.Video, Mime: "video/quicktime", Demuxer: "mov"},
	{Name: "m4a", Kind: media.Audio, Mime: "audio/mp4", Demuxer: "mov"},
	{Name: "3gp", Kind: media.Video, Mime: "video/3gpp", Demuxer: "mov"},
	{Name: "matroska", Kind: media.Video, Mime: "video/x-matroska", Demuxer: "matroska"},
	{Name: "webm", Kind: media.Video, Mime: "video/webm", Demuxer: "matroska"},
	{Name: "mpegts", Kind: media.Video, Mime: "video/mp2t", Demuxer: "mpegts"},
	{Name: "mpegps", Kind: media.Video, Mime: "video/mpeg", Demuxer: "mpeg"},
	{Name: "flv", Kind: media.Video, Mime: "video/x-flv", Demuxer: "flv"},
	{Name: "avi", Kind: media.Video, Mime: "video/x-msvideo", Demuxer: "avi"},
	{Name: "asf", Kind: media.Video, Mime: "video/x-ms-asf", Demuxer: "asf"},
	{Name: "y4m", Kind: media.Video, Mime: "video/x-yuv4mpeg", Demuxer: "yuv4mpegpipe"},
	{Name: "ivf", Kind: media.Video, Mime: "video/x-ivf", Demuxer: "ivf"},
	{Name: "ogg", Kind: media.Audio, Mime: "audio/ogg", Demuxer: "ogg"},
	{Name: "wav", Kind: media.Audio, Mime: "audio/wav", Demuxer: "wav"},
	{Name: "mp3", Kind: media.Audio, Mime: "audio/mpeg", Demuxer: "mp3"},
	{Name: "adts", Kind: media.Audio, Mime: "audio/aac", Demuxer: "aac"},
	{Name: "flac", Kind: media.Audio, Mime: "audio/flac", Demuxer: "flac"},
	{Name: "aiff", Kind: media.Audio, Mime: "audio/aiff", Demuxer: "aiff"},
	{Name: "amr", Kind: media.Audio, Mime: "audio/amr", Demuxer: "amr"},
	{Name: "jpeg", Kind: media.Image, Mime: "image/jpeg"},
	{Name: "png", Kind: media.Image, Mime: "image/png"},
	{Name: "webp", Kind: media.Image, Mime: "image/webp"},
	{Name: "gif", Kind: media.Image, Mime: "image/gif"},
	{Name: "avif", Kind: media.Image, Mime: "image/avif"},
	{Name: "heif", Kind: media.Image, Mime: "image/heif"},
	{Name: "tiff", Kind: media.Image, Mime: "image/tiff"},
	{Name: "bmp", Kind: media.Image, Mime: "image/bmp"},
	{Name: "svg", Kind: media.Image, Mime: "image/svg+xml"},
}

// alias maps other names people and tools use to ours.
var alias = map[string]string{
	"jpg": "jpeg", "mkv": "matroska", "ts": "mpegts", "m2ts": "mpegts", "aac": "adts", "wmv": "asf", "wma": "asf",
	"heic": "heif", "tif": "tiff", "apng": "png", "qt": "mov", "m4v": "mp4", "3g2": "3gp", "mpeg": "mpegps",
	"vob": "mpegps", "oga": "ogg", "ogv": "ogg", "opus": "ogg", "aif": "aiff", "yuv4mpegpipe": "y4m",
}

// FormatByName returns the format called name, or called so by its usual file
// extension ("jpg", "mkv"), and whether there is one.
func FormatByName(name string) (Format, bool) {
	if a, ok := alias[name]; ok {
		name = a
	}
	for _, f := range formats {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}
