// Package ahead runs functions on slices of sources of which nobody has counted the
// frames, since they are still arriving: what lies in a range of bytes is copied into
// an mp4, and that is to the function a slice like any other.
package ahead

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/remux"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/container/splice"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

const op = "ahead"

// Of is f, which also takes parts that are splits of its primary input. Functions
// whose slices are not independent it returns as they are.
func Of(ff *ffmpeg.Tool, f fn.Function) fn.Function {
	if f.Spec().Slicing.Mode != fn.Independent {
		return f
	}
	return &function{f, ff}
}

type function struct {
	fn.Function
	ff *ffmpeg.Tool
}

// Run runs a split as the slice it turns out to be. Its facts are slice.Found; one
// without frames gives no file.
func (f *function) Run(ctx fn.Context, call *fn.Call) (*fn.Result, error) {
	if call.Part == nil || call.Part.Split == nil || len(call.Inputs) == 0 {
		return f.Function.Run(ctx, call)
	}
	c, err := begin(&call.Inputs[0], call)
	if err != nil {
		return nil, err
	}
	found, stats, err := c.cut(ctx, f.ff)
	if err != nil {
		return nil, err
	}
	res := &fn.Result{}
	if found.Frames > 0 {
		own := *call
		if own.Inputs, err = c.inputs(call.Inputs, found); err != nil {
			return nil, err
		}
		defer func() { _ = own.Inputs[0].Data.(io.Closer).Close() }()
		own.Part = c.part(found)
		if res, err = f.Function.Run(ctx, &own); err != nil {
			return nil, err
		}
		_ = os.Remove(c.path)
	}
	res.Usage = res.Usage.Add(fn.Usage{CPUSeconds: (stats.User + stats.System).Seconds(), WallSeconds: stats.Wall.Seconds(), MaxMemory: stats.MaxRSS})
	if res.Facts, err = json.Marshal(found); err != nil {
		return nil, errs.New(errs.Internal, op, "encode facts: %w", err)
	}
	return res, nil
}

// cutting is a split on its way to a slice.
type cutting struct {
	in    *fn.Input
	front *media.Info
	call  *fn.Part
	file  *splice.File
	copy  *remux.Copy
	dir   string
	path  string // of the copy
}

func begin(in *fn.Input, call *fn.Call) (*cutting, error) {
	c := &cutting{in: in, front: in.Info, call: call.Part, dir: call.Dir, path: filepath.Join(call.Dir, "split.mp4")}
	if in.Info == nil || in.Data == nil {
		return nil, errs.New(errs.Unsupported, op, "nothing is known of the file")
	}
	v := c.front.MainVideo()
	if v == nil || v.Timing == nil || v.PixelFormat == "" {
		return nil, errs.New(errs.Unsupported, op, "the front of the file does not tell enough of its pictures")
	}
	var err error
	if c.file, err = splice.Open(in.Data, in.Size, in.Format); err != nil {
		return nil, err
	}
	c.copy, err = remux.Pictures(c.front)
	return c, err
}

// What FFmpeg reads before it knows the streams, in microseconds. In MPEG-TS it reads
// as much in any case. A file that is entered at a keyframe needs little; where the
// next one is seconds away it needs that.
var analyse = []string{"1000000", "20000000"}

// open is how FFmpeg reads what it is given.
func (c *cutting) open(analyse string) ffmpeg.Input {
	return ffmpeg.Input{Stdin: true, Demuxer: c.in.Demuxer, MaxPixels: source.MaxPixels, Extra: []string{"-analyzeduration", analyse, "-probesize", "100000000"}}
}

// cut copies the split's pictures, on to the second keyframe behind it, so that what
// is shown before the first one and decoded behind it is there as well.
func (c *cutting) cut(ctx fn.Context, ff *ffmpeg.Tool) (*slice.Found, ffmpeg.Stats, error) {
	none := func(err error) (*slice.Found, ffmpeg.Stats, error) { return nil, ffmpeg.Stats{}, err }
	found := &slice.Found{TimeBase: media.Rational{Num: 1, Den: c.copy.Scale}, Scale: c.copy.Scale, Shift: c.copy.Shift}
	start, err := c.file.Sync(c.call.Split.First)
	if err != nil {
		return none(err)
	}
	to := int64(math.MaxInt64)
	if c.call.Split.Behind > 0 {
		end, err := c.file.Sync(c.call.Split.Behind)
		if err != nil {
			return none(err)
		}
		if start == end {
			return found, ffmpeg.Stats{}, nil
		}
		if to, err = c.first(ctx, ff, end); err != nil {
			return none(err)
		}
	}
	if start >= c.in.Size {
		return found, ffmpeg.Stats{}, nil
	}
	feed := &until{r: c.file.From(start)}
	seen := &remux.Packets{Key: func(pts int64) {
		if pts > to {
			feed.end.Store(true)
		}
	}}
	stats, err := c.copy.Run(ctx, ff, ffmpeg.Job{WritePaths: []string{c.dir}, Dir: c.dir, Stdin: feed, Tolerant: true}, c.open(analyse[1]), c.path, seen)
	switch {
	case feed.err() != nil && !feed.end.Load():
		return none(feed.err())
	case err != nil && len(seen.Keys) == 0 && !errs.Is(err, errs.Transient) && ctx.Err() == nil:
		return found, stats, nil // there is none up to the end
	case err != nil:
		return none(err)
	}
	from := seen.Keys[0]
	if to == math.MaxInt64 {
		to = seen.End()
	} else if from != to && !slices.Contains(seen.Keys, to) {
		return none(errs.New(errs.Unsupported, op, "the keyframe at %.3f s is none to who comes from before", seen.Base.Seconds(to)))
	}
	found.Frames = seen.Between(from, to)
	var exact1, exact2 bool
	found.From, exact1 = ticks(from, seen.Base, c.copy.Scale)
	found.To, exact2 = ticks(to, seen.Base, c.copy.Scale)
	if !exact1 || !exact2 {
		return none(errs.New(errs.Unsupported, op, "times in %s s are not written exactly", seen.Base))
	}
	return found, stats, nil
}

