package assemble

import (
	"bytes"
	"encoding/json"
	"fmt"
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
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/coded"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/container"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/sniff"
)

// remux.go: assemble.remux copies a video into a file whose ranges are exact.

var remuxSpec = fn.Spec{
	Name:    "assemble.remux",
	Version: "1",
	Summary: "Copy pictures and sound into an mp4 that can be read by ranges",
	Doc: "Copies the main picture track and every sound track into one mp4 (mov where only that holds the sound), without encoding, at the times a whole run gives its " +
		"result: from zero where the source's clock starts anywhere. The copy is then compared with what was read: every frame's time, the streams' shapes and colours, " +
		"where sound begins. A copy that is not the same, or that the container cannot hold, is no error: failed = true, with the reason, and no file.",
	Inputs:  []fn.Slot{{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "the video"}},
	Outputs: []fn.Slot{{Name: "video", Kinds: []media.Kind{media.Video}, Max: 1, Help: "the copy"}},
	Purity:  fn.Equivalent,
	Timeout: fn.Timeout{Base: 2 * time.Minute, Factor: 20},
	Hidden:  true,
}

type remuxParams struct{}

// Remux returns assemble.remux. Without ffmpeg the function loads but refuses.
func Remux(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, remuxSpec), fn.Body[remuxParams]{
		Price: func(_ *remuxParams, inputs []*media.Info) fn.Price { return priceCopy(inputs) },
		Run: func(ctx fn.Context, call *fn.Call, _ *remuxParams) (*fn.Result, error) {
			return runRemux(ctx, ff, call)
		},
	})
}

// pictureCodecs are those mp4 holds, by FFmpeg's names.
var pictureCodecs = []string{"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"}

func runRemux(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call) (*fn.Result, error) {
	in := call.In("source")
	info, err := source.Facts(ctx, ff, nil, in, source.Want{})
	if err != nil {
		return nil, err
	}
	p, err := planRemux(info)
	if err != nil {
		return refused(err)
	}
	path := filepath.Join(call.Dir, p.out.name)
	read := &packets{}
	job := ffmpeg.Job{WritePaths: []string{call.Dir}, Dir: call.Dir, Stall: 5 * time.Minute, Duration: info.Duration, Progress: progress(call), Stdout: read}
	source.Grant(&job, in)
	open := source.Open(in)
	if in.Demuxer == "avi" {
		// AVI stores one time a frame, in decode order; which it is shown at follows from the order.
		open.Extra = append(open.Extra, "-fflags", "+genpts")
	}
	opened, err := open.Args()
	if err != nil {
		return nil, err
	}
	job.Args = append(append([]string{"-copyts"}, opened...), p.args(path)...)
	stats, err := ff.Run(ctx, job)
	if err == nil {
		err = p.same(ctx, path, info, read)
	}
	if err != nil {
		_ = os.Remove(path)
		return refused(err)
	}
	return result(p.out, path, slice.Remuxed{Shift: p.shift}, stats)
}

// refused turns what a copy cannot do into an answer; what may succeed another
// time stays an error.
func refused(err error) (*fn.Result, error) {
	if !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.Unsupported) {
		return nil, err
	}
	raw, merr := json.Marshal(slice.Remuxed{Failed: true, Reason: err.Error()})
	if merr != nil {
		return nil, errs.New(errs.Internal, "assemble", "encode facts: %w", merr)
	}
	return &fn.Result{Facts: raw}, nil
}

// remux is a decided copy.
type remux struct {
	out   file
	v     *media.VideoStream
	sound []media.AudioStream
	scale int64 // ticks a second of the picture track
	shift float64
}

// planRemux is pure. Unsupported says why there is no copy.
func planRemux(info *media.Info) (*remux, error) {
	v := info.MainVideo()
	switch {
	case v == nil:
		return nil, errs.New(errs.Invalid, "remux", "there is no picture track")
	case !slices.Contains(pictureCodecs, v.Codec):
		return nil, errs.New(errs.Unsupported, "remux", "mp4 does not hold pictures of codec %s", v.Codec)
	case !v.TimeBase.Known() || v.TimeBase.Num <= 0 || v.TimeBase.Den <= 0:
		return nil, errs.New(errs.Unsupported, "remux", "the clock of the pictures is not known")
	}
	var codecs []string
	for _, a := range info.Audio {
		codecs = append(codecs, a.Codec)
	}
	muxer := encode.SoundSlice(codecs)
	if muxer == "" {
		return nil, errs.New(errs.Unsupported, "remux", "neither mp4 nor mov holds sound of %s", strings.Join(codecs, ", "))
	}
	p := &remux{out: files[muxer], v: v, sound: info.Audio, scale: slice.Scale(v.TimeBase), shift: source.Shift(info)}
	if !slice.Exact(v.TimeBase, p.scale) {
		return nil, errs.New(errs.Unsupported, "remux", "times in %s s are not written exactly", v.TimeBase)
	}
	return p, nil
}

// args write two outputs of one reading: the copy, and a line of every picture
// packet as it was read, to prove the copy by.
func (p *remux) args(path string) []string {
	picture := "0:" + strconv.Itoa(p.v.Index)
	var offset []string
	if p.shift != 0 {
		offset = []string{"-output_ts_offset", strconv.FormatFloat(p.shift, 'f', -1, 64)}
	}
	args := []string{"-map", picture}
	for i := range p.sound {
		args = append(args, "-map", "0:"+strconv.Itoa(p.sound[i].Index))
	}
	args = append(append(args, offset...), "-c", "copy", "-sn", "-dn", "-map_chapters", "-1",
		"-avoid_negative_ts", "disabled", "-strict", "experimental", "-video_track_timescale", itoa(p.scale), "-movie_timescale", itoa(max(p.scale, 90_000)),
		"-max_muxing_queue_size", "4096", "-f", p.out.muxer, path)
	args = append(append(args, "-map", picture), offset...)
	return append(args, "-c", "copy", "-avoid_negative_ts", "disabled", "-f", "framecrc", "pipe:1")
}

