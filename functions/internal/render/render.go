// Package render turns what a function wants of a video into one run of FFmpeg:
// of the whole, of a slice, or of the sound. The functions video → video share it.
package render

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/coded"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// Order is what a function asks to be rendered: one encode of the whole, of a
// range of pictures, or of the sound. It is pure; argv depends on nothing else.
type Order struct {
	Params  *encode.Params
	Info    *media.Info
	Part    *fn.Part
	Threads int
	Start   float64  // seconds to cut off in front, whole runs only
	End     *float64 // second where it ends, on the same clock

	// OpusDelay is what copied Opus sound says of itself, in samples at 48 kHz.
	OpusDelay int

	// Work is what the function makes of the pictures as the source has them,
	// upright, before they get their size and colours. in and out are labels. It
	// sees the source's own time line (see Clock), ticks and, in a slice, all frames
	// from From to To, and leaves the ticks as they are. nil does nothing.
	Work func(in, out string) graph.Graph
	// Prepare runs before, if anything has to be computed: what Work reads comes out
	// of it. Depends is what that depends on beside the command line, as text.
	Prepare func(ctx fn.Context) (fn.Usage, error)
	Depends string
	// Rate is that of the frames Work gives where it is not the source's, one frame
	// for one: then frame k lies k/Rate behind the first, which Work may have to
	// make up for at the end only. It needs the facts of Timed.
	Rate media.Rational
	// Finish are filters for pictures that have their size and colours.
	Finish []graph.Filter
	// Draw adds to the picture once it has its size. in and out are labels; it
	// sees seconds of the source's own time line (see Clock). nil draws nothing.
	Draw func(in, out string, width, height int) graph.Graph
	// Extra are further inputs, of Draw: numbers 1, 2, …
	Extra []ffmpeg.Input
	// Files are the contents of files that Draw names FileName(0), FileName(1), …
	Files []string
	// Unused are slots of the call that the order does not look at: what fills
	// them makes no difference.
	Unused []string

	// Ladder are several files to make of the same decoded pictures, in place of
	// one; Params then say how the sound is rendered, which goes into the first.
	Ladder []Rendition
	// Filled has the sound begin and end with the pictures, filled up with silence.
	Filled bool

	name  string             // of the rendition this order makes; empty = there is one file
	saved map[string]float64 // by that name: part of the peak rate that is not used, see within
	turn  *turn              // which of two passes this is; nil = there is one
	seen  *media.Info        // what came with the call: the same for the whole and every slice

	version string // of the ffmpeg that runs
}

// plan is a decided order.
type plan struct {
	Args   []string // behind the inputs' own
	Seek   *float64 // where the source is entered
	Again  float64  // the source is opened once more, this many seconds later; 0 = it is not
	Copyts bool
	Frames int64 // expected frames; 0 = not known
	Length float64
	Output string // file name; empty = only the encoder's statistics are wanted
	More   []file // made in the same run
}

// file is a further output of a run.
type file struct {
	Name string
	Args []string
}

// tick is the time base for changed frame rates: it holds every usual rate.
const tick = 90000

// plan decides how o is rendered.
func (o Order) plan() (*plan, error) {
	v := o.Info.MainVideo()
	if v == nil {
		return nil, errs.New(errs.Invalid, "video", "the source has no pictures")
	}
	if o.Part != nil && o.trimmed() {
		return nil, errs.New(errs.Unsupported, "video", "a call with start or end is not sliced")
	}
	if o.Part != nil && o.Part.Stream == fn.Sound {
		return o.sound()
	}
	if len(o.Ladder) > 0 {
		return o.ladder(v)
	}
	if o.Rate.Known() && o.Part == nil && v.Timing == nil {
		return nil, errs.New(errs.Invalid, "video", "the source does not say when its pictures end")
	}
	chain, err := o.Params.Picture().Plan(v, o.Params.Video())
	if err != nil {
		return nil, err
	}
	if err := o.copyable(); err != nil {
		return nil, err
	}
	p := &plan{Copyts: !o.trimmed() && !o.settled(), Output: "video." + o.Params.Format}
	text, err := o.graph(p, chain, v)
	if err != nil {
		return nil, err
	}
	p.Args = append(p.Args, "-filter_complex", text, "-filter_complex_threads", itoa(max(o.Threads, 1)), "-map", "[v]")
	if o.Part == nil {
		o.whole(p, v)
	} else {
		o.pictures(p, v, len(chain.Before) > 0)
	}
	p.Args = append(p.Args, "-vsync", "passthrough")
	if o.Params.Rate().Known() || o.Rate.Known() {
		p.Args = append(p.Args, "-enc_time_base:v", "1:"+itoa(tick))
	} else {
		p.Args = append(p.Args, "-enc_time_base:v", encodeBase(v, o.Part))
	}
	p.Args = append(p.Args, o.video(o.Params, v).Args(o.Threads, chain.Width, chain.Tags, chain.HDR, o.container())...)
	if o.turn.first() {
		p.Output = ""
		return p, nil
	}
	p.Args = append(p.Args, o.last(v)...)
	p.Args = append(p.Args, o.muxer(p)...)
	return p, nil
}

