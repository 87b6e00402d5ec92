// Package ladder holds the functions video → package: one video in several
// renditions, cut into segments for streaming over HTTP.
package ladder

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/pack"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// ladder.go: what derive.hls and derive.dash have in common: all but the
// manifest.

const method = "Decodes the source once and encodes every rendition of it with x264 or x265: of the wanted quality (crf), and below max_bitrate by a decoder's " +
	"buffer model. Segments of all renditions and of the sound begin at the same instants: with a keyframe at the first picture at or behind each multiple of " +
	"segment_seconds, whatever the frame rate. Frame times are the source's. Every sound track becomes a track of its own, AAC, as long as the pictures: silence is filled in. " +
	"The tracks are CMAF, one file each with an index, or one file a segment; HLS and DASH manifests speak of the same files, by relative names, and the rates in them are " +
	"measured. Without renditions the ladder is that of Apple's HLS authoring specification, one step a size, as far as the source is that large; nothing is enlarged. " +
	"Sliced, every rendition is merged and certified by itself, then all are packaged. Chapters, tags and subtitles that are pictures are left out."

var (
	inputs  = []fn.Slot{{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "the video"}}
	outputs = []fn.Slot{{Name: "package", Kinds: []media.Kind{media.Package, media.Video, media.Audio}, Min: 1, Help: "manifests, the main one first, and tracks; of a slice its renditions or sound"}}
)

// Params are the parameters of both functions.
type Params struct {
	Renditions []renditionParams `json:"renditions" max:"12" help:"what is made of the video; empty = the ladder of Apple's HLS authoring specification up to the source's size"`
	Codec      string            `json:"codec" default:"h264" enum:"h264,h265" help:"codec of renditions that name none"`
	CRF        *float64          `json:"crf" min:"0" max:"51" help:"constant quality of renditions that name none, lower is better; not given = 23 for h264, 28 for h265"`
	Preset     string            `json:"preset" default:"medium" enum:"ultrafast,superfast,veryfast,faster,fast,medium,slow,slower,veryslow" help:"speed against size"`

	SegmentSeconds float64 `json:"segment_seconds" default:"6" min:"1" max:"30" unit:"s" help:"a segment begins with the first picture at or behind each multiple of it; whole milliseconds"`
	Segments       string  `json:"segments" default:"ranges" enum:"ranges,files" help:"segments as ranges of one file a track, or each as a file"`

	Color       string `json:"color" default:"keep" enum:"keep,bt709" help:"keep the source's colour space, or convert to BT.709"`
	HDR         string `json:"hdr" default:"auto" enum:"auto,keep,tonemap,refuse" help:"HDR sources: keep where the codec can and tone-map otherwise, keep, tone-map to BT.709, or refuse"`
	Deinterlace string `json:"deinterlace" default:"auto" enum:"auto,off,on" help:"make frames of fields; auto = where the source says it is interlaced"`

	AudioCodec    string   `json:"audio_codec" default:"aac" enum:"aac,none" help:"none leaves sound out"`
	AudioBitrate  int64    `json:"audio_bitrate" default:"128000" min:"8000" max:"1536000" unit:"bit/s" help:"of each sound track"`
	AudioChannels int      `json:"audio_channels" default:"2" min:"0" max:"8" help:"channels of each sound track; 0 = the source's"`
	Subtitles     string   `json:"subtitles" default:"drop" enum:"keep,drop" help:"subtitle tracks that are text, as WebVTT"`
	Languages     []string `json:"languages" max:"64" pattern:"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*|" help:"languages of the sound tracks in order (RFC 5646), where the source says none or a wrong one; empty = as the source says" example:"en"`
}

type renditionParams struct {
	Name       string   `json:"name" default:"" pattern:"[A-Za-z0-9][A-Za-z0-9_-]{0,39}|" help:"of its files; empty = by its height, as 720p"`
	Height     int      `json:"height" required:"true" min:"2" max:"8640" unit:"px" help:"displayed height, of an upright video the width; at most the source's is made"`
	Codec      string   `json:"codec" default:"" enum:",h264,h265" help:"empty = the call's"`
	CRF        *float64 `json:"crf" min:"0" max:"51" help:"constant quality; not given = the call's"`
	MaxBitrate int64    `json:"max_bitrate" default:"0" min:"0" max:"800000000" unit:"bit/s" help:"limit of the decoder's buffer model; 0 = that of the default ladder for the height"`
	Buffer     int64    `json:"buffer" default:"0" min:"0" max:"1600000000" unit:"bit" help:"size of that buffer; 0 = two seconds of max_bitrate"`
}

