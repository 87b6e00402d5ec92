package encode

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
)

// Video says how a picture track is encoded. The zero value of a field leaves
// the choice to this package.
type Video struct {
	Codec      string   // h264, h265, av1 or vp9
	CRF        *float64 // constant quality; nil = the codec's default unless Bitrate is set
	Bitrate    int64    // bit/s, average
	MaxBitrate int64    // bit/s, of the decoder's buffer model
	Buffer     int64    // bit, of the same
	Cap        bool     // MaxBitrate was not asked for: it only keeps the size down
	Preset     string   // one of Presets
	Tune       string
	Profile    string
	Level      string  // "4.1"
	GOP        int     // frames between keyframes at most
	KeySeconds float64 // a keyframe at the first picture at or behind each multiple of it, from the first picture on
	KeyFrom    float64 // seconds from the first picture of the whole to the first that is encoded
	KeyAt      int64   // number of a frame that must be a keyframe, beside the first; 0 = none
	BFrames    *int    // between two others, at most

	// Pass is which of two passes this is: 1 writes Log in the working folder,
	// 2 reads it; 0 = there is one.
	Pass int
	// Start is the part of the decoder's buffer that is full when the stream starts;
	// 0 = the encoder's default. Saved is a part of MaxBitrate that is not used.
	Start, Saved float64
}

// Log is the file of statistics between two passes, and what FFmpeg's option
// says to get it. Trees of references lie beside it.
const (
	Log       = logPrefix + "-0.log"
	logPrefix = "rate"
)

// TwoPass reports whether the bit rate is aimed at in two passes. FFmpeg 5.1
// has no first pass of SVT-AV1.
func (v Video) TwoPass() bool { return v.Bitrate > 0 && videoCodecs[v.Codec].passes }

// Shared reports whether slices can share the bits of the whole: whether what
// first passes say of slices is enough to give each what it would have had.
func (v Video) Shared() bool { return v.TwoPass() && (v.Codec == "h264" || v.Codec == "h265") }

// Presets are the speeds of every encoder, fastest first, by x264's names.
var Presets = []string{"ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"}

// videoCodec is what one encoder can do.
type videoCodec struct {
	encoder    string
	crf        float64 // default
	crfMax     float64
	min, max   int64 // bit/s
	tunes      []string
	profiles   []string
	containers []string
	pixels     []string // chroma layouts
	vbv        bool
	levels     bool
	passes     bool // has a first and a second pass
	bframes    int  // most; 0 = not to be set
}

var videoCodecs = map[string]videoCodec{
	"h264": {passes: true, encoder: "libx264", crf: 23, crfMax: 51, min: 10_000, max: 800_000_000, vbv: true, levels: true, bframes: 16,
		tunes:      []string{"film", "animation", "grain", "stillimage", "fastdecode", "zerolatency", "psnr", "ssim"},
		profiles:   []string{"baseline", "main", "high", "high10", "high422", "high444"},
		containers: []string{"mp4", "mov", "mkv"}, pixels: []string{"yuv420p", "yuv422p", "yuv444p"}},
	"h265": {passes: true, encoder: "libx265", crf: 28, crfMax: 51, min: 10_000, max: 800_000_000, vbv: true, levels: true, bframes: 16,
		tunes:    []string{"animation", "grain", "fastdecode", "zerolatency", "psnr", "ssim"},
		profiles: []string{"main", "main10"}, containers: []string{"mp4", "mov", "mkv"}, pixels: []string{"yuv420p", "yuv422p", "yuv444p"}},
	"av1": {encoder: "libsvtav1", crf: 35, crfMax: 63, min: 10_000, max: 100_000_000,
		tunes: []string{"psnr"}, profiles: []string{"main"}, containers: []string{"mp4", "mkv", "webm"}, pixels: []string{"yuv420p"}},
	"vp9": {passes: true, encoder: "libvpx-vp9", crf: 31, crfMax: 63, min: 10_000, max: 400_000_000, vbv: true,
		tunes: []string{"psnr", "ssim", "film", "screen"}, containers: []string{"mp4", "mkv", "webm"}, pixels: []string{"yuv420p", "yuv422p", "yuv444p"}},
}