// last says how long the last picture is shown, where pictures keep their times
// and the source's tables tell of that one. Of slices the merge says it.
func (o Order) last(v *media.VideoStream) []string {
	t := v.Timing
	if o.Part != nil || o.trimmed() || o.Params.Rate().Known() || o.Rate.Known() || t == nil || t.Discontinue || t.EditList || !listed(o.Info) {
		return nil
	}
	return encode.LastPicture(o.version, o.Params.Format, tick, v.TimeBase, v.Frames, t.LastPTS-t.FirstPTS, t.LastPTS+t.LastDur-t.FirstPTS)
}

// video is how p's pictures are encoded here.
func (o Order) video(p *encode.Params, v *media.VideoStream) encode.Video {
	e, _ := p.RateFor(o.profile())
	if o.Part != nil {
		e.KeyFrom = v.TimeBase.Seconds(o.Part.Start - o.first(v))
		e.KeyAt = o.keyAt(p, e.Distance(), e.KeyFrom)
	}
	o.turn.apply(&e)
	if o.buffered(e) {
		e.MaxBitrate, e.Buffer = e.VBV()
		e.Start, e.Saved = o.bufferStart(), o.saved[o.name]
		if e.Level == "" {
			e.Level = levelOf(p, e, v)
		}
	}
	return e
}

// keyAt is the first frame of a slice that would be a keyframe in the whole, at
// so many frames from one to the next: the seconds about a keyframe are the best
// ones, so a slice has its best where the whole has it.
func (o Order) keyAt(p *encode.Params, distance int64, from float64) int64 {
	first := o.Part.First
	if rate := p.Rate(); rate.Known() {
		first = int64(math.Round(from * rate.Float()))
	}
	if distance <= 1 || first <= 0 {
		return 0
	}
	return (distance - first%distance) % distance
}

// profile is what the choice of rate control rests on. What a run finds out by
// itself beyond that may differ from slice to slice.
func (o Order) profile() *media.Info {
	if o.seen != nil {
		return o.seen
	}
	return o.Info
}

// levelOf is the level of a slice's stream by the whole peak rate, of which a
// slice that is encoded again uses less: all slices are to have the same headers.
func levelOf(p *encode.Params, e encode.Video, v *media.VideoStream) string {
	chain, err := p.Picture().Plan(v, e)
	if err != nil {
		return "" // the run says so
	}
	rate := v.AvgRate.Float()
	if p.Rate().Known() {
		rate = p.Rate().Float()
	}
	return e.LevelFor(encode.Shape{Width: chain.Width, Height: chain.Height, FrameRate: rate})
}

// encodeBase is the encoder's time base. A filter graph hides the source's
// from -enc_time_base -1, so it is named.
func encodeBase(v *media.VideoStream, _ *fn.Part) string {
	if v.TimeBase.Known() && v.TimeBase.Num > 0 {
		return strconv.FormatInt(v.TimeBase.Num, 10) + ":" + strconv.FormatInt(v.TimeBase.Den, 10)
	}
	return "-1"
}

func (o Order) trimmed() bool { return o.Start > 0 || o.End != nil }

func (o Order) container() string {
	if o.Part != nil {
		return "mp4"
	}
	return o.Params.Format
}

// Clock is what to add to the time a filter sees (after the range was chosen,
// before timestamps are reset) to get seconds of the source's time line.
func (o Order) Clock() float64 {
	if o.trimmed() {
		return o.Start
	}
	return o.origin() - max(o.Info.StartTime, 0)
}

// settled reports whether FFmpeg puts the source's clock in order: that of a
// container without a beginning starts anywhere and may jump on its way. Slices
// are picked by the clock as it is.
func (o Order) settled() bool { return o.Part == nil && !o.trimmed() && !source.Indexed(o.Info) }