// check tests combinations and fills in names.
func (p *Params) check() error {
	if ms := p.SegmentSeconds * 1000; ms != float64(int64(ms+0.5)) {
		return errs.InField("params.segment_seconds", "must be whole milliseconds")
	}
	for i := range p.Renditions {
		r := &p.Renditions[i]
		field := func(name string) string { return "params.renditions[" + itoa(i) + "]." + name }
		if r.Name == "" {
			r.Name = itoa(r.Height) + "p"
		}
		if r.Buffer != 0 && r.MaxBitrate == 0 {
			return errs.InField(field("buffer"), "needs max_bitrate")
		}
		if r.MaxBitrate != 0 && r.MaxBitrate < 10_000 {
			return errs.InField(field("max_bitrate"), "must be at least 10000 bit/s")
		}
		for k := range i {
			o := &p.Renditions[k]
			less, more := o, r
			if r.Height < o.Height {
				less, more = r, o
			}
			switch {
			case o.Name == r.Name:
				return errs.InField(field("name"), "renditions %d and %d are both named %s", k, i, r.Name)
			case p.codec(o) != p.codec(r) || less.Height == more.Height:
			case p.rate(less) > p.rate(more):
				return errs.InField(field("max_bitrate"), "%s may have %d bit/s and the smaller %s %d", more.Name, p.rate(more), less.Name, p.rate(less))
			}
		}
	}
	return nil
}

func (p *Params) codec(r *renditionParams) string {
	if r.Codec != "" {
		return r.Codec
	}
	return p.Codec
}

// rate is a rendition's limit in bit/s.
func (p *Params) rate(r *renditionParams) int64 {
	if r.MaxBitrate != 0 {
		return r.MaxBitrate
	}
	return usualRate(p.codec(r), r.Height)
}

// steps are the renditions of a source.
func (p *Params) steps(v *media.VideoStream) []renditionParams {
	short := 0
	if v != nil {
		short = min(v.DisplaySize())
	}
	if len(p.Renditions) > 0 {
		return p.Renditions
	}
	var all []renditionParams
	first := 0 // players that know nothing begin with the first
	for i, h := range usualHeights(p.Codec, short) {
		r := renditionParams{Name: itoa(h) + "p", Height: h}
		if all = append(all, r); p.rate(&all[first]) > firstRate {
			first = i
		}
	}
	start := all[first]
	return slices.Insert(slices.Delete(all, first, first+1), 0, start)
}

// ladder is what is rendered for a source.
func (p *Params) ladder(v *media.VideoStream) []render.Rendition {
	var all []render.Rendition
	for _, r := range p.steps(v) {
		e := p.sound()
		e.Codec, e.CRF, e.MaxBitrate, e.Buffer = p.codec(&r), r.CRF, p.rate(&r), r.Buffer
		if e.CRF == nil {
			e.CRF = p.CRF
		}
		if e.Height = r.Height; v != nil {
			if w, h := v.DisplaySize(); w < h {
				e.Width, e.Height = r.Height, 0
			}
		}
		all = append(all, render.Rendition{Name: r.Name, Params: e})
	}
	return all
}

// sound is what all renditions have in common.
func (p *Params) sound() *encode.Params {
	return &encode.Params{Format: "mp4", Codec: p.Codec, Preset: p.Preset, KeyframeSeconds: p.SegmentSeconds, Fit: "contain", PixelFormat: "yuv420p",
		Color: p.Color, HDR: p.HDR, Deinterlace: p.Deinterlace, AudioCodec: p.AudioCodec, AudioBitrate: p.audioRate(), AudioChannels: p.channels(),
		Metadata: "strip", Subtitles: "drop"}
}

func (p *Params) audioRate() int64 {
	if p.AudioCodec == "none" {
		return 0
	}
	return p.AudioBitrate
}

func (p *Params) channels() int {
	if p.AudioCodec == "none" {
		return 0
	}
	return p.AudioChannels
}

func (p *Params) packaging(hls, dash bool) fn.Packaging {
	return fn.Packaging{HLS: hls, DASH: dash, Files: p.Segments == "files", Languages: p.Languages, Subtitles: p.Subtitles == "keep"}
}

