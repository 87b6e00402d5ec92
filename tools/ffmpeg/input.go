package ffmpeg

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

// Input is one -i of a command line, and everything that must stand before it.
// Exactly one of Path, URL, Stdin and Lavfi is set.
type Input struct {
	Path  string // a local file; any name is taken literally
	URL   string // http, served by the blob gate
	Stdin bool   // standard input
	Lavfi string // a source graph of our own making, never a user's text

	// Demuxer is the one demuxer that may read it, by FFmpeg's name, as the
	// sniffer found it. Demuxers that open other addresses are refused.
	Demuxer string

	Seek      *float64 // seconds; -ss before -i: from the keyframe before, then exact
	Duration  *float64 // seconds of input to read
	Loop      int      // times to start over; -1 = for ever
	MaxPixels int64    // larger pictures are refused; 0 = FFmpeg's own limit
	Extra     []string // further input options, trusted
}

// demuxers maps a demuxer's name for -f to its whole name, which is what
// -format_whitelist compares. Left out are all that fetch what a file names:
// hls, dash, concat, imf, sdp, rtsp, ffmetadata, tty and their like.
var demuxers = map[string]string{
	"mov": "mov,mp4,m4a,3gp,3g2,mj2", "matroska": "matroska,webm", "mpegts": "mpegts", "mpeg": "mpeg", "mpegvideo": "mpegvideo",
	"flv": "flv", "live_flv": "live_flv", "avi": "avi", "asf": "asf", "ogg": "ogg", "mxf": "mxf", "rm": "rm", "ivf": "ivf", "nut": "nut",
	"wav": "wav", "w64": "w64", "aiff": "aiff", "au": "au", "caf": "caf", "mp3": "mp3", "aac": "aac", "ac3": "ac3", "eac3": "eac3",
	"dts": "dts", "flac": "flac", "amr": "amr", "ape": "ape", "wv": "wv", "tta": "tta", "tak": "tak", "latm": "loas", "loas": "loas", "truehd": "truehd",
	"h264": "h264", "hevc": "hevc", "m4v": "m4v", "obu": "obu", "av1": "av1", "vc1": "vc1", "dv": "dv", "dirac": "dirac", "mjpeg": "mjpeg",
	"yuv4mpegpipe": "yuv4mpegpipe", "rawvideo": "rawvideo", "image2": "image2", "image2pipe": "image2pipe",
	"png_pipe": "png_pipe", "jpeg_pipe": "jpeg_pipe", "webp_pipe": "webp_pipe", "bmp_pipe": "bmp_pipe", "tiff_pipe": "tiff_pipe",
	"gif_pipe": "gif_pipe", "j2k_pipe": "j2k_pipe", "ppm_pipe": "ppm_pipe", "pgm_pipe": "pgm_pipe", "qoi_pipe": "qoi_pipe",
	"jpegxl_pipe": "jpegxl_pipe", "dpx_pipe": "dpx_pipe", "exr_pipe": "exr_pipe",
	"gif": "gif", "apng": "apng", "srt": "srt", "webvtt": "webvtt", "ass": "ass",
	"s16le": "s16le", "s24le": "s24le", "s32le": "s32le", "f32le": "f32le", "f64le": "f64le", "u8": "u8",
}

// Args returns the options and the -i itself, for ffmpeg. An unknown or
// forbidden demuxer is Unsupported, a malformed address Invalid.
func (in Input) Args() ([]string, error) {
	args, name, err := in.open()
	if err != nil {
		return nil, err
	}
	if in.Loop != 0 {
		args = append(args, "-stream_loop", strconv.Itoa(in.Loop))
	}
	if in.Seek != nil {
		args = append(args, "-ss", seconds(*in.Seek))
	}
	if in.Duration != nil {
		args = append(args, "-t", seconds(*in.Duration))
	}
	return append(args, "-i", name), nil
}

// open returns what ffprobe understands too, and the name to open.
func (in Input) open() (args []string, name string, err error) {
	set := 0
	for _, b := range []bool{in.Path != "", in.URL != "", in.Stdin, in.Lavfi != ""} {
		if b {
			set++
		}
	}
	if set != 1 {
		return nil, "", errs.New(errs.Internal, "ffmpeg", "an input has one of path, url, stdin and lavfi, not %d", set)
	}
	for _, t := range []*float64{in.Seek, in.Duration} {
		if t != nil && !(*t >= 0 && *t < 1e9) {
			return nil, "", errs.New(errs.Invalid, "ffmpeg", "time %v s is out of range", *t)
		}
	}
	demuxer, whole := in.Demuxer, demuxers[in.Demuxer]
	if in.Lavfi != "" {
		demuxer, whole = "lavfi", "lavfi"
	}
	if whole == "" {
		return nil, "", errs.New(errs.Unsupported, "ffmpeg", "no demuxer %q for media", in.Demuxer)
	}
	args = []string{"-f", demuxer, "-format_whitelist", whole}
	switch {
	case in.Path != "":
		// file: keeps a name such as concat:x from being taken for a protocol.
		name, args = "file:"+in.Path, append(args, "-protocol_whitelist", "file")
	case in.URL != "":
		u, err := url.Parse(in.URL)
		if err != nil || u.Scheme != "http" || u.Hostname() == "" {
			return nil, "", errs.New(errs.Invalid, "ffmpeg", "an input address must be http, %q is not", in.URL)
		}
		// Short gaps are read through instead of asked for anew (33.0 → 29.5 MB
		// served for a 29 MB mp4 with its index at the end), and there are two
		// attempts (at once, after 1 s) if a connection breaks; what is broken
		// for longer is retried as a whole. What a socket holds when the reader
		// leaves was fetched for nothing, so it holds little. -multiple_requests is left out:
		// FFmpeg 5.1 opens a connection for each seek with it as without.
		name, args = in.URL, append(args, "-protocol_whitelist", "http,tcp",
			"-seekable", "1", "-short_seek_size", "262144", "-recv_buffer_size", "131072",
			"-reconnect", "1", "-reconnect_on_network_error", "1", "-reconnect_delay_max", "2")
	case in.Stdin:
		name, args = "pipe:0", append(args, "-protocol_whitelist", "pipe")
	default:
		name, args = in.Lavfi, append(args, "-protocol_whitelist", "file")
	}
	switch demuxer {
	case "mov":
		// A track may say that its media lies in another file.
		args = append(args, "-enable_drefs", "0", "-use_absolute_path", "0")
	case "image2":
		if !slices.Contains(in.Extra, "-pattern_type") {
			args = append(args, "-pattern_type", "none") // a % or * in the name is a % or *
		}
	}
	if in.MaxPixels > 0 {
		args = append(args, "-max_pixels", strconv.FormatInt(in.MaxPixels, 10))
	}
	return append(args, in.Extra...), name, nil
}

// seconds prints a time to the microsecond, FFmpeg's resolution for options.
func seconds(s float64) string {
	t := strconv.FormatFloat(s, 'f', 6, 64)
	return strings.TrimSuffix(strings.TrimRight(t, "0"), ".")
}
