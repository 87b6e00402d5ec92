package derive

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// audio.go: derive.audio takes one sound track out of a video or a sound file.

var audioSpec = fn.Spec{
	Name:    "derive.audio",
	Version: "1",
	Summary: "Extract a sound track, convert it, bring it to a loudness",
	Doc: "Takes one track of a video or sound file, whole or in part, and encodes it or copies it as it is. Holes in the timestamps are filled with " +
		"silence so that nothing shifts. keep_offset keeps the source's time line: a late start and an early end are filled with silence. " +
		"loudness measures the whole (EBU R128) and applies one gain; only where peaks would pass true_peak, a limiter holds them there.",
	Inputs:  []fn.Slot{{Name: "source", Kinds: []media.Kind{media.Video, media.Audio}, Min: 1, Max: 1, Help: "anything with sound"}},
	Outputs: []fn.Slot{{Name: "audio", Kinds: []media.Kind{media.Audio}, Min: 1, Max: 1, Help: "the sound"}},
	Purity:  fn.Exact,
	Timeout: fn.Timeout{Base: 2 * time.Minute, Factor: 10},
}

type audioParams struct {
	Codec      string   `json:"codec" default:"aac" enum:"aac,opus,mp3,flac,vorbis,alac,ac3,pcm,copy" help:"pcm is 16 bit in WAV; copy keeps the coded sound"`
	Format     string   `json:"format" default:"auto" enum:"auto,m4a,mp3,ogg,flac,wav,adts,mkv" help:"container; auto = the usual one of the codec"`
	Bitrate    int64    `json:"bitrate" default:"0" min:"0" max:"2048000" unit:"bit/s" help:"of lossy codecs; 0 = by codec and channels"`
	SampleRate int      `json:"sample_rate" default:"0" min:"0" max:"192000" unit:"Hz" help:"0 = as the source, or the nearest the codec has"`
	Channels   int      `json:"channels" default:"0" min:"0" max:"8" help:"0 = as the source, as far as the codec can"`
	Track      int      `json:"track" default:"0" min:"0" max:"99" help:"which sound track, from 0"`
	Start      float64  `json:"start" default:"0" min:"0" max:"1000000" unit:"s" help:"first second to take"`
	End        *float64 `json:"end" min:"0" max:"1000000" unit:"s" help:"second to stop at; not given = the end"`
	Loudness   *float64 `json:"loudness" min:"-70" max:"-5" unit:"LUFS" help:"integrated loudness to bring the sound to, EBU R128; not given = as it is" example:"-16"`
	TruePeak   float64  `json:"true_peak" default:"-1.5" min:"-9" max:"0" unit:"dBTP" help:"highest peak loudness may lead to"`
	KeepOffset bool     `json:"keep_offset" default:"false" help:"keep the source's time line: fill a late start and an early end with silence"`
	Metadata   bool     `json:"metadata" default:"true" help:"keep title, artist and the like"`
}

// AudioFacts is the facts object of derive.audio.
type AudioFacts struct {
	Track      int           `json:"track"`
	Codec      string        `json:"codec"`       // of the source
	SampleRate int           `json:"sample_rate"` // of the source
	Channels   int           `json:"channels"`    // of the source
	Offset     float64       `json:"offset"`      // seconds from the first second taken to the track's first sound
	Loudness   *LoudnessFact `json:"loudness,omitempty"`
}

// LoudnessFact says what was measured and done about loudness.
type LoudnessFact struct {
	Integrated float64 `json:"integrated"` // LUFS, before
	TruePeak   float64 `json:"true_peak"`  // dBTP, before
	Gain       float64 `json:"gain"`       // dB from measured to wanted
	Mode       string  `json:"mode"`       // linear = one gain; limited = the gain and a limiter at true_peak; silent = nothing to do
	// Reached is the loudness in LUFS measured behind the limiter, mode limited
	// only. Sound of few, high peaks may stay below what was wanted.
	Reached float64 `json:"reached,omitempty"`
}

// Audio returns derive.audio. Without ffmpeg the function loads but refuses.
func Audio(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, audioSpec), fn.Body[audioParams]{
		Check: checkAudio,
		Price: priceAudio,
		Run: func(ctx fn.Context, call *fn.Call, p *audioParams) (*fn.Result, error) {
			return runAudio(ctx, ff, call, p)
		},
	})
}

func (p *audioParams) sound() encode.Sound {
	return encode.Sound{Codec: p.Codec, Bitrate: p.Bitrate, SampleRate: p.SampleRate, Channels: p.Channels}
}

