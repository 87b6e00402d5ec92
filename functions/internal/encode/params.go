package encode

import (
	"regexp"
	"strconv"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// Params are the request parameters of every function that writes a video.
// Embed it in the function's own parameter struct.
type Params struct {
	Format string `json:"format" default:"mp4" enum:"mp4,mov,mkv,webm" help:"container of the result"`

	Codec           string   `json:"codec" default:"" enum:",h264,h265,av1,vp9" help:"video codec; empty = h264, or vp9 in webm"`
	CRF             *float64 `json:"crf" min:"0" max:"63" help:"constant quality, lower is better; h264 and h265 0–51, av1 1–63, vp9 0–63; not given = 23, 28, 35, 31" example:"23"`
	Bitrate         int64    `json:"bitrate" default:"0" min:"0" max:"800000000" unit:"bit/s" help:"average bit rate in place of crf; 0 = constant quality"`
	MaxBitrate      int64    `json:"max_bitrate" default:"0" min:"0" max:"800000000" unit:"bit/s" help:"peak rate of the decoder's buffer model; 0 = none"`
	Buffer          int64    `json:"buffer" default:"0" min:"0" max:"1600000000" unit:"bit" help:"size of that buffer; 0 = two seconds of max_bitrate"`
	RateControl     string   `json:"rate" default:"auto" enum:"auto,asked" help:"where neither crf, bitrate nor max_bitrate is given: auto caps sources of very low or very high rate, asked takes the codec's default crf for all"`
	Preset          string   `json:"preset" default:"medium" enum:"ultrafast,superfast,veryfast,faster,fast,medium,slow,slower,veryslow" help:"speed against size, mapped to each encoder's own scale"`
	Tune            string   `json:"tune" default:"" enum:",film,animation,grain,stillimage,fastdecode,zerolatency,psnr,ssim,screen" help:"what the encoder favours; the choice depends on the codec"`
	Profile         string   `json:"profile" default:"" enum:",baseline,main,high,main10,high10,high422,high444" help:"codec profile; empty = as needed"`
	Level           string   `json:"level" default:"" pattern:"[1-6](\\.[0-2])?" help:"codec level of h264 and h265, such as 4.1; empty = as needed"`
	GOP             int      `json:"gop" default:"0" min:"0" max:"9999" unit:"frames" help:"most frames from keyframe to keyframe; 0 = the encoder's default"`
	KeyframeSeconds float64  `json:"keyframe_seconds" default:"0" min:"0" max:"600" unit:"s" help:"a keyframe every so many seconds; 0 = gop decides"`
	BFrames         *int     `json:"bframes" min:"0" max:"16" unit:"frames" help:"most B frames in a row (h264, h265)"`

	Width       int    `json:"width" default:"0" min:"0" max:"16384" unit:"px" help:"width of the box the displayed picture goes into; 0 = from the height, or as it is"`
	Height      int    `json:"height" default:"0" min:"0" max:"16384" unit:"px" help:"height of the box; 0 = from the width, or as it is"`
	Fit         string `json:"fit" default:"contain" enum:"contain,cover,pad,stretch" help:"inside the box, fill and cut it, inside on bars, or distort to it"`
	PadColor    string `json:"pad_color" default:"black" pattern:"[a-zA-Z]{3,24}|#[0-9a-fA-F]{6}" help:"colour of the bars of fit pad: a name or #rrggbb"`
	Upscale     bool   `json:"upscale" default:"false" help:"enlarge smaller pictures too"`
	FPS         string `json:"fps" default:"" pattern:"[0-9]{1,6}(\\.[0-9]{1,3}|/[0-9]{1,4})?" help:"constant frame rate, as 25, 29.97 or 30000/1001; empty keeps every frame's own time" example:"30000/1001"`
	PixelFormat string `json:"pixel_format" default:"yuv420p" enum:"yuv420p,yuv422p,yuv444p" help:"chroma resolution"`
	BitDepth    int    `json:"bit_depth" default:"0" min:"0" max:"10" unit:"bit" help:"8 or 10 bits a sample; 0 = the source's, 8 for h264"`
	Color       string `json:"color" default:"keep" enum:"keep,bt709" help:"keep the source's colour space, or convert to BT.709"`
	HDR         string `json:"hdr" default:"auto" enum:"auto,keep,tonemap,refuse" help:"HDR sources: keep where the codec can and tone-map otherwise, keep, tone-map to BT.709, or refuse"`
	Deinterlace string `json:"deinterlace" default:"auto" enum:"auto,off,on" help:"make frames of fields; auto = where the source says it is interlaced"`

	AudioCodec      string `json:"audio_codec" default:"" enum:",aac,opus,mp3,flac,vorbis,alac,ac3,pcm,copy,none" help:"sound codec; empty = aac, or opus in webm; none leaves sound out"`
	AudioBitrate    int64  `json:"audio_bitrate" default:"0" min:"0" max:"2048000" unit:"bit/s" help:"sound bit rate; 0 = the codec's default for the channels"`
	AudioSampleRate int    `json:"audio_sample_rate" default:"0" min:"0" max:"192000" unit:"Hz" help:"sound sample rate; 0 = the source's"`
	AudioChannels   int    `json:"audio_channels" default:"0" min:"0" max:"8" help:"sound channels; 0 = the source's"`

	Metadata  string `json:"metadata" default:"keep" enum:"keep,strip" help:"titles, dates and chapters of the source"`
	Subtitles string `json:"subtitles" default:"drop" enum:"keep,drop" help:"subtitle tracks, where the container can carry them"`
	FastStart bool   `json:"faststart" default:"true" help:"put the index of mp4 and mov in front, so that playing starts while loading"`
}

// Normalize fills in what depends on other parameters. It is called by Check
// and by every reader that got Params from elsewhere.
func (p *Params) Normalize() {
	if p.Codec == "" {
		if p.Codec = "h264"; p.Format == "webm" {
			p.Codec = "vp9"
		}
	}
	if p.AudioCodec == "" {
		p.AudioCodec = DefaultSound(p.Format)
	}
}

// Check normalizes and tests combinations. Errors are Invalid and name the
// parameter.
func (p *Params) Check() error {
	p.Normalize()
	if err := p.Video().Check(p.Format); err != nil {
		return err
	}
	if err := p.Sound().Check(p.Format, "audio_"); err != nil {
		return err
	}
	c := videoCodecs[p.Codec]
	known := false
	for _, l := range c.pixels {
		known = known || l == p.PixelFormat
	}
	switch {
	case !known:
		return errs.InField("params.pixel_format", "%s has no %s here", p.Codec, p.PixelFormat)
	case p.BitDepth != 0 && p.BitDepth != 8 && p.BitDepth != 10:
		return errs.InField("params.bit_depth", "must be 8 or 10")
	case p.Width == 1 || p.Height == 1:
		return errs.InField(map[bool]string{true: "params.width", false: "params.height"}[p.Width == 1], "must be at least 2 px")
	case (p.Fit == "cover" || p.Fit == "pad") && (p.Width == 0 || p.Height == 0):
		return errs.InField("params.fit", "%s needs both width and height", p.Fit)
	case p.Fit == "stretch" && p.Width == 0 && p.Height == 0:
		return errs.InField("params.fit", "stretch needs width or height")
	case p.HDR == "keep" && p.Color == "bt709":
		return errs.InField("params.hdr", "cannot be kept with color bt709")
	}
	if err := p.checkProfile(); err != nil {
		return err
	}
	if p.FPS != "" {
		if r := p.Rate(); !r.Known() || r.Float() < 0.1 || r.Float() > 480 {
			return errs.InField("params.fps", "must be 0.1–480 frames a second")
		}
	}
	return nil
}

// checkProfile holds profiles against pixel formats.
func (p *Params) checkProfile() error {
	depth, chroma := 8, "yuv420p"
	switch p.Profile {
	case "":
		return nil
	case "high10", "main10":
		depth = 10
	case "main":
		if p.Codec == "av1" { // its main profile has both
			return p.checkChroma(chroma)
		}
	case "high422":
		depth, chroma = 10, "yuv422p"
	case "high444":
		depth, chroma = 10, "yuv444p"
	}
	if p.BitDepth > depth {
		return errs.InField("params.profile", "%s has no %d bits", p.Profile, p.BitDepth)
	}
	if err := p.checkChroma(chroma); err != nil {
		return err
	}
	if p.BitDepth == 0 && p.Codec != "h264" && p.Profile == "main" {
		p.BitDepth = 8 // main says so
	}
	if p.Profile == "main10" {
		p.BitDepth = 10
	}
	return nil
}

func (p *Params) checkChroma(most string) error {
	if p.PixelFormat > most {
		return errs.InField("params.profile", "%s has no %s", p.Profile, p.PixelFormat)
	}
	return nil
}

// Video is the encoder's part of the parameters.
func (p *Params) Video() Video {
	return Video{Codec: p.Codec, CRF: p.CRF, Bitrate: p.Bitrate, MaxBitrate: p.MaxBitrate, Buffer: p.Buffer, Preset: p.Preset,
		Tune: p.Tune, Profile: p.Profile, Level: p.Level, GOP: p.GOP, KeySeconds: p.KeyframeSeconds, BFrames: p.BFrames}
}

// Sound is the sound encoder's part.
func (p *Params) Sound() Sound {
	return Sound{Codec: p.AudioCodec, Bitrate: p.AudioBitrate, SampleRate: p.AudioSampleRate, Channels: p.AudioChannels}
}

// Picture is the filters' part.
func (p *Params) Picture() Picture {
	return Picture{Width: p.Width, Height: p.Height, Fit: p.Fit, Pad: p.PadColor, Upscale: p.Upscale, Layout: p.PixelFormat,
		BitDepth: p.BitDepth, Color: p.Color, HDR: p.HDR, Deinterlace: p.Deinterlace}
}

var fraction = regexp.MustCompile(`^([0-9]+)/([0-9]+)$`)

// Rate is FPS as a fraction: 29.97, 23.976, 59.94 and 119.88 mean the exact
// NTSC rates. The zero value means that none is set.
func (p *Params) Rate() media.Rational {
	if p.FPS == "" {
		return media.Rational{}
	}
	if m := fraction.FindStringSubmatch(p.FPS); m != nil {
		num, _ := strconv.ParseInt(m[1], 10, 64)
		den, _ := strconv.ParseInt(m[2], 10, 64)
		if den == 0 {
			return media.Rational{}
		}
		return media.Rational{Num: num, Den: den}.Reduce()
	}
	for base, name := range map[int64][]string{24000: {"23.976", "23.98"}, 30000: {"29.97"}, 60000: {"59.94"}, 120000: {"119.88"}} {
		for _, n := range name {
			if p.FPS == n {
				return media.Rational{Num: base, Den: 1001}
			}
		}
	}
	f, err := strconv.ParseFloat(p.FPS, 64)
	if err != nil {
		return media.Rational{}
	}
	return media.Rational{Num: int64(f*1000 + 0.5), Den: 1000}.Reduce()
}

// Speed estimates how many pixels a second one core encodes, for prices.
func (p *Params) Speed() float64 {
	base := map[string]float64{"h264": 25e6, "h265": 8e6, "av1": 12e6, "vp9": 8e6}[p.Codec]
	return base * map[string]float64{"ultrafast": 6, "superfast": 4, "veryfast": 2.6, "faster": 1.7, "fast": 1.2, "medium": 1,
		"slow": 0.55, "slower": 0.25, "veryslow": 0.14}[p.Preset]
}

// Mime and Extension are of the container.
func (p *Params) Mime() string {
	return map[string]string{"mp4": "video/mp4", "mov": "video/quicktime", "mkv": "video/x-matroska", "webm": "video/webm"}[p.Format]
}

// Muxer is FFmpeg's name of the container.
func (p *Params) Muxer() string {
	if p.Format == "mkv" {
		return "matroska"
	}
	return p.Format
}
