package assemble

import (
	"encoding/json"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/coded"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/sniff"
)

// certify.go: assemble.certify compares a merged file with what was promised.

var certifySpec = fn.Spec{
	Name:    "assemble.certify",
	Version: "1",
	Summary: "Prove that a merged file is what the source's profile promised",
	Doc: "Reads the tables of result and source, the bitstream at every joint and the pictures at slice starts, and compares: streams, frame count, first and last " +
		"timestamp, decode order, every frame's time, duration, sound length and offset, colour tags, HDR data, orientation, size, parameter sets, an IDR at each joint, " +
		"keyframes where they were promised, the order of the slices, VBV where one was asked for. Of several renditions each is held to all of it. The certificate is the facts object; one that does not hold has ok = false and is no error.",
	Inputs: []fn.Slot{
		{Name: "result", Kinds: []media.Kind{media.Video}, Min: 1, Help: "the merged file, or those of all renditions"},
		{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "what was sliced"},
		{Name: "plan", Kinds: []media.Kind{media.Text}, Min: 1, Max: 1, Help: "the facts of slice.plan"},
	},
	Purity:  fn.Exact,
	Timeout: fn.Timeout{Base: 2 * time.Minute, Factor: 20},
	Hidden:  true,
}

type certifyParams struct {
	Pictures bool `json:"pictures" default:"true" help:"also compare pictures at slice starts, which finds slices in the wrong order"`
	Sound    bool `json:"sound" default:"true" help:"also compare the sound itself, which proves that it stays with the pictures"`
}

// Certify returns assemble.certify. Without ffmpeg the function loads but
// refuses.
func Certify(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, certifySpec), fn.Body[certifyParams]{
		Price: func(*certifyParams, []*media.Info) fn.Price {
			return fn.Price{CPUSeconds: 3, Memory: 512 << 20, Cores: 1}
		},
		Run: func(ctx fn.Context, call *fn.Call, p *certifyParams) (*fn.Result, error) {
			return runCertify(ctx, ff, call, p)
		},
	})
}

func runCertify(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, p *certifyParams) (*fn.Result, error) {
	began := time.Now()
	var plan slice.Plan
	if err := call.Document("plan", &plan); err != nil {
		return nil, err
	}
	if plan.Promise == nil {
		return nil, errs.New(errs.Internal, "assemble", "the plan promises nothing: it does not slice")
	}
	files, promises := call.All("result"), plan.Promises()
	if len(files) != len(promises) {
		return nil, errs.New(errs.Internal, "assemble", "%d files where %d were promised", len(files), len(promises))
	}
	var all []slice.Certificate
	eye := &meter{ff: ff}
	for i := range files {
		part := func(done float64) { call.Report(fn.Progress{Done: (float64(i) + done) / float64(len(files))}) }
		tr := trial{ff: ff, eye: eye, call: call, plan: &plan, result: files[i], promise: &promises[i]}
		m, err := tr.measure(ctx)
		if err != nil {
			return nil, err
		}
		part(0.5)
		if err := tr.compare(ctx, p, m); err != nil {
			return nil, err
		}
		all = append(all, slice.Certify(promises[i], *m))
		part(1)
	}
	raw, err := json.Marshal(slice.Together(all))
	if err != nil {
		return nil, errs.New(errs.Internal, "assemble", "encode certificate: %w", err)
	}
	usage := eye.usage
	usage.WallSeconds = time.Since(began).Seconds()
	return &fn.Result{Facts: raw, Usage: usage}, nil
}

// meter runs decoders, several at once, and sums up what they took.
type meter struct {
	ff    *ffmpeg.Tool
	mu    sync.Mutex
	usage fn.Usage
}

func (m *meter) run(ctx fn.Context, job ffmpeg.Job) error {
	stats, err := m.ff.Run(ctx, job)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.usage = m.usage.Add(fn.Usage{CPUSeconds: (stats.User + stats.System).Seconds(), MaxMemory: stats.MaxRSS})
	return err
}

// trial is one file beside what it is held to.
type trial struct {
	ff      *ffmpeg.Tool
	eye     *meter // its decoders
	call    *fn.Call
	plan    *slice.Plan
	result  *fn.Input
	promise *slice.Promise
}

// compare looks at pictures and listens to the sound, side by side. What cannot
// be decoded here was not compared; tables and timestamps still count.
func (tr trial) compare(ctx fn.Context, p *certifyParams, m *slice.Measured) error {
	if m.Result.MainVideo() == nil {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	if p.Pictures && int64(len(m.Result.MainVideo().FrameList)) == tr.promise.Frames {
		g.Go(func() (err error) {
			m.Order, err = tr.compareOrder(ctx, m.Result.MainVideo())
			return undecodable(err)
		})
	}
	if p.Sound {
		g.Go(func() (err error) {
			m.Sound, err = tr.compareSound(ctx, m.Result.Audio)
			return undecodable(err)
		})
	}
	return g.Wait()
}

// beside does two things at once: while a result is certified nothing else of its
// task runs.
func beside(ctx fn.Context, both ...func(fn.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, do := range both {
		g.Go(func() error { return do(ctx) })
	}
	return g.Wait()
}

func undecodable(err error) error {
	if errs.Is(err, errs.Invalid) || errs.Is(err, errs.Unsupported) {
		return nil
	}
	return err
}

// measure reads result and source as far as the promise speaks of them.
func (tr trial) measure(ctx fn.Context) (*slice.Measured, error) {
	in, p, ff := tr.result, tr.promise, tr.ff
	if void, err := coded.IsVoid(in.Data, in.Size); err != nil || void {
		return &slice.Measured{Result: &media.Info{}}, errs.Wrap("result", err)
	}
	info, err := source.Facts(ctx, ff, nil, in, source.Want{Frames: true})
	if err != nil {
		return nil, errs.Wrap("result", err)
	}
	if v := info.MainVideo(); p.HDR != nil && v != nil && v.HDR == nil {
		// The data may be kept in the pictures alone.
		if info, err = source.Facts(ctx, ff, nil, in, source.Want{Frames: true, Probe: true}); err != nil {
			return nil, errs.Wrap("result", err)
		}
	}
	v := info.MainVideo()
	if v == nil {
		return nil, errs.New(errs.Invalid, "result", "no picture track")
	}
	m := &slice.Measured{Result: info}
	var config []byte
	if in.Demuxer == "mov" {
		t, err := coded.MP4(in.Data, in.Size)
		if err != nil {
			return nil, errs.Wrap("result", err)
		}
		m.Coded, config = t.Coded, t.Config
	} else if format, ok := sniff.FormatByName(in.Format); ok && in.Demuxer == "matroska" {
		if m.Coded, m.Waits, err = coded.Matroska(ctx, in.Data, in.Size, format, v.Index); err != nil {
			return nil, errs.Wrap("result", err)
		}
		m.Inferred = true
	}
	if m.Seams, err = seams(in.Data, in.Size, v, config, p.Joints); err != nil {
		return nil, errs.Wrap("result", err)
	}
	if p.Rate.Known() {
		return m, nil
	}
	from, err := source.Facts(ctx, ff, nil, tr.call.In("source"), source.Want{Frames: true})
	if err != nil {
		return nil, errs.Wrap("source", err)
	}
	if v := from.MainVideo(); v != nil && v.TimeBase.Reduce() == p.TimeBase.Reduce() {
		for _, f := range v.FrameList {
			m.Source = append(m.Source, f.PTS)
		}
	}
	return m, nil
}