// assembly is how slices become a package.
func (p *Params) assembly(info *media.Info, how fn.Packaging) fn.Assembly {
	a := fn.Assembly{Container: "mp4", Sound: p.AudioCodec != "none", DropTags: true, DropSubtitles: true, KeySeconds: p.SegmentSeconds, Filled: true, Package: &how}
	if info == nil || info.MainVideo() == nil {
		return a
	}
	a.Sound = a.Sound && info.HasAudio()
	for _, r := range p.ladder(info.MainVideo()) {
		chain, err := r.Params.Picture().Plan(info.MainVideo(), r.Params.Video())
		if err != nil {
			a.Whole = err.Error() // the run says so too
			return a
		}
		one := fn.Rendition{Name: r.Name, Width: chain.Width, Height: chain.Height, Color: &chain.Tags, SDR: chain.SDR}
		if video, _ := r.Params.RateFor(info); video.KeepsBuffer() {
			one.MaxRate, one.BufSize = video.VBV()
		}
		a.Renditions = append(a.Renditions, one)
	}
	return a
}

// price: the source is decoded once, and every rendition encoded.
func (p *Params) price(inputs []*media.Info) fn.Price {
	total := fn.Price{CPUSeconds: 120, Memory: 2 << 30, Cores: 8}
	if len(inputs) > 0 && inputs[0] != nil && inputs[0].MainVideo() != nil {
		for i, r := range p.ladder(inputs[0].MainVideo()) {
			one := render.Price(r.Params, inputs)
			if i == 0 {
				total = one
				continue
			}
			total.CPUSeconds += one.CPUSeconds - one.Serial - one.Sound
			total.Memory += one.Memory / 2 // without the decoder's pictures
		}
	}
	total.Class = "ladder " + p.Codec + " " + p.Preset
	return total
}

// run renders a part, or renders all and packages it.
func (p *Params) run(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, how fn.Packaging) (*fn.Result, error) {
	in := call.In("source")
	if in == nil {
		return nil, errs.New(errs.Internal, "ladder", "no source")
	}
	info, err := facts(ctx, ff, in)
	if err != nil {
		return nil, err
	}
	v := info.MainVideo()
	if v == nil {
		return nil, errs.New(errs.Invalid, "ladder", "the source has no pictures")
	}
	all := p.ladder(v)
	res, err := p.order(all, info, call).Run(ctx, ff, call, in)
	if err != nil {
		return nil, err
	}
	for i := range res.Outputs {
		res.Outputs[i].Slot = "package"
	}
	if call.Part != nil {
		return res, nil
	}
	began := time.Now()
	o := pack.Order{How: how, Seconds: p.SegmentSeconds, Dir: filepath.Join(call.Dir, "package")}
	if err := os.Mkdir(o.Dir, 0o700); err != nil {
		return nil, errs.As(errs.Transient, "ladder", err)
	}
	for i, out := range res.Outputs {
		r, end, err := rendered(all[i], v, out.Path)
		if err != nil {
			return nil, err
		}
		defer end()
		o.Renditions = append(o.Renditions, r)
	}
	if how.Subtitles {
		o.Source, o.Info, o.FFmpeg = in, info, ff
	}
	res.Outputs, res.Facts, err = pack.Write(ctx, o)
	res.Usage.WallSeconds += time.Since(began).Seconds()
	return res, err
}

// rendered opens what was made of a rendition.
func rendered(r render.Rendition, v *media.VideoStream, path string) (pack.Rendition, func(), error) {
	chain, err := r.Params.Picture().Plan(v, r.Params.Video())
	if err != nil {
		return pack.Rendition{}, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return pack.Rendition{}, nil, errs.As(errs.Transient, "ladder", err)
	}
	end := func() { _ = f.Close() }
	st, err := f.Stat()
	if err != nil {
		end()
		return pack.Rendition{}, nil, errs.As(errs.Transient, "ladder", err)
	}
	return pack.Rendition{Name: r.Name, Data: f, Size: st.Size(), Color: chain.Tags}, end, nil
}

// order is what is rendered. It is pure.
func (p *Params) order(all []render.Rendition, info *media.Info, call *fn.Call) render.Order {
	return render.Order{Params: p.sound(), Info: info, Part: call.Part, Threads: call.Threads, Ladder: all, Filled: true}
}

// facts are what plans read, times of the first and last picture included.
func facts(ctx fn.Context, ff *ffmpeg.Tool, in *fn.Input) (*media.Info, error) {
	info, err := render.Facts(ctx, ff, in)
	if err != nil {
		return nil, err
	}
	if v := info.MainVideo(); v != nil && v.Timing == nil {
		keyed, err := source.Facts(ctx, ff, nil, in, source.Want{Keys: true})
		if err != nil {
			return nil, err
		}
		if k := keyed.MainVideo(); k != nil {
			own := *info
			own.Video = append([]media.VideoStream{}, info.Video...)
			own.MainVideo().Timing = k.Timing
			return &own, nil
		}
	}
	return info, nil
}
