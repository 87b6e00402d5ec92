// Package remux copies a video into an mp4 whose ranges are exact, without encoding,
// at the times a whole run gives its result, and proves the copy by every picture
// packet that was read.
package remux

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/container"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/sniff"
)

const op = "remux"

// pictureCodecs are those mp4 holds, by FFmpeg's names.
var pictureCodecs = []string{"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"}

// Copy is a decided copy.
type Copy struct {
	Muxer string  // mp4, or mov where only that holds the sound
	Scale int64   // ticks a second of the picture track
	Shift float64 // seconds its times are later than the source's

	v      *media.VideoStream
	sound  []media.AudioStream
	ranged bool // a range is copied
}

// Plan decides the copy of the main picture track and every sound track of a
// source. It is pure. Unsupported says why there is none.
func Plan(info *media.Info) (*Copy, error) {
	c, err := Pictures(info)
	if err != nil {
		return nil, err
	}
	c.ranged = false
	var codecs []string
	for _, a := range info.Audio {
		codecs = append(codecs, a.Codec)
	}
	if c.Muxer = encode.SoundSlice(codecs); c.Muxer == "" {
		return nil, errs.New(errs.Unsupported, op, "neither mp4 nor mov holds sound of %s", strings.Join(codecs, ", "))
	}
	c.sound = info.Audio
	return c, nil
}

// Pictures decides the copy of a range of the main picture track alone: one that is
// entered anywhere and begins with the first keyframe. What is shown before that is
// not held to anything.
func Pictures(info *media.Info) (*Copy, error) {
	v := info.MainVideo()
	switch {
	case v == nil:
		return nil, errs.New(errs.Invalid, op, "there is no picture track")
	case !slices.Contains(pictureCodecs, v.Codec):
		return nil, errs.New(errs.Unsupported, op, "mp4 does not hold pictures of codec %s", v.Codec)
	case !v.TimeBase.Known() || v.TimeBase.Num <= 0 || v.TimeBase.Den <= 0:
		return nil, errs.New(errs.Unsupported, op, "the clock of the pictures is not known")
	}
	if info.Format == "avi" && (v.Codec == "h264" || v.Codec == "hevc") && v.BFrames != nil && *v.BFrames {
		// FFmpeg counts their times as if they were shown in the order they are decoded in.
		return nil, errs.New(errs.Unsupported, op, "AVI does not say when pictures of %s are shown that are decoded in another order", v.Codec)
	}
	c := &Copy{Muxer: "mp4", v: v, ranged: true, Scale: slice.Scale(v.TimeBase), Shift: source.Shift(info)}
	if !slice.Exact(v.TimeBase, c.Scale) {
		return nil, errs.New(errs.Unsupported, op, "times in %s s are not written exactly", v.TimeBase)
	}
	return c, nil
}

// Run copies what open reads into a file at path; job holds what the run may touch.
// seen notes what was read, by which the copy is proven: Invalid says what differs.
func (c *Copy) Run(ctx fn.Context, ff *ffmpeg.Tool, job ffmpeg.Job, open ffmpeg.Input, path string, seen *Packets) (ffmpeg.Stats, error) {
	opened, err := open.Args()
	if err != nil {
		return ffmpeg.Stats{}, err
	}
	job.Args = append(append([]string{"-copyts"}, opened...), c.args(path)...)
	job.Stdout, job.Stall = seen, 5*time.Minute
	stats, err := ff.Run(ctx, job)
	if err == nil {
		err = c.same(ctx, path, seen)
	}
	return stats, err
}

// Look reads packets without copying them.
func (c *Copy) Look(ctx fn.Context, ff *ffmpeg.Tool, job ffmpeg.Job, open ffmpeg.Input, seen *Packets) error {
	opened, err := open.Args()
	if err != nil {
		return err
	}
	job.Args = append(append([]string{"-copyts"}, opened...), c.lines()...)
	job.Stdout, job.Stall = seen, 5*time.Minute
	_, err = ff.Run(ctx, job)
	return err
}

// args write two outputs of one reading: the copy, and a line of every picture
// packet as it was read, to prove the copy by.
func (c *Copy) args(path string) []string {
	args := []string{"-map", c.picture()}
	for i := range c.sound {
		args = append(args, "-map", "0:"+strconv.Itoa(c.sound[i].Index))
	}
	args = append(append(args, c.offset()...), "-c", "copy", "-sn", "-dn", "-map_chapters", "-1",
		"-avoid_negative_ts", "disabled", "-strict", "experimental", "-video_track_timescale", itoa(c.Scale), "-movie_timescale", itoa(max(c.Scale, 90_000)),
		"-max_muxing_queue_size", "4096", "-f", c.Muxer, path)
	return append(args, c.lines()...)
}