// origin is the second of the source's clock that is zero for filters and
// encoders of a run that is not trimmed.
func (o Order) origin() float64 {
	if o.settled() {
		return o.Info.StartTime
	}
	return 0
}

// first is the first picture's timestamp as far as it is known.
func (o Order) first(v *media.VideoStream) int64 {
	switch {
	case v.Timing != nil:
		return v.Timing.FirstPTS
	case v.TimeBase.Known():
		return v.TimeBase.Ticks(v.StartTime)
	}
	return 0
}

// pictures are the arguments of a slice. before says that a filter in front of
// the choice of frames looks at the frame before.
func (o Order) pictures(p *plan, v *media.VideoStream, before bool) {
	p.Output = "slice.mp4"
	if t := v.TimeBase.Seconds(o.Part.Entry) - o.Info.StartTime; o.Part.Entry > o.first(v) && t > 0 {
		// The demuxer goes to the last keyframe not behind this; a little more
		// covers the rounding to microseconds.
		if t += 0.001; before && o.Part.Entry == from(o.Part) {
			// The keyframe before, which leads to the frame before. Indexes
			// may hold decode times, as many as 16 frames earlier.
			rate := v.AvgRate.Float()
			if rate <= 0 {
				rate = 25
			}
			t -= 17 / rate
		}
		if t > 0 {
			p.Seek = &t
		}
	}
	p.Length = v.TimeBase.Seconds(o.Part.End - o.Part.Start)
	p.Args = append(p.Args, "-an", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1",
		"-frames:v", int64s(p.Frames), "-video_track_timescale", int64s(o.Part.Scale))
}

// whole are the arguments of a run over everything.
func (o Order) whole(p *plan, v *media.VideoStream) {
	p.Length = o.Info.Duration
	end := o.Info.Duration
	if o.End != nil {
		end = min(*o.End, max(end, *o.End))
	}
	if o.trimmed() {
		p.Length = max(end-o.Start, 0)
		switch {
		case o.Start > 0 && source.Indexed(o.Info):
			start := o.Start
			p.Seek = &start
		case o.Start > 0:
			// Entering a stream without an index loses frames: all is decoded.
			p.Args = append(p.Args, "-ss", float(o.Start))
		}
		if o.End != nil {
			p.Args = append(p.Args, "-t", float(*o.End-o.Start))
		}
	}
	if o.turn.first() {
		p.Args = append(p.Args, "-an", "-sn", "-dn")
		return
	}
	o.soundArgs(p)
	if o.Params.Subtitles == "keep" {
		o.subtitles(p)
	} else {
		p.Args = append(p.Args, "-sn")
	}
	p.Args = append(p.Args, "-dn")
	if o.Params.Metadata == "strip" {
		p.Args = append(p.Args, "-map_metadata", "-1", "-map_chapters", "-1")
		p.Args = append(p.Args, o.languages()...)
	} else {
		p.Args = append(p.Args, "-map_metadata", "0", "-map_chapters", "0")
	}
}

// muxer are the container's options and its name.
func (o Order) muxer(p *plan) []string {
	format := o.container()
	var args []string
	switch {
	case o.Part != nil && o.Part.Stream == fn.Pictures:
		// The edit list lets presentation begin at zero and decoding before it.
		// Negative composition offsets would do without one, but FFmpeg's reader
		// overlooks those of the last two frames and then moves them.
		args = append(args, "-f", "mp4")
	case o.Part != nil:
		args = append(args, "-strict", "experimental", "-movie_timescale", itoa(tick), "-f", soundMuxer(o.Params.AudioCodec, o.Info))
	case format == "mp4" || format == "mov":
		if o.Params.FastStart {
			args = append(args, "-movflags", "+faststart")
		}
		args = append(args, "-strict", "experimental", "-movie_timescale", itoa(tick), "-video_track_timescale", itoa(tick), "-f", format)
	default:
		// Sound begins a little before zero where its encoder needs a start; it
		// may, so that the first picture is where it was.
		args = append(args, "-avoid_negative_ts", "disabled", "-f", o.Params.Muxer())
	}
	if shift := source.Shift(o.Info); o.Part == nil && p.Copyts && shift != 0 {
		args = append([]string{"-output_ts_offset", float(shift)}, args...)
	}
	return append(args, "-max_muxing_queue_size", "4096")
}