// Check tests the combination for a container: mp4, mov, mkv or webm.
func (v Video) Check(container string) error {
	c, ok := videoCodecs[v.Codec]
	if !ok {
		return errs.InField("params.codec", "must be h264, h265, av1 or vp9, not %q", v.Codec)
	}
	refuse := func(field, format string, args ...any) error { return errs.InField("params."+field, format, args...) }
	switch {
	case !slices.Contains(c.containers, container):
		return refuse("codec", "%s does not go into %s; it goes into %s", v.Codec, container, strings.Join(c.containers, ", "))
	case v.CRF != nil && v.Bitrate != 0:
		return refuse("bitrate", "crf and bitrate exclude each other")
	case v.CRF != nil && *v.CRF > c.crfMax:
		return refuse("crf", "must be at most %v for %s", c.crfMax, v.Codec)
	case v.CRF != nil && *v.CRF != float64(int(*v.CRF)) && (v.Codec == "av1" || v.Codec == "vp9"):
		return refuse("crf", "must be a whole number for %s", v.Codec)
	case v.CRF != nil && *v.CRF < 1 && v.Codec == "av1":
		return refuse("crf", "must be at least 1 for av1")
	case v.Bitrate != 0 && (v.Bitrate < c.min || v.Bitrate > c.max):
		return refuse("bitrate", "must be %d–%d bit/s for %s", c.min, c.max, v.Codec)
	case v.MaxBitrate != 0 && !c.vbv:
		return refuse("max_bitrate", "%s has no such limit here", v.Codec)
	case v.MaxBitrate != 0 && v.MaxBitrate < v.Bitrate:
		return refuse("max_bitrate", "must not be below bitrate")
	case v.Buffer != 0 && v.MaxBitrate == 0:
		return refuse("buffer", "needs max_bitrate")
	case v.Tune != "" && !slices.Contains(c.tunes, v.Tune):
		return refuse("tune", "%s has %s, not %s", v.Codec, strings.Join(c.tunes, ", "), v.Tune)
	case v.Profile != "" && !slices.Contains(c.profiles, v.Profile):
		return refuse("profile", "%s has %s, not %s", v.Codec, strings.Join(append([]string{"none to choose"}, c.profiles...), ", "), v.Profile)
	case v.Level != "" && !c.levels:
		return refuse("level", "cannot be chosen for %s", v.Codec)
	case v.GOP != 0 && v.KeySeconds != 0:
		return refuse("keyframe_seconds", "gop and keyframe_seconds exclude each other")
	case v.BFrames != nil && c.bframes == 0:
		return refuse("bframes", "cannot be chosen for %s", v.Codec)
	case v.BFrames != nil && *v.BFrames > 0 && v.Profile == "baseline":
		return refuse("bframes", "profile baseline has none")
	}
	return nil
}

// VBV is the decoder buffer model asked for: bit/s and bits, 0 for none.
func (v Video) VBV() (rate, buffer int64) {
	if v.MaxBitrate == 0 {
		return 0, 0
	}
	if v.Buffer == 0 {
		return v.MaxBitrate, 2 * v.MaxBitrate
	}
	return v.MaxBitrate, v.Buffer
}

// KeepsBuffer reports whether the stream is promised to hold to that model. One
// that only caps the rate (see RateFor) is not, nor one of libvpx, where
// MaxBitrate limits the average.
func (v Video) KeepsBuffer() bool {
	return v.MaxBitrate > 0 && !v.Cap && (v.Codec == "h264" || v.Codec == "h265")
}

// CarriesHDR reports whether the encoder writes static HDR metadata. FFmpeg
// 5.1 hands it to none by itself; x265 and SVT-AV1 take it as parameters.
func (v Video) CarriesHDR() bool { return v.Codec == "h265" || v.Codec == "av1" }