// checkAudio says what the schema cannot.
func checkAudio(p *audioParams, _ []media.Kind) error {
	if p.End != nil && *p.End <= p.Start {
		return errs.InField("params.end", "must be behind start")
	}
	if p.Codec == "copy" && p.Loudness != nil {
		return errs.InField("params.loudness", "cannot be changed with codec copy")
	}
	if p.Codec == "copy" && p.KeepOffset && p.Format != "auto" && p.Format != "m4a" && p.Format != "mkv" {
		return errs.InField("params.keep_offset", "with codec copy only m4a and mkv hold an offset, not %s", p.Format)
	}
	format := p.Format
	if format == "auto" {
		format = audioFormat(p, "")
	}
	return p.sound().Check(format, "")
}

// audioFormat is the container of the result for a source coded as codec.
func audioFormat(p *audioParams, codec string) string {
	if p.Format != "auto" {
		return p.Format
	}
	if p.Codec != "copy" {
		codec = p.Codec
	}
	usual := map[string]string{
		"aac": "m4a", "alac": "m4a", "mp3": "mp3", "opus": "ogg", "vorbis": "ogg", "flac": "flac",
		"pcm": "wav", "pcm_s16le": "wav", "pcm_s24le": "wav", "pcm_s32le": "wav", "pcm_f32le": "wav", "pcm_u8": "wav",
	}[codec]
	if usual == "" || p.Codec == "copy" && p.KeepOffset && usual != "m4a" {
		return "mkv"
	}
	return usual
}

// audioFiles maps a container to FFmpeg's muxer, the file's name and its type.
var audioFiles = map[string]struct{ muxer, name, mime string }{
	"m4a": {"ipod", "audio.m4a", "audio/mp4"}, "mp3": {"mp3", "audio.mp3", "audio/mpeg"}, "ogg": {"ogg", "audio.ogg", "audio/ogg"},
	"flac": {"flac", "audio.flac", "audio/flac"}, "wav": {"wav", "audio.wav", "audio/wav"}, "adts": {"adts", "audio.aac", "audio/aac"},
	"mkv": {"matroska", "audio.mka", "audio/x-matroska"},
}

// copies are the codecs a container takes as they are; mkv takes all.
var copies = map[string][]string{
	"m4a": {"aac", "alac", "mp3", "ac3", "eac3", "opus"}, "mp3": {"mp3"}, "ogg": {"opus", "vorbis", "flac", "speex"}, "flac": {"flac"}, "adts": {"aac"},
	"wav": {"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw"},
}

// priceAudio: a core decodes and encodes sound at about 60 times real time, a
// pass that measures included.
func priceAudio(p *audioParams, inputs []*media.Info) fn.Price {
	price := fn.Price{CPUSeconds: 5, Memory: 128 << 20, Cores: 1}
	if len(inputs) == 0 || inputs[0] == nil {
		return price
	}
	seconds := inputs[0].Duration
	if p.End != nil {
		seconds = min(seconds, *p.End)
	}
	price.CPUSeconds = 0.2 + max(seconds-p.Start, 0)/60
	if p.Loudness != nil {
		price.CPUSeconds *= 3
	}
	return price
}

// audioPlan is what a run does with one source.
type audioPlan struct {
	Track  *media.AudioStream
	Format string
	Length float64 // seconds to take, on the source's time line; 0 = unknown
	Offset float64 // seconds from the first second taken to the track's first sound
}

func planAudio(p *audioParams, info *media.Info) (*audioPlan, error) {
	if len(info.Audio) == 0 {
		return nil, errs.New(errs.Invalid, "derive.audio", "the source has no sound")
	}
	if p.Track >= len(info.Audio) {
		return nil, errs.InField("params.track", "there are %d sound tracks, counted from 0", len(info.Audio))
	}
	if info.Duration > 0 && p.Start >= info.Duration {
		return nil, errs.InField("params.start", "lies behind the end at %.3f s", info.Duration)
	}
	plan := &audioPlan{Track: &info.Audio[p.Track]}
	plan.Format = audioFormat(p, plan.Track.Codec)
	if p.Codec == "copy" && plan.Format != "mkv" && !slices.Contains(copies[plan.Format], plan.Track.Codec) {
		return nil, errs.InField("params.format", "%s does not take %s as it is; choose mkv, or a codec other than copy", plan.Format, plan.Track.Codec)
	}
	end := info.Duration
	if p.End != nil && (end == 0 || *p.End < end) {
		end = *p.End
	}
	if end > 0 {
		plan.Length = end - p.Start
	}
	plan.Offset = micro(max(plan.Track.StartTime-max(info.StartTime, 0)-p.Start, 0))
	if plan.Length > 0 && plan.Offset >= plan.Length && !p.KeepOffset {
		return nil, errs.InField("params.end", "the sound starts only %.3f s behind the range's start", plan.Offset)
	}
	return plan, nil
}