// packets reads what the framecrc muxer prints: "stream, dts, pts, duration,
// size, checksum[, F=flags]".
type packets struct {
	rest []byte
	base media.Rational
	pts  []int64 // of pictures that are shown
	err  error
}

// discard is FFmpeg's flag of packets that are decoded and not shown.
const discard = 0x4

func (p *packets) Write(b []byte) (int, error) {
	n := len(b)
	p.rest = append(p.rest, b...)
	for {
		line, rest, ok := bytes.Cut(p.rest, []byte("\n"))
		if !ok {
			return n, nil
		}
		p.line(string(line))
		p.rest = append(p.rest[:0], rest...)
	}
}

func (p *packets) line(line string) {
	if tb, ok := strings.CutPrefix(line, "#tb 0: "); ok {
		p.err = p.base.UnmarshalText([]byte(strings.TrimSpace(tb)))
		return
	}
	fields := strings.Split(line, ",")
	if strings.HasPrefix(line, "#") || len(fields) < 6 {
		return
	}
	for _, f := range fields[6:] {
		if hex, ok := strings.CutPrefix(strings.TrimSpace(f), "F=0x"); ok {
			if flags, err := strconv.ParseUint(hex, 16, 64); err == nil && flags&discard != 0 {
				return
			}
		}
	}
	pts, err := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
	if err != nil || pts == math.MinInt64 {
		p.err = errs.New(errs.Invalid, "remux", "a frame of the source bears no time")
		return
	}
	if len(p.pts) >= coded.MaxSamples {
		p.err = errs.New(errs.TooLarge, "remux", "more than %d frames", coded.MaxSamples)
		return
	}
	p.pts = append(p.pts, pts)
}

// same compares the copy with what was read and known of the source. Invalid
// says what differs.
func (p *remux) same(ctx fn.Context, path string, info *media.Info, read *packets) error {
	if read.err != nil {
		return read.err
	}
	f, err := os.Open(path)
	if err != nil {
		return errs.As(errs.Transient, "remux", err)
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return errs.As(errs.Transient, "remux", err)
	}
	format, _ := sniff.FormatByName(p.out.container)
	copied, err := container.Read(ctx, f, st.Size(), format, container.Options{Keys: true})
	if err != nil {
		return err
	}
	v := copied.MainVideo()
	if v == nil || len(copied.Audio) != len(info.Audio) {
		return errs.New(errs.Invalid, "remux", "a track is missing")
	}
	times, base, err := container.FrameTimes(ctx, f, st.Size(), format, v.Index)
	if err != nil {
		return err
	}
	if err := sameTimes(times, base, read.pts, read.base); err != nil {
		return err
	}
	if what := differs(p.v, v); what != "" {
		return errs.New(errs.Invalid, "remux", "%s of the pictures", what)
	}
	for i := range copied.Audio {
		a, b := &info.Audio[i], &copied.Audio[i]
		if math.Abs(a.StartTime+p.shift-b.StartTime) > 0.001 {
			return errs.New(errs.Invalid, "remux", "sound track %d begins at %.3f s, copied at %.3f s", i, a.StartTime+p.shift, b.StartTime)
		}
	}
	return nil
}

// sameTimes compares lists of times exactly. Neither need be sorted.
func sameTimes(got []int64, base media.Rational, want []int64, wantBase media.Rational) error {
	if len(got) != len(want) {
		return errs.New(errs.Invalid, "remux", "%d frames of %d", len(got), len(want))
	}
	slices.Sort(want)
	for i := range want {
		if i > 0 && want[i] == want[i-1] {
			return errs.New(errs.Invalid, "remux", "two frames share a time")
		}
		// Ticks below 2^40 and clocks below 2^21: neither product overflows.
		if want[i] >= 1<<40 || want[i] < 0 || got[i]*base.Num*wantBase.Den != want[i]*wantBase.Num*base.Den {
			return errs.New(errs.Invalid, "remux", "frame %d at %.6f s, copied to %.6f s", i, wantBase.Seconds(want[i]), base.Seconds(got[i]))
		}
	}
	return nil
}

// differs names what of the look of pictures is not the same. What the source's
// container did not tell is not compared.
func differs(a, b *media.VideoStream) string {
	said := func(x, y string) bool { return x != "" && x != y }
	switch {
	case a.Codec != b.Codec:
		return "the codec"
	case a.Width != b.Width || a.Height != b.Height:
		return fmt.Sprintf("the size (%d×%d, copied %d×%d)", a.Width, a.Height, b.Width, b.Height)
	case a.SAR.Known() && a.SAR.Num > 0 && a.SAR.Float() != 1 && a.SAR.Reduce() != b.SAR.Reduce():
		return "the aspect"
	case a.Rotation != b.Rotation || a.Flip != b.Flip:
		return "the orientation"
	case said(a.Color.Range, b.Color.Range) || said(a.Color.Primaries, b.Color.Primaries) || said(a.Color.Transfer, b.Color.Transfer) || said(a.Color.Matrix, b.Color.Matrix):
		return fmt.Sprintf("the colour (%+v, copied %+v)", a.Color, b.Color)
	case a.HDR != nil && b.HDR == nil:
		return "the HDR data"
	}
	return ""
}