// Args are the output options that select and set up the encoder, threads
// pinned. tags name the colours as they arrive at the encoder; hdr is the
// static metadata to write, or nil; width chooses VP9's tiles.
func (v Video) Args(threads, width int, tags media.Color, hdr *media.HDR, container string) []string {
	c := videoCodecs[v.Codec]
	threads = max(threads, 1)
	args := []string{"-c:v", c.encoder}
	add := func(more ...string) { args = append(args, more...) }
	var private []string
	step := max(slices.Index(Presets, v.Preset), 0)
	switch v.Codec {
	case "h264", "h265":
		add("-preset", v.Preset)
	case "av1":
		add("-preset", itoa([]int{12, 11, 10, 9, 8, 7, 5, 4, 3}[step]))
	case "vp9":
		deadline := "good"
		if step < 2 && v.Pass == 0 { // libvpx has no two passes in real time
			deadline = "realtime"
		}
		speed := []int{8, 6, 5, 4, 3, 2, 1, 1, 0}[step]
		if deadline == "good" {
			speed = min(speed, 5) // its highest
		}
		add("-deadline", deadline, "-cpu-used", itoa(speed))
	}
	add(v.rate(c)...)
	if v.GOP > 0 {
		add("-g", itoa(v.GOP))
	}
	if v.KeySeconds > 0 {
		if v.GOP == 0 {
			add("-g", "9999")
		}
		add("-force_key_frames", v.keyframes())
	} else if v.KeyAt > 0 {
		add("-force_key_frames", "expr:eq(n,"+strconv.FormatInt(v.KeyAt, 10)+")")
	}
	if v.BFrames != nil {
		add("-bf", itoa(*v.BFrames))
	}
	if v.Profile != "" && v.Codec != "av1" {
		add("-profile:v", v.Profile)
	}
	switch v.Codec {
	case "h264":
		if v.Tune != "" {
			add("-tune", v.Tune)
		}
		if v.Level != "" {
			add("-level:v", v.Level)
		}
		add("-threads:v", itoa(threads), "-forced-idr", "1")
		if v.Start > 0 {
			add("-rc_init_occupancy:v", strconv.FormatFloat(v.Start*v.buffer(), 'f', 0, 64))
		}
	case "h265":
		if v.Tune != "" {
			add("-tune", v.Tune)
		}
		// An open GOP at a joint would refer to frames of another slice.
		private = append(private, "log-level=error", "open-gop=0", "pools="+itoa(threads), "frame-threads="+itoa(min(threads, 4)))
		if v.Level != "" {
			private = append(private, "level-idc="+v.Level)
		}
		if v.Pass > 0 { // FFmpeg's own options do not reach x265
			private = append(private, "pass="+itoa(v.Pass), "stats="+Log)
		}
		if v.Pass == 1 {
			private = append(private, "slow-firstpass=0")
		}
		if v.Start > 0 {
			private = append(private, "vbv-init="+number(v.Start))
		}
		if hdr != nil {
			private = append(private, "repeat-headers=1")
			if tags.Transfer == "smpte2084" { // of others it would claim light levels of 0
				private = append(private, "hdr10=1")
			}
			private = append(private, hdrX265(hdr)...)
		}
		add("-forced-idr", "1", "-x265-params", strings.Join(private, ":"))
		if container == "mp4" || container == "mov" {
			add("-tag:v", "hvc1") // Apple's players take no other
		}
	case "av1":
		private = append(private, "lp="+itoa(threads))
		if v.Tune == "psnr" {
			private = append(private, "tune=1")
		}
		if hdr != nil {
			private = append(private, hdrSVT(hdr)...)
		}
		add("-svtav1-params", strings.Join(private, ":"))
	case "vp9":
		tiles := 0 // a tile is at least 256 pixels wide
		for tiles < 4 && width >= 512<<tiles {
			tiles++
		}
		add("-row-mt", "1", "-threads:v", itoa(threads), "-tile-columns", itoa(tiles), "-lag-in-frames", "25", "-auto-alt-ref", "1")
		switch v.Tune {
		case "psnr", "ssim":
			add("-tune", v.Tune)
		case "film", "screen":
			add("-tune-content", v.Tune)
		}
	}
	if v.Pass == 2 && v.Codec == "h264" {
		// Headers that do not depend on the slice; and a target that is met closely
		// also by ten seconds.
		add("-x264-params", "stitchable=1:ratetol=0.2")
	}
	if v.Pass > 0 && v.Codec != "h265" {
		add("-pass:v", itoa(v.Pass), "-passlogfile:v", logPrefix)
	}
	return append(args, colorArgs(tags)...)
}