// openAudio are the options up to and with the input and the mapping. FFmpeg
// counts -ss from the file's earliest timestamp and moves that to zero.
func openAudio(p *audioParams, info *media.Info, plan *audioPlan, in ffmpeg.Input) ([]string, error) {
	if p.Start > 0 {
		in.Seek = new(p.Start - min(info.StartTime, 0))
	}
	if p.End != nil {
		in.Duration = new(*p.End - p.Start)
	}
	in.Extra = append(in.Extra, "-threads", "1")
	open, err := in.Args()
	if err != nil {
		return nil, err
	}
	return append(open, "-map", sprintf("0:%d", plan.Track.Index)), nil
}

// placeFilters put the sound on its time line: at its offset behind silence
// and out to the end, or its first sample at zero.
func placeFilters(p *audioParams, plan *audioPlan) []string {
	if !p.KeepOffset {
		return []string{"asetpts=PTS-STARTPTS"}
	}
	filters := []string{"aresample=async=1:min_hard_comp=0.02:first_pts=0"}
	if plan.Length > 0 {
		filters = append(filters, "apad=whole_dur="+decimal(plan.Length))
	}
	return filters
}

// measureArgs is the command line of a pass that measures loudness, behind what
// m does to it if m is not nil; it prints the running measurement to standard
// output.
func measureArgs(p *audioParams, info *media.Info, plan *audioPlan, m *LoudnessFact, in ffmpeg.Input) ([]string, error) {
	args, err := openAudio(p, info, plan, in)
	if err != nil {
		return nil, err
	}
	filters := placeFilters(p, plan)
	if p.Channels > 0 {
		filters = append(filters, p.sound().Filters()...) // a downmix is louder or softer than its source
	}
	if m != nil {
		filters = append(filters, loudnessFilters(p, plan, m)...)
	}
	filters = append(filters, "ebur128=metadata=1:peak=true", "ametadata=mode=print:file=-")
	return append(args, "-af", strings.Join(filters, ","), "-f", "null", "-"), nil
}

// loudnessFilters bring sound that measured m to p's loudness.
func loudnessFilters(p *audioParams, plan *audioPlan, m *LoudnessFact) []string {
	switch m.Mode {
	case "linear":
		return []string{sprintf("volume=%sdB:precision=double", decimal(m.Gain))}
	case "limited":
		rate := p.SampleRate
		if rate == 0 {
			rate = max(plan.Track.SampleRate, 8000)
		}
		// At four times the rate the limiter sees the peaks between samples.
		return []string{
			sprintf("volume=%sdB:precision=double", decimal(m.Gain)), "aresample=osr=" + strconv.Itoa(min(4*rate, 192000)),
			sprintf("alimiter=limit=%s:attack=5:release=50:level=0:latency=1", decimal(math.Pow(10, p.TruePeak/20))), "aresample=osr=" + strconv.Itoa(rate),
		}
	}
	return nil
}

// encodeArgs is the command line that writes the result. m is nil where
// loudness is left alone.
func encodeArgs(p *audioParams, info *media.Info, plan *audioPlan, m *LoudnessFact, in ffmpeg.Input, path string) ([]string, error) {
	args, err := openAudio(p, info, plan, in)
	if err != nil {
		return nil, err
	}
	sound := p.sound()
	if p.Codec == "copy" {
		if !p.KeepOffset {
			args = append(args, "-bsf:a", "setts=pts=PTS-STARTPTS:dts=DTS-STARTDTS")
		}
	} else {
		filters := placeFilters(p, plan)
		if m != nil && p.Channels > 0 {
			filters = append(filters, sound.Filters()...)
		}
		if m != nil {
			filters = append(filters, loudnessFilters(p, plan, m)...)
		}
		if filters = append(filters, sound.Filters()...); len(filters) > 0 {
			args = append(args, "-af", strings.Join(filters, ","))
		}
	}
	args = append(args, sound.Args(plan.Track.Channels)...)
	args = append(args, "-threads", "1", "-map_chapters", "-1")
	if p.Metadata {
		args = append(args, "-map_metadata", "0", "-map_metadata:s:a:0", sprintf("0:s:%d", plan.Track.Index))
	} else {
		args = append(args, "-map_metadata", "-1", "-map_metadata:s:a:0", "-1")
	}
	args = append(args, "-flags:a", "+bitexact", "-fflags", "+bitexact", "-f", audioFiles[plan.Format].muxer)
	if plan.Format == "m4a" {
		args = append(args, "-movflags", "+faststart")
	}
	return append(args, path), nil
}

