package assemble

import (
	"bytes"
	"fmt"
	"path/filepath"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/coded"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// concat.go: assemble.concat joins videos one after another.

var concatSpec = fn.Spec{
	Name:    "assemble.concat",
	Version: "1",
	Summary: "Join videos of equal parameters into one, by copy",
	Doc: "Joins pictures and sound in the order given without encoding. Every file begins where the longer of the tracks before it ends. " +
		"All must agree in codecs, parameter sets, size, pixel format, sample aspect ratio, rotation, sample rate and channels, and in the number of tracks; " +
		"otherwise the answer is unsupported and says what differs: transcode them alike first. Tags come from the first. Subtitles and data tracks are left out.",
	Inputs:  []fn.Slot{{Name: "videos", Kinds: []media.Kind{media.Video}, Min: 2, Max: 1000, Help: "MP4, MOV, Matroska or WebM files, in order"}},
	Outputs: []fn.Slot{{Name: "video", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "all of them"}},
	Purity:  fn.Exact,
	Timeout: fn.Timeout{Base: 2 * time.Minute, Factor: 20},
}

type concatParams struct {
	Container string `json:"container" default:"auto" enum:"auto,mp4,mov,mkv,webm" help:"auto = that of the first video"`
}

// Concat returns assemble.concat. Without ffmpeg the function loads but refuses.
func Concat(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, concatSpec), fn.Body[concatParams]{
		Price: func(_ *concatParams, inputs []*media.Info) fn.Price { return priceCopy(inputs) },
		Run: func(ctx fn.Context, call *fn.Call, p *concatParams) (*fn.Result, error) {
			return runConcat(ctx, ff, call, p)
		},
	})
}

func runConcat(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, p *concatParams) (*fn.Result, error) {
	var first *media.Info
	var config []byte
	var pieces []piece
	at := []float64{0}
	for i, in := range call.All("videos") {
		info, err := source.Facts(ctx, ff, nil, in, source.Want{})
		if err != nil {
			return nil, errs.Wrap(fmt.Sprintf("video %d", i), err)
		}
		own, err := joinable(in, info)
		if err != nil {
			return nil, errs.Wrap(fmt.Sprintf("video %d", i), err)
		}
		if i == 0 {
			first, config = info, own
		} else if what := differ(first, info, config, own); what != "" {
			return nil, errs.New(errs.Unsupported, "assemble", "videos 0 and %d cannot be joined by copy: %s", i, what)
		}
		pieces, at = append(pieces, piece{in: in}), append(at, at[i]+ends(info)-info.StartTime)
	}
	for i, d := range micros(at) {
		pieces[i].duration = d
	}
	container := chosen(p.Container, first.Format)
	out, err := fileOf(container)
	if err != nil {
		return nil, err
	}
	job := ffmpeg.Job{WritePaths: []string{call.Dir}, Dir: call.Dir, Stall: 5 * time.Minute, Duration: at[len(at)-1], Progress: progress(call)}
	list, err := row(&job, call.Dir, pieces, 0, false)
	if err != nil {
		return nil, err
	}
	tags, err := source.Open(pieces[0].in).Args()
	if err != nil {
		return nil, err
	}
	args := append(append([]string{"-copyts"}, list...), tags...)
	sound := "0:a?"
	if shift := (heard{first, pieces[0].in}).shift(out.container); shift != 0 {
		again, err := row(&job, call.Dir, pieces, shift, false)
		if err != nil {
			return nil, err
		}
		args, sound = append(args, again...), "2:a?"
	}
	args = append(args, "-map", "0:v:0", "-map", sound, "-map_metadata", "1", "-map_chapters", "-1", "-c", "copy")
	v := first.MainVideo()
	if v.Rotation != 0 {
		args = append(args, "-metadata:s:v:0", fmt.Sprintf("rotate=%d", 360-v.Rotation))
	}
	path := filepath.Join(call.Dir, out.name)
	job.Args = append(args, out.args(trackScale(v), path)...)
	stats, err := ff.Run(ctx, job)
	if err != nil {
		return nil, err
	}
	facts := TrackFacts{Container: container, LeftOut: []string{}, Warnings: append([]string{}, stats.Warnings...)}
	for _, o := range first.Other {
		facts.LeftOut = append(facts.LeftOut, o.Type+" "+o.Codec)
	}
	return result(out, path, facts, stats)
}

// joinable refuses what the list demuxer must not open, and returns the
// decoder configuration where the container is an MP4.
func joinable(in *fn.Input, info *media.Info) ([]byte, error) {
	v := info.MainVideo()
	switch {
	case in.Demuxer != "mov" && in.Demuxer != "matroska":
		return nil, errs.New(errs.Unsupported, "assemble", "%s is not joined by copy; remux it first", in.Format)
	case v == nil:
		return nil, errs.New(errs.Invalid, "assemble", "there is no picture track")
	case info.Fragment != nil && *info.Fragment || in.Demuxer != "mov":
		return nil, nil
	}
	t, err := coded.MP4(in.Data, in.Size)
	return t.Config, err
}

// ends is when the longest of pictures and sound is over, in seconds.
func ends(info *media.Info) float64 {
	v := info.MainVideo()
	end := v.StartTime + v.Duration
	for i := range info.Audio {
		end = max(end, info.Audio[i].StartTime+info.Audio[i].Duration)
	}
	if v.Duration <= 0 {
		end = max(end, info.StartTime+info.Duration)
	}
	return end
}

// differ names the first difference that keeps two videos from being joined.
func differ(a, b *media.Info, configA, configB []byte) string {
	v, w := a.MainVideo(), b.MainVideo()
	type pair struct {
		what string
		a, b any
	}
	pairs := []pair{
		{"video codec", v.Codec, w.Codec}, {"size", [2]int{v.Width, v.Height}, [2]int{w.Width, w.Height}},
		{"pixel format", v.PixelFormat, w.PixelFormat}, {"sample aspect ratio", square(v.SAR), square(w.SAR)}, {"rotation", v.Rotation, w.Rotation},
		{"color", v.Color, w.Color}, {"number of sound tracks", len(a.Audio), len(b.Audio)},
	}
	for i := range min(len(a.Audio), len(b.Audio)) {
		s, t := &a.Audio[i], &b.Audio[i]
		pairs = append(pairs, pair{"audio codec", s.Codec + " " + s.Profile, t.Codec + " " + t.Profile},
			pair{"sample rate", s.SampleRate, t.SampleRate}, pair{"channels", s.Channels, t.Channels})
	}
	for _, p := range pairs {
		if p.a != p.b {
			return fmt.Sprintf("%s %v and %v", p.what, p.a, p.b)
		}
	}
	if configA != nil && configB != nil && !bytes.Equal(configA, configB) {
		return "the encoders' parameter sets differ"
	}
	return ""
}

// square makes an unknown sample aspect ratio the square it is shown as.
func square(r media.Rational) media.Rational {
	if !r.Known() || r.Num == 0 {
		return media.Rational{Num: 1, Den: 1}
	}
	return r.Reduce()
}