func (c *Copy) lines() []string {
	args := append([]string{"-map", c.picture()}, c.offset()...)
	return append(args, "-c", "copy", "-avoid_negative_ts", "disabled", "-flush_packets", "1", "-f", "framecrc", "pipe:1")
}

func (c *Copy) picture() string { return "0:" + strconv.Itoa(c.v.Index) }

func (c *Copy) offset() []string {
	if c.Shift == 0 {
		return nil
	}
	return []string{"-output_ts_offset", strconv.FormatFloat(c.Shift, 'f', -1, 64)}
}

// same compares the copy with what was read and known of the source. Invalid
// says what differs.
func (c *Copy) same(ctx fn.Context, path string, read *Packets) error {
	if read.err != nil {
		return read.err
	}
	f, err := os.Open(path)
	if err != nil {
		return errs.As(errs.Transient, op, err)
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return errs.As(errs.Transient, op, err)
	}
	format, _ := sniff.FormatByName(c.Muxer)
	copied, err := container.Read(ctx, f, st.Size(), format, container.Options{Keys: true})
	if err != nil {
		return err
	}
	v := copied.MainVideo()
	if v == nil || len(copied.Audio) != len(c.sound) {
		return errs.New(errs.Invalid, op, "a track is missing")
	}
	times, base, err := container.FrameTimes(ctx, f, st.Size(), format, v.Index)
	if err != nil {
		return err
	}
	want := read.PTS
	if c.ranged {
		times, want = read.behind(times, base), read.behind(want, read.Base)
	}
	if err := sameTimes(times, base, want, read.Base); err != nil {
		return err
	}
	if what := differs(c.v, v); what != "" {
		return errs.New(errs.Invalid, op, "%s of the pictures", what)
	}
	for i := range copied.Audio {
		a, b := &c.sound[i], &copied.Audio[i]
		if math.Abs(a.StartTime+c.Shift-b.StartTime) > 0.001 {
			return errs.New(errs.Invalid, op, "sound track %d begins at %.3f s, copied at %.3f s", i, a.StartTime+c.Shift, b.StartTime)
		}
	}
	return nil
}

// sameTimes compares lists of times exactly. Neither need be sorted.
func sameTimes(got []int64, base media.Rational, want []int64, wantBase media.Rational) error {
	if len(got) != len(want) {
		return errs.New(errs.Invalid, op, "%d frames of %d", len(got), len(want))
	}
	slices.Sort(want)
	for i := range want {
		if i > 0 && want[i] == want[i-1] {
			return errs.New(errs.Invalid, op, "two frames share a time")
		}
		// Ticks below 2^40 and clocks below 2^21: neither product overflows.
		if want[i] >= 1<<40 || want[i] < 0 || got[i]*base.Num*wantBase.Den != want[i]*wantBase.Num*base.Den {
			return errs.New(errs.Invalid, op, "frame %d at %.6f s, copied to %.6f s", i, wantBase.Seconds(want[i]), base.Seconds(got[i]))
		}
	}
	return nil
}

// differs names what of the look of pictures is not the same. What the source's
// container did not tell is not compared.
func differs(a, b *media.VideoStream) string {
	said := func(x, y string) bool { return x != "" && x != y }
	usual := cmp.Or(b.Color.Range, "tv") // where neither container nor tables say: the pictures do
	switch {
	case a.Codec != b.Codec:
		return "the codec"
	case a.Width != b.Width || a.Height != b.Height:
		return fmt.Sprintf("the size (%d×%d, copied %d×%d)", a.Width, a.Height, b.Width, b.Height)
	case a.SAR.Known() && a.SAR.Num > 0 && a.SAR.Float() != 1 && a.SAR.Reduce() != b.SAR.Reduce():
		return "the aspect"
	case a.Rotation != b.Rotation || a.Flip != b.Flip:
		return "the orientation"
	case said(a.Color.Range, usual) || said(a.Color.Primaries, b.Color.Primaries) || said(a.Color.Transfer, b.Color.Transfer) || said(a.Color.Matrix, b.Color.Matrix):
		return fmt.Sprintf("the colour (%+v, copied %+v)", a.Color, b.Color)
	case a.HDR != nil && b.HDR == nil:
		return "the HDR data"
	}
	return ""
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
