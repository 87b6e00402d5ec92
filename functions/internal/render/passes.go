package render

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/coded"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/rate"
	"github.com/mediafn/mediafn/tools/container"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/sniff"
)

// A bit rate is aimed at in two passes: in one call where everything is
// encoded at once, in three where slices are (fn.Analyse, fn.Reduce, and the
// slices themselves).

// Slots that flows fill between the passes over slices.
const (
	analysesSlot = "analyses"
	analysisSlot = "analysis"
	reducedSlot  = "reduced"
)

// Internal are the internal slots of every function that renders by orders.
func Internal() []fn.Slot {
	return []fn.Slot{
		{Name: analysesSlot, Kinds: []media.Kind{media.Data}, Help: "first passes of all slices"},
		{Name: analysisSlot, Kinds: []media.Kind{media.Data}, Max: 1, Help: "first pass of this slice"},
		{Name: reducedSlot, Kinds: []media.Kind{media.Data}, Max: 1, Help: "what every slice may spend"},
	}
}

// budget is the outcome of a reduction.
type budget struct {
	Shares []float64 `json:"shares"`         // bits of every slice
	Peak   float64   `json:"peak"`           // bit/s of the slice that has most, as its encoder counts
	Lost   int       `json:"lost,omitempty"` // slices whose first pass could not be decoded: then nothing is shared
}

// turn is which of two passes a run is.
type turn struct {
	pass    int
	bitrate int64  // of the second
	level   string // of the whole
}

// firstShare is the part of a whole's time that its first pass takes, for
// progress.
const firstShare = 0.25

// done is how far the call is when this run is so far.
func (o Order) done(run float64) float64 {
	switch {
	case o.turn == nil || o.turn.pass == 0 || o.Part != nil:
		return run
	case o.turn.first():
		return firstShare * run
	}
	return firstShare + (1-firstShare)*run
}

func (t *turn) first() bool { return t != nil && t.pass == 1 }

func (t *turn) apply(v *encode.Video) {
	if t == nil {
		return
	}
	if v.Pass = t.pass; t.pass != 1 {
		v.Bitrate, v.Level = t.bitrate, t.level
	}
}

// aimed reports whether this order has a bit rate to reach.
func (o Order) aimed() bool {
	return o.Params.Bitrate > 0 && len(o.Ladder) == 0 && (o.Part == nil || o.Part.Stream == fn.Pictures)
}

// turnOf is the run of two passes whose file is wanted; nil = there is one pass.
func (o Order) turnOf() *turn {
	switch {
	case !o.aimed() || !o.Params.Video().TwoPass():
		return nil
	case o.Part != nil && o.Part.Pass == fn.Analyse:
		return &turn{pass: 1}
	}
	return &turn{pass: 2, bitrate: o.Params.Bitrate}
}

// aim encodes towards a bit rate: a first pass, a second one, or both.
func (o Order) aim(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, in *fn.Input, grants []*fn.Input) (ffmpeg.Stats, error) {
	if o.turn.first() {
		stats, about, err := o.look(ctx, ff, call, in, grants)
		if err != nil {
			return stats, err
		}
		return stats, rate.Pack(packed(call.Dir).Path, call.Dir, about)
	}
	before, goal, err := o.goal(ctx, ff, call, in, grants)
	if err != nil {
		return before, err
	}
	o.turn = &goal.turn
	asked := goal.bits
	for try := 1; ; try++ {
		stats, err := o.within(ctx, ff, call, in, grants)
		before = summed(before, stats)
		if err != nil {
			return before, err
		}
		got, err := o.spent(ctx, call)
		if err != nil || try == aims || math.Abs(got-goal.bits) <= goal.slack || math.Abs(got-goal.bits) > hopeless*goal.bits {
			return before, err
		}
		next := asked * goal.bits / got
		o.turn.bitrate, asked = int64(float64(o.turn.bitrate)*next/asked), next
	}
}

const (
	// aims bounds how often is encoded to get to a bit rate, missed those of slack
	// of it. What is off by more than hopeless is out of reach: a picture that
	// hardly changes takes no more bits, noise no less.
	aims     = 3
	slack    = 0.015
	hopeless = 0.25
)

// goal is what a run shall spend.
type goal struct {
	turn  turn
	bits  float64
	slack float64 // bits it may miss
	peak  float64 // bit/s of the slice that has most, for which all headers are made
}

// goal finds out what the run shall spend: the whole's bits, after a first pass,
// or a slice's share, which came with the call as its first pass did.
func (o Order) goal(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, in *fn.Input, grants []*fn.Input) (spent ffmpeg.Stats, g goal, err error) {
	seconds := 0.0
	if analysis := call.In(analysisSlot); analysis != nil {
		if g, err = o.share(call); err != nil {
			return spent, g, err
		}
		if err := rate.Unpack(analysis.Data, analysis.Size, call.Dir); err != nil {
			return spent, g, err
		}
	} else {
		p, err := o.plan()
		if err != nil {
			return spent, g, err
		}
		seconds = o.seconds(p)
		g.bits = float64(o.Params.Bitrate) * seconds
		g.slack = slack * g.bits
		if o.turn != nil {
			if spent, _, err = o.look(ctx, ff, call, in, grants); err != nil {
				return spent, g, err
			}
		}
	}
	v := o.Params.Video()
	if !v.Shared() {
		if g.turn.bitrate = v.Bitrate; o.turn != nil {
			g.turn.pass = 2
		}
		return spent, g, nil
	}
	found, err := rate.ReadLog(call.Dir)
	if err != nil {
		return spent, g, err
	}
	if seconds > 0 { // encoders refuse what cannot be reached
		_, floor, err := rate.Share(g.bits, []rate.Pass{found})
		if err != nil {
			return spent, g, err
		}
		g.bits = max(g.bits, floor)
		g.peak = g.bits / found.Seconds
	}
	chain, err := o.Params.Picture().Plan(o.Info.MainVideo(), v)
	if err != nil {
		return spent, g, err
	}
	v.Bitrate = int64(g.peak * (1 + hopeless)) // and what another try may ask for
	g.turn = turn{pass: 2, bitrate: int64(g.bits / found.Seconds),
		level: v.LevelFor(encode.Shape{Width: chain.Width, Height: chain.Height, FrameRate: found.FrameRate})}
	return spent, g, nil
}