// Distance is how many frames lie between keyframes where no scene changes; 0
// where it is not known, or seconds count.
func (v Video) Distance() int64 {
	switch {
	case v.KeySeconds > 0 || v.Codec != "h264" && v.Codec != "h265":
		return 0
	case v.GOP > 0:
		return int64(v.GOP)
	}
	return 250 // x264's and x265's default
}

// keyframes is the expression that is true for the first picture of every
// interval. It counts intervals, not keyframes: a slice may begin inside of
// one, and a gap may span several. FFmpeg counts t from the first picture it
// encodes.
func (v Video) keyframes() string {
	interval := func(t string) string {
		return "floor((" + t + "+(" + number(v.KeyFrom+slice.GridSlack) + "))/" + number(v.KeySeconds) + ")"
	}
	return "expr:if(isnan(prev_forced_t),1,gt(" + interval("t") + "," + interval("prev_forced_t") + "))"
}

func (v Video) buffer() float64 {
	_, bits := v.VBV()
	return float64(bits)
}

// rate is the choice of quality or bit rate.
func (v Video) rate(c videoCodec) []string {
	var args []string
	if v.Pass == 1 && v.Codec != "vp9" {
		// One quality for all: what it takes in one slice compares with what it takes
		// in another, and nothing is spent on finding the bit rate.
		return []string{"-crf", number(c.crf)}
	}
	if v.Bitrate > 0 {
		args = append(args, "-b:v", strconv.FormatInt(v.Bitrate, 10))
	} else {
		crf := c.crf
		if v.CRF != nil {
			crf = *v.CRF
		}
		args = append(args, "-crf", number(crf))
		if v.Codec == "vp9" { // without it, crf is only a limit; with it, the limit of crf
			args = append(args, "-b:v", strconv.FormatInt(int64(float64(v.MaxBitrate)*(1-v.Saved)), 10))
		}
	}
	if rate, buffer := v.VBV(); rate > 0 {
		rate = int64(float64(rate) * (1 - v.Saved))
		args = append(args, "-maxrate:v", strconv.FormatInt(rate, 10), "-bufsize:v", strconv.FormatInt(buffer, 10))
	}
	return args
}

// colorArgs tag the stream; what is not known is not tagged.
func colorArgs(c media.Color) []string {
	var args []string
	for _, p := range [][2]string{{"-color_range", c.Range}, {"-color_primaries", c.Primaries}, {"-color_trc", c.Transfer}, {"-colorspace", c.Matrix}} {
		if p[1] != "" {
			args = append(args, p[0], p[1])
		}
	}
	return args
}

// hdrX265 writes ST 2086 in units of 0.00002 and 0.0001 cd/m², green, blue,
// red, as x265's --master-display and --max-cll take it.
func hdrX265(h *media.HDR) []string {
	var out []string
	if h.MaxLum.Known() {
		xy := func(c media.Chroma) string { return fmt.Sprintf("(%.0f,%.0f)", c.X.Float()*50000, c.Y.Float()*50000) }
		out = append(out, "master-display=G"+xy(h.Primaries[1])+"B"+xy(h.Primaries[2])+"R"+xy(h.Primaries[0])+"WP"+xy(h.White)+
			fmt.Sprintf("L(%.0f,%.0f)", h.MaxLum.Float()*10000, h.MinLum.Float()*10000))
	}
	if h.Light != nil {
		out = append(out, fmt.Sprintf("max-cll=%d,%d", h.Light.MaxCLL, h.Light.MaxFALL))
	}
	return out
}

// hdrSVT writes the same as SVT-AV1 takes it, in plain numbers.
func hdrSVT(h *media.HDR) []string {
	var out []string
	if h.MaxLum.Known() {
		xy := func(c media.Chroma) string { return fmt.Sprintf("(%.5f,%.5f)", c.X.Float(), c.Y.Float()) }
		out = append(out, "mastering-display=G"+xy(h.Primaries[1])+"B"+xy(h.Primaries[2])+"R"+xy(h.Primaries[0])+"WP"+xy(h.White)+
			fmt.Sprintf("L(%.4f,%.4f)", h.MaxLum.Float(), h.MinLum.Float()))
	}
	if h.Light != nil {
		out = append(out, fmt.Sprintf("content-light=%d,%d", h.Light.MaxCLL, h.Light.MaxFALL))
	}
	return out
}

func itoa(n int) string { return strconv.Itoa(n) }

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