// Run runs an order and makes its result: of files that are kept from earlier
// calls nothing is computed.
func (o Order) Run(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, in *fn.Input, grants ...*fn.Input) (*fn.Result, error) {
	if o.Params.AudioCodec == "copy" && in.Data != nil {
		o.OpusDelay = encode.OpusDelay(in.Data, in.Size)
	}
	o.seen, o.version = in.Info, ff.Version()
	if o.Part != nil && o.Part.Pass == fn.Reduce {
		return o.reduce(call)
	}
	o.turn = o.turnOf()
	build := ""
	if call.Stored != nil {
		build = ff.Build(ctx)
	}
	o, outs, err := o.recall(build, call)
	if err != nil {
		return nil, err
	}
	p, err := o.plan()
	if err != nil {
		return nil, err
	}
	res := &fn.Result{Outputs: outs, Facts: o.told(), Usage: fn.Usage{InputDuration: p.Length, OutputDuration: p.Length}}
	if !slices.ContainsFunc(outs, func(f fn.Output) bool { return f.Object == nil }) {
		return res, nil
	}
	if err := o.write(call.Dir); err != nil {
		return nil, err
	}
	if o.Part != nil && o.Part.Stream == fn.Sound {
		if in, err = source.Heard(ctx, in); err != nil {
			return nil, err
		}
	}
	if o.Prepare != nil {
		spent, err := o.Prepare(ctx)
		if err != nil {
			return nil, err
		}
		defer func() {
			spent.InputDuration, spent.OutputDuration = 0, 0
			res.Usage = res.Usage.Add(spent)
		}()
	}
	var stats ffmpeg.Stats
	if o.aimed() {
		stats, err = o.aim(ctx, ff, call, in, grants)
	} else {
		stats, err = o.within(ctx, ff, call, in, grants)
	}
	if o.undecodable(err) {
		res.Outputs, err = o.void(res.Outputs)
	}
	if err != nil {
		return nil, err
	}
	u := &res.Usage
	u.CPUSeconds, u.WallSeconds = (stats.User + stats.System).Seconds(), stats.Wall.Seconds()
	u.MaxMemory, u.BytesOut = stats.MaxRSS, stats.Size
	return res, nil
}

// complete runs an order's plan once and holds it to the frames its index
// promised.
func (o Order) complete(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, in *fn.Input, grants []*fn.Input) (ffmpeg.Stats, error) {
	p, err := o.plan()
	if err != nil {
		return ffmpeg.Stats{}, err
	}
	stats, frames, err := o.once(ctx, ff, call, in, p, grants)
	if err == nil && o.Part != nil && o.Part.Stream == fn.Pictures && frames != p.Frames && p.Seek != nil {
		// The index named an entry that decoding could not start from.
		p.Seek = nil
		stats, frames, err = o.once(ctx, ff, call, in, p, grants)
	}
	if err != nil {
		return stats, err
	}
	if o.Part != nil && o.Part.Stream == fn.Pictures && frames != p.Frames {
		return stats, errs.New(errs.Invalid, "video", "the range gave %d frames, its index promised %d", frames, p.Frames)
	}
	return stats, nil
}

// undecodable reports whether a slice of the pictures failed for what the source
// is: damaged there, or without the frames its index names.
func (o Order) undecodable(err error) bool {
	return errs.Is(err, errs.Invalid) && o.Part != nil && o.Part.Stream == fn.Pictures
}

// void leaves files without pictures in place of a slice that could not be
// decoded. A run over everything may do without what is missing: the
// certificate, which misses it too, has the whole processed in one piece.
func (o Order) void(outs []fn.Output) ([]fn.Output, error) {
	for i := range outs {
		outs[i].Key, outs[i].Object = "", nil
		if err := os.WriteFile(outs[i].Path, coded.Void, 0o600); err != nil {
			return nil, errs.New(errs.Transient, "video", "%w", err)
		}
	}
	return outs, nil
}

// outputs are the files of a plan.
func (o Order) outputs(p *plan, dir string) (outs []fn.Output) {
	out := fn.Output{Slot: "video", Kind: media.Video, Mime: o.Params.Mime()}
	if o.turn.first() {
		return []fn.Output{packed(dir)}
	}
	if o.Part != nil {
		out.Mime = "video/mp4"
		if o.Part.Stream == fn.Sound {
			out.Kind, out.Mime = media.Audio, "audio/mp4"
		}
	}
	for _, f := range append([]file{{Name: p.Output}}, p.More...) {
		out.Name, out.Path = f.Name, filepath.Join(dir, f.Name)
		outs = append(outs, out)
	}
	return outs
}