// first is the time of the first keyframe from a place on, more than any time if there
// is none.
func (c *cutting) first(ctx fn.Context, ff *ffmpeg.Tool, at int64) (int64, error) {
	if at >= c.in.Size {
		return math.MaxInt64, nil
	}
	var err error
	for _, enough := range analyse {
		feed := &until{r: c.file.From(at)}
		seen := &remux.Packets{Key: func(int64) { feed.end.Store(true) }}
		err = c.copy.Look(ctx, ff, ffmpeg.Job{Dir: c.dir, Stdin: feed, Tolerant: true}, c.open(enough), seen)
		switch {
		case len(seen.Keys) > 0: // what it says of the end, which comes in the middle, counts for nothing
			return seen.Keys[0], nil
		case feed.err() != nil:
			return 0, feed.err()
		case errs.Is(err, errs.Transient) || ctx.Err() != nil:
			return 0, errs.Wrap(op, cmp.Or(err, ctx.Err()))
		}
	}
	return math.MaxInt64, nil
}

// until reads on until it is told to end.
type until struct {
	r     io.Reader
	end   atomic.Bool
	broke atomic.Pointer[error] // what ended it before
}

// err is why what was read is not all there is. Who reads takes it for the end.
func (u *until) err() error {
	if e := u.broke.Load(); e != nil {
		return *e
	}
	return nil
}

func (u *until) Read(p []byte) (int, error) {
	if u.end.Load() {
		return 0, io.EOF
	}
	n, err := u.r.Read(p[:min(len(p), 64<<10)])
	if err != nil && err != io.EOF {
		u.broke.Store(&err)
	}
	return n, err
}

// inputs has the copy in the place of the primary input.
func (c *cutting) inputs(all []fn.Input, found *slice.Found) ([]fn.Input, error) {
	f, err := os.Open(c.path)
	if err != nil {
		return nil, errs.As(errs.Transient, op, err)
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, errs.As(errs.Transient, op, err)
	}
	all = slices.Clone(all)
	in := &all[0]
	in.Format, in.Demuxer, in.Location, in.Port, in.Data, in.Size, in.Skip = "mp4", "mov", c.path, 0, f, st.Size(), nil
	if in.Identity != "" {
		in.Identity += fmt.Sprintf(" from %d to %d", c.call.Split.First, c.call.Split.Behind)
	}
	in.Info = c.info()
	return all, nil
}

// info is the same for all slices: what the front told, of a copy.
func (c *cutting) info() *media.Info {
	info := *c.front
	info.Format = "mp4"
	info.StartTime += c.copy.Shift
	v := *c.front.MainVideo()
	v.Index, v.TimeBase, v.Timing = 0, media.Rational{Num: 1, Den: c.copy.Scale}, &media.Timing{FirstPTS: c.begins()}
	v.StartTime += c.copy.Shift
	if v.FieldOrder == "" {
		v.FieldOrder = "progressive" // it is taken for that, and the copy would not tell either
	}
	info.Video = []media.VideoStream{v}
	info.Audio = slices.Clone(info.Audio)
	for i := range info.Audio {
		info.Audio[i].StartTime += c.copy.Shift
	}
	return &info
}

// begins is the time of the source's first picture in the copy.
func (c *cutting) begins() int64 {
	v := c.front.MainVideo()
	return int64(math.Round((v.TimeBase.Seconds(v.Timing.FirstPTS) + c.copy.Shift) * float64(c.copy.Scale)))
}

// part is the slice of the copy. It is read from its start: Entry says no later one.
func (c *cutting) part(found *slice.Found) *fn.Part {
	p := *c.call
	p.Split, p.Bytes = nil, fn.Bytes{}
	p.TimeBase, p.Scale, p.Frames = found.TimeBase, found.Scale, found.Frames
	p.Start, p.End, p.From, p.To, p.Entry = found.From, found.To, found.From, found.To, c.begins()
	if rate := c.front.MainVideo().FrameRate; rate.Known() { // keyframes are placed by it: near is good enough
		p.First = int64(math.Round(p.TimeBase.Seconds(p.Start-p.Entry) * rate.Float()))
	}
	return &p
}

// ticks converts a time to 1/scale s; false if it is no whole number there.
func ticks(t int64, base media.Rational, scale int64) (int64, bool) {
	if t < 0 || t >= 1<<40 || base.Num <= 0 || base.Num > 1<<20 || base.Den <= 0 || scale%base.Den != 0 || scale/base.Den > 1<<20 {
		return 0, false
	}
	by := base.Num * (scale / base.Den)
	if t > math.MaxInt64/by {
		return 0, false
	}
	return t * by, true
}