// seconds is how long the pictures of a plan last.
func (o Order) seconds(p *plan) float64 {
	if v := o.Info.MainVideo(); o.Part == nil && !o.trimmed() && v.Duration > 0 {
		return v.Duration
	}
	return p.Length
}

// look is the first pass. It leaves statistics in the call's folder.
func (o Order) look(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, in *fn.Input, grants []*fn.Input) (ffmpeg.Stats, rate.About, error) {
	o.turn = &turn{pass: 1}
	p, err := o.plan()
	if err != nil {
		return ffmpeg.Stats{}, rate.About{}, err
	}
	stats, err := o.complete(ctx, ff, call, in, grants)
	if err == nil {
		err = rate.Lasting(o.Params.Codec, call.Dir, o.seconds(p))
	}
	return stats, rate.About{Frames: stats.Frames, Seconds: o.seconds(p)}, err
}

// spent are the bits of the pictures in the order's file.
func (o Order) spent(ctx fn.Context, call *fn.Call) (bits float64, err error) {
	p, err := o.plan()
	if err != nil {
		return 0, err
	}
	err = read(call.Dir, p.Output, func(f *os.File, size int64) error {
		format, _ := sniff.FormatByName(o.container())
		info, err := container.Read(ctx, f, size, format, container.Options{Frames: true})
		if err != nil {
			return errs.Wrap("video", err)
		}
		if info.MainVideo() == nil {
			return errs.New(errs.Internal, "video", "there are no pictures in what was encoded")
		}
		for _, frame := range info.MainVideo().FrameList {
			bits += 8 * float64(frame.Size)
		}
		return nil
	})
	return bits, err
}

// packed is the file of a slice's first pass.
func packed(dir string) fn.Output {
	const name = "analysis.zip"
	return fn.Output{Slot: "video", Name: name, Path: filepath.Join(dir, name), Kind: media.Data, Mime: "application/zip"}
}

// reduce shares the bits of the whole.
func (o Order) reduce(call *fn.Call) (*fn.Result, error) {
	var passes []rate.Pass
	seconds := 0.0
	var b budget
	for _, in := range call.All(analysesSlot) {
		if void, err := coded.IsVoid(in.Data, in.Size); err != nil {
			return nil, err
		} else if void {
			b.Lost++
			continue
		}
		about, stats, err := rate.Open(in.Data, in.Size)
		if err != nil {
			return nil, err
		}
		pass, err := rate.Read(stats)
		if err != nil {
			return nil, err
		}
		passes, seconds = append(passes, pass), seconds+about.Seconds
	}
	if b.Lost == 0 {
		shares, _, err := rate.Share(float64(o.Params.Bitrate)*seconds, passes)
		if err != nil {
			return nil, err
		}
		b.Shares = shares
		for i, s := range shares {
			b.Peak = max(b.Peak, s/passes[i].Seconds)
		}
	}
	raw, err := json.Marshal(b)
	if err == nil {
		err = os.WriteFile(filepath.Join(call.Dir, "budget.json"), raw, 0o600)
	}
	if err != nil {
		return nil, errs.New(errs.Internal, "video", "budget: %w", err)
	}
	return &fn.Result{Outputs: []fn.Output{{Slot: "video", Name: "budget.json", Path: filepath.Join(call.Dir, "budget.json"), Kind: media.Data, Mime: "application/json"}}}, nil
}

// share is what this slice may spend. It may miss that by a part of what slices
// spend in the mean, so that those of few bits are not fussed over.
func (o Order) share(call *fn.Call) (g goal, err error) {
	in := call.In(reducedSlot)
	if in == nil {
		return g, errs.New(errs.Internal, "video", "no budget in slot %q", reducedSlot)
	}
	raw := make([]byte, min(in.Size, 1<<20))
	if _, err := in.Data.ReadAt(raw, 0); err != nil && !errors.Is(err, io.EOF) {
		return g, errs.Wrap("video", err)
	}
	var b budget
	err = json.Unmarshal(raw, &b)
	if err == nil && b.Lost > 0 {
		return g, errs.New(errs.Invalid, "video", "the first pass of %d slice(s) could not be decoded", b.Lost)
	}
	if err != nil || o.Part.Order >= len(b.Shares) {
		return g, errs.New(errs.Internal, "video", "a budget of %d slices for slice %d: %v", len(b.Shares), o.Part.Order, err)
	}
	for _, s := range b.Shares {
		g.slack += slack * s / float64(len(b.Shares))
	}
	g.bits, g.peak = b.Shares[o.Part.Order], b.Peak
	return g, nil
}

// read opens a file that a tool has written in dir, and no link to elsewhere.
func read(dir, name string, use func(f *os.File, size int64) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return errs.New(errs.Internal, "video", "%w", err)
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return errs.New(errs.Internal, "video", "%w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return errs.New(errs.Internal, "video", "%w", err)
	}
	return use(f, st.Size())
}