// told are the facts of a run: of a part what was removed again, of one over
// everything why its rate control is another than asked.
func (o Order) told() json.RawMessage {
	if o.Part != nil {
		return removed(o.Part)
	}
	_, policy := o.Params.RateFor(o.profile())
	if policy == nil {
		return nil
	}
	raw, _ := json.Marshal(map[string]*fn.RatePolicy{"rate_policy": policy}) // two strings: cannot fail
	return raw
}

func (o Order) once(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, in *fn.Input, p *plan, grants []*fn.Input) (ffmpeg.Stats, int64, error) {
	args, err := o.argv(p, source.Open(in), call.Dir)
	if err != nil {
		return ffmpeg.Stats{}, 0, err
	}
	job := ffmpeg.Job{Args: args, Dir: call.Dir, WritePaths: []string{call.Dir}, Duration: p.Length, Frames: p.Frames, Stall: 5 * time.Minute,
		Progress: func(r ffmpeg.Progress) {
			call.Report(fn.Progress{Done: o.done(r.Percent / 100), Frames: r.Frames, Speed: r.Speed})
		}}
	if o.Part != nil && o.Part.Stream == fn.Pictures {
		job.Duration = 0 // frames tell better
	}
	source.Grant(&job, in)
	for _, g := range grants {
		source.Grant(&job, g)
	}
	stats, err := ff.Run(ctx, job)
	return stats, stats.Frames, err
}

// argv is the whole command line behind ffmpeg's global flags.
func (o Order) argv(p *plan, in ffmpeg.Input, dir string) ([]string, error) {
	args, err := o.inputs(p, in)
	if err != nil {
		return nil, err
	}
	for _, f := range append([]file{{p.Output, p.Args}}, p.More...) {
		if args = append(args, f.Args...); f.Name == "" {
			args = append(args, "-f", "null", "-")
		} else {
			args = append(args, "file:"+filepath.Join(dir, f.Name))
		}
	}
	return args, nil
}

// inputs are the arguments in front of the first output's.
func (o Order) inputs(p *plan, in ffmpeg.Input) ([]string, error) {
	var args []string
	if p.Copyts {
		args = append(args, "-copyts")
	}
	in.Seek = p.Seek
	in.Extra = append(slices.Clone(in.Extra), "-threads", itoa(max(o.Threads, 1)))
	if p.Seek != nil && o.Part != nil {
		in.Extra = append(in.Extra, "-noaccurate_seek") // the graph picks, exactly
	}
	inputs := append([]ffmpeg.Input{in}, o.Extra...)
	if p.Again != 0 {
		in.Extra = append(slices.Clone(in.Extra), "-itsoffset", float(p.Again))
		inputs = append(inputs, in)
	}
	for _, in := range inputs {
		open, err := in.Args()
		if err != nil {
			return nil, err
		}
		args = append(args, open...)
	}
	return args, nil
}

// Facts are what the plans read: the container's, and ffprobe's where pixel
// format, field order or colours are only known by decoding.
func Facts(ctx fn.Context, ff *ffmpeg.Tool, in *fn.Input) (*media.Info, error) {
	info, err := source.Facts(ctx, ff, nil, in, source.Want{})
	if err != nil {
		return nil, err
	}
	if v := info.MainVideo(); v != nil && (v.PixelFormat == "" || v.FieldOrder == "" || !v.TimeBase.Known()) {
		return source.Facts(ctx, ff, nil, in, source.Want{Probe: true})
	}
	return info, nil
}

// Timed are Facts and the times of the first and the last picture.
func Timed(ctx fn.Context, ff *ffmpeg.Tool, in *fn.Input) (*media.Info, error) {
	info, err := Facts(ctx, ff, in)
	if err != nil || info.MainVideo() == nil || info.MainVideo().Timing != nil {
		return info, err
	}
	return source.Facts(ctx, ff, nil, in, source.Want{Keys: true, Probe: true})
}

// Argv is the command line behind FFmpeg's global flags that writes into dir;
// of two passes the second, as if each slice had the bits of the mean.
func (o Order) Argv(in ffmpeg.Input, dir string) ([]string, error) {
	o.turn = o.turnOf()
	p, err := o.plan()
	if err != nil {
		return nil, err
	}
	return o.argv(p, in, dir)
}

func itoa(n int) string      { return strconv.Itoa(n) }
func int64s(n int64) string  { return strconv.FormatInt(n, 10) }
func float(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