func runAudio(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, p *audioParams) (*fn.Result, error) {
	began, in := time.Now(), call.In("source")
	info, err := source.Facts(ctx, ff, nil, in, source.Want{})
	if err != nil {
		return nil, err
	}
	plan, err := planAudio(p, info)
	if err != nil {
		return nil, err
	}
	facts := AudioFacts{Track: p.Track, Codec: plan.Track.Codec, SampleRate: plan.Track.SampleRate, Channels: plan.Track.Channels, Offset: plan.Offset}
	var usage fn.Usage
	run := func(args []string, from, to float64, out *loudnessReader) (ffmpeg.Stats, error) {
		job := ffmpeg.Job{Args: args, Dir: call.Dir, WritePaths: []string{call.Dir}, Duration: plan.Length}
		if out != nil {
			job.Stdout = out
		}
		source.Grant(&job, in)
		job.Progress = func(r ffmpeg.Progress) {
			call.Report(fn.Progress{Done: from + (to-from)*r.Percent/100, Speed: r.Speed})
		}
		stats, err := ff.Run(ctx, job)
		usage.CPUSeconds += (stats.User + stats.System).Seconds()
		usage.MaxMemory = max(usage.MaxMemory, stats.MaxRSS)
		return stats, err
	}
	from := 0.0
	if p.Loudness != nil {
		measure := func(m *LoudnessFact, to float64) (*loudnessReader, error) {
			args, err := measureArgs(p, info, plan, m, source.Open(in))
			if err != nil {
				return nil, err
			}
			var heard loudnessReader
			_, err = run(args, from, to, &heard)
			from = to
			return &heard, err
		}
		heard, err := measure(nil, 0.4)
		if err != nil {
			return nil, err
		}
		m := heard.decide(*p.Loudness, p.TruePeak)
		// What the limiter takes away is given back, within reason: pressed
		// harder than that, it would be heard.
		highest := m.Gain + maxPress
		for pass := 1; m.Mode == "limited"; pass++ {
			if heard, err = measure(m, from+0.1); err != nil {
				return nil, err
			}
			m.Reached = heard.integrated
			gain := min(math.Round((m.Gain+*p.Loudness-m.Reached)*1000)/1000, highest)
			if pass == 3 || gain == m.Gain || math.Abs(*p.Loudness-m.Reached) <= 0.2 {
				break
			}
			m.Gain = gain
		}
		facts.Loudness = m
	}
	file := audioFiles[plan.Format]
	path := filepath.Join(call.Dir, file.name)
	args, err := encodeArgs(p, info, plan, facts.Loudness, source.Open(in), path)
	if err != nil {
		return nil, err
	}
	stats, err := run(args, from, 1, nil)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, errs.New(errs.Internal, "derive.audio", "%w", err)
	}
	if stats.OutTime <= 0 {
		return nil, errs.New(errs.Invalid, "derive.audio", "track %d holds no sound in the range", p.Track)
	}
	usage.WallSeconds, usage.BytesOut = time.Since(began).Seconds(), st.Size()
	usage.InputDuration, usage.OutputDuration = info.Duration, stats.OutTime.Seconds()
	raw, err := json.Marshal(facts)
	return &fn.Result{
		Outputs: []fn.Output{{Slot: "audio", Name: file.name, Path: path, Kind: media.Audio, Mime: file.mime}},
		Facts:   raw, Usage: usage,
	}, err
}

// maxPress is how many dB a limiter is pressed beyond the gain that loudness
// alone asks for.
const maxPress = 6

// loudnessReader takes what ametadata prints behind ebur128 and keeps the last
// integrated loudness and true peak.
type loudnessReader struct {
	lineReader
	integrated, peak float64
	heard            bool
}

func (r *loudnessReader) Write(b []byte) (int, error) {
	return r.each(b, func(line string) {
		name, value, _ := strings.Cut(line, "=")
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return
		}
		switch name {
		case "lavfi.r128.I":
			r.integrated, r.heard = f, true
		case "lavfi.r128.true_peak":
			r.peak = max(r.peak, f) // linear, 1 = full scale
		}
	})
}

// decide says what brings the measured sound to target LUFS. Below −70 LUFS,
// the absolute gate of BS.1770, there is nothing to bring anywhere.
func (r *loudnessReader) decide(target, truePeak float64) *LoudnessFact {
	m := &LoudnessFact{Integrated: r.integrated, TruePeak: -120, Mode: "silent"}
	if r.peak > 0 {
		m.TruePeak = math.Round(2000*math.Log10(r.peak)) / 100
	}
	if !r.heard || r.integrated <= -69.9 {
		m.Integrated = -70
		return m
	}
	m.Gain = math.Round((target-r.integrated)*1000) / 1000
	m.Mode = "linear"
	if m.Gain > 0 && m.TruePeak+m.Gain > truePeak {
		m.Mode = "limited"
	}
	return m
}

func decimal(f float64) string { return strconv.FormatFloat(micro(f), 'f', -1, 64) }
