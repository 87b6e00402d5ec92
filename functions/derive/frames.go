package derive

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"golang.org/x/sync/errgroup"
)

var sprintf = fmt.Sprintf

// frames.go: derive.frames takes pictures out of a video at exact times.

var framesSpec = fn.Spec{
	Name:    "derive.frames",
	Version: "1",
	Summary: "Extract pictures from a video, each with its exact timestamp",
	Doc: "Chooses frames by the source's own frame times (a list of times, an interval, a rate, an even spread, or the keyframes), " +
		"decodes only the stretches that hold them, in parallel, and writes one picture a frame as a viewer sees it: rotated, in square pixels, " +
		"HDR mapped to SDR. A time means the frame on screen at that moment. The facts give every picture's timestamp as decoded; " +
		"a frame that does not decode with the expected timestamp is an error, never a neighbour in its place.",
	Inputs:  []fn.Slot{{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "the video"}},
	Outputs: []fn.Slot{{Name: "frames", Kinds: []media.Kind{media.Image}, Min: 1, Max: 0, Help: "00001.jpg, 00002.jpg, … in order of time"}},
	Purity:  fn.Exact,
	Timeout: fn.Timeout{Base: 2 * time.Minute, Factor: 10},
}

// framesRange is one range of several.
type framesRange struct {
	Start float64  `json:"start" default:"0" min:"0" unit:"s" help:"first second of the range"`
	End   *float64 `json:"end" min:"0" unit:"s" help:"second where the range ends, exclusive; not given = the end"`
}

type framesParams struct {
	Mode      string        `json:"mode" default:"interval" enum:"times,interval,fps,count,keyframes" help:"how frames are chosen"`
	Times     []float64     `json:"times" max:"10000" itemmin:"0" itemmax:"1000000" unit:"s" help:"seconds from the start of the video (mode times)" example:"[0, 1.5, 12.25]"`
	Interval  float64       `json:"interval" default:"1" min:"0.001" max:"86400" unit:"s" help:"seconds between frames (mode interval)"`
	FPS       float64       `json:"fps" default:"1" min:"0.0001" max:"1000" unit:"1/s" help:"frames a second (mode fps)"`
	Count     int           `json:"count" default:"10" min:"1" max:"10000" help:"frames in all, spread evenly over each range (mode count)"`
	Accuracy  string        `json:"accuracy" default:"exact" enum:"exact,fast" help:"exact = the frame on screen at that time; fast = the nearest keyframe before it"`
	Start     float64       `json:"start" default:"0" min:"0" unit:"s" help:"first second of the range"`
	End       *float64      `json:"end" min:"0" unit:"s" help:"second where the range ends, exclusive; not given = the end"`
	Ranges    []framesRange `json:"ranges" max:"64" help:"several ranges, in place of start and end"`
	Format    string        `json:"format" default:"jpg" enum:"jpg,png,webp" help:"picture format"`
	Quality   int           `json:"quality" default:"85" min:"1" max:"100" help:"of jpg and webp, on libjpeg's scale"`
	Width     int           `json:"width" default:"0" min:"0" max:"8192" unit:"px" help:"width of the result; 0 = from the height, or as displayed"`
	Height    int           `json:"height" default:"0" min:"0" max:"8192" unit:"px" help:"height of the result; 0 = from the width, or as displayed"`
	Fit       string        `json:"fit" default:"contain" enum:"contain,cover,stretch,pad" help:"when both are given: inside the box, fill and cut it, distort to it, or inside on black"`
	MaxFrames int           `json:"max_frames" default:"1000" min:"1" max:"100000" help:"more frames than this are refused as too large"`
}

// FramesFacts is the facts object of derive.frames.
type FramesFacts struct {
	TimeBase  media.Rational `json:"time_base"`  // of pts
	StartTime float64        `json:"start_time"` // seconds on the track's own time line that count as 0
	Frames    []FrameFact    `json:"frames"`     // one an output, in order
	// Missed are asked times behind the end of the video.
	Missed []float64 `json:"missed,omitempty"`
	// Undecoded are timestamps of chosen frames that the decoder did not give:
	// the file is damaged there.
	Undecoded []int64 `json:"undecoded,omitempty"`
}

// FrameFact is one extracted picture.
type FrameFact struct {
	Name  string    `json:"name"`
	PTS   int64     `json:"pts"`             // as decoded, in ticks of the source's time base
	Time  float64   `json:"time"`            // seconds: pts × time_base − start_time
	Key   bool      `json:"key,omitempty"`   // a keyframe of the source
	Times []float64 `json:"times,omitempty"` // the asked times it answers
}

// Frames returns derive.frames. Without ffmpeg the function loads but refuses.
func Frames(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, framesSpec), fn.Body[framesParams]{
		Check: checkFrames,
		Price: priceFrames,
		Run: func(ctx fn.Context, call *fn.Call, p *framesParams) (*fn.Result, error) {
			return runFrames(ctx, ff, call, p)
		},
	})
}

// checkFrames says what the schema cannot.
func checkFrames(p *framesParams, _ []media.Kind) error {
	if p.Mode == "times" && len(p.Times) == 0 {
		return errs.InField("params.times", "is required in mode times")
	}
	if p.Mode != "times" && len(p.Times) > 0 {
		return errs.InField("params.times", "is for mode times, not %s", p.Mode)
	}
	if len(p.Times) > p.MaxFrames {
		return tooMany(p, len(p.Times))
	}
	if p.Mode == "count" && p.Count > p.MaxFrames {
		return tooMany(p, p.Count)
	}
	if p.End != nil && *p.End <= p.Start {
		return errs.InField("params.end", "must be behind start")
	}
	ranged := p.Start > 0 || p.End != nil
	if len(p.Ranges) > 0 && ranged {
		return errs.InField("params.ranges", "takes the place of start and end, give one or the other")
	}
	if p.Mode == "times" && (ranged || len(p.Ranges) > 0) {
		field := "params.start"
		if len(p.Ranges) > 0 {
			field = "params.ranges"
		} else if p.End != nil {
			field = "params.end"
		}
		return errs.InField(field, "has no meaning in mode times")
	}
	for i, r := range p.Ranges {
		if r.End != nil && *r.End <= r.Start {
			return errs.InField(sprintf("params.ranges[%d].end", i), "must be behind start")
		}
	}
	if (p.Fit == "cover" || p.Fit == "pad") && (p.Width == 0 || p.Height == 0) {
		return errs.InField("params.fit", "%s needs both width and height", p.Fit)
	}
	return nil
}

// priceFrames: one core decodes 500 million pixels a second, and a picture
// costs four times its pixels more.
func priceFrames(p *framesParams, inputs []*media.Info) fn.Price {
	price := fn.Price{CPUSeconds: 8, Memory: 512 << 20, Cores: 2, Class: "exact"}
	keysOnly := p.Mode == "keyframes" || p.Accuracy == "fast"
	if keysOnly {
		price.Class = "keyframes"
	}
	if len(inputs) == 0 || inputs[0] == nil || inputs[0].MainVideo() == nil {
		return price
	}
	info, v := inputs[0], inputs[0].MainVideo()
	rate := v.AvgRate.Float()
	if rate <= 0 {
		rate = 30
	}
	pixels := float64(v.Width) * float64(v.Height)
	decoded, pictures := info.Duration*rate, min(float64(p.MaxFrames), info.Duration)
	if keysOnly {
		decoded = info.Duration
	}
	price.CPUSeconds = 0.3 + (decoded+4*pictures)*pixels/500e6
	price.Memory = 256<<20 + int64(pixels)*64
	return price
}

// framesPlan is everything decided before anything is decoded.
type framesPlan struct {
	Line     timeline
	Missed   []float64
	Passes   []pass
	KeysOnly bool
	Workers  int // passes at once
	Threads  int // decoder threads of one pass
}

// planFrames chooses the frames and the passes that decode them. info must
// hold the picture track's frame list.
func planFrames(p *framesParams, info *media.Info, threads int) (*framesPlan, error) {
	v := info.MainVideo()
	plan := &framesPlan{Line: newTimeline(info, v), KeysOnly: p.Mode == "keyframes" || p.Accuracy == "fast"}
	if len(plan.Line.Frames) == 0 || v.Width <= 0 || v.Height <= 0 {
		return nil, errs.New(errs.Invalid, "derive.frames", "the video has no frames")
	}
	shots, missed, err := choose(p, plan.Line)
	if err != nil {
		return nil, err
	}
	plan.Missed = missed
	plan.Passes = passes(plan.Line, shots, threads, startFrames(v.Width, v.Height), plan.KeysOnly)
	plan.Workers = min(threads, len(plan.Passes))
	plan.Threads = threads / plan.Workers
	return plan, nil
}

// rewind makes it one pass over everything.
func (plan *framesPlan) rewind() {
	one := pass{Entry: 0, First: 1}
	for _, s := range plan.Passes {
		one.Shots = append(one.Shots, s.Shots...)
	}
	plan.Threads *= plan.Workers
	plan.Passes, plan.KeysOnly, plan.Workers = []pass{one}, false, 1
}

// passArgs is the command line of one pass, to be run in the directory of the
// files, whose path is no part of the pattern for their names. seek is where decoding enters, in
// seconds for -ss; nil = at the beginning.
func passArgs(p *framesParams, info *media.Info, plan *framesPlan, s pass, in ffmpeg.Input, seek *float64) ([]string, error) {
	v := info.MainVideo()
	in.Seek = seek
	in.Extra = append(in.Extra, "-threads", strconv.Itoa(plan.Threads), "-noaccurate_seek")
	if plan.KeysOnly {
		in.Extra = append(in.Extra, "-skip_frame", "nokey")
	}
	open, err := in.Args()
	if err != nil {
		return nil, err
	}
	// select sees the source's own timestamps because of -copyts. What passed
	// it is printed with its timestamp: that is what the facts report.
	graph := "select='" + selectExpr(stretches(plan.Line, s.Shots)) + "'," +
		"metadata=mode=add:key=shot:value=1,metadata=mode=print:file=-," + pictureFilters(p, v)
	args := append([]string{"-copyts", "-filter_threads", "1"}, open...)
	args = append(args, "-map", sprintf("0:%d", v.Index), "-vf", graph, "-fps_mode", "passthrough",
		"-frames:v", strconv.Itoa(len(s.Shots)), "-map_metadata", "-1", "-threads", "1")
	switch p.Format {
	case "jpg":
		args = append(args, "-c:v", "mjpeg", "-qmin", "1", "-q:v", strconv.FormatFloat(jpegScale(p.Quality), 'f', -1, 64))
	case "png":
		args = append(args, "-c:v", "png", "-pred", "mixed")
	case "webp":
		args = append(args, "-c:v", "libwebp", "-quality", strconv.Itoa(p.Quality))
	}
	return append(args, "-bitexact", "-f", "image2", "-start_number", strconv.Itoa(s.First), "%05d."+p.Format), nil
}

// entrySeek is the -ss that makes FFmpeg enter at frame i, a keyframe; nil
// when that is the beginning. The demuxer goes to the last keyframe not behind
// the time, so half a frame is added. Matroska's seek is by decode time, and
// FFmpeg goes 3/23 s further back for streams with B frames (ffmpeg_opt.c).
// Formats without an index are entered a keyframe earlier: their seek lands
// somewhere, and decoding is only right from the next keyframe on.
func entrySeek(info *media.Info, l timeline, i int) *float64 {
	sure := info.Seekable != nil && *info.Seekable
	if !sure && i > 0 {
		i = l.entry(i - 1)
	}
	if i == 0 {
		return nil
	}
	t := l.Base.Seconds(l.Frames[i].PTS) - info.StartTime
	if i+1 < len(l.Frames) {
		t += l.Base.Seconds(l.Frames[i+1].PTS-l.Frames[i].PTS) / 2
	}
	if info.Format == "matroska" || info.Format == "webm" {
		t += 3.0 / 23
	}
	if t <= 0 {
		return nil
	}
	return &t
}

func runFrames(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, p *framesParams) (*fn.Result, error) {
	in := call.In("source")
	began := time.Now()
	info, err := source.Facts(ctx, ff, nil, in, source.Want{Frames: true})
	if err != nil {
		return nil, err
	}
	if info.MainVideo() == nil {
		return nil, errs.New(errs.Invalid, "derive.frames", "%s has no pictures", in.Format)
	}
	if err := checkFilters(info.MainVideo(), func(name string) (bool, error) { return ff.HasFilter(ctx, name) }); err != nil {
		return nil, err
	}
	info = enterable(info)
	listed := len(info.MainVideo().FrameList) > 0
	if !listed && info.MainVideo().TimeBase.Known() {
		copied := *info
		copied.Video = slices.Clone(info.Video)
		info = &copied
		if err := listFrames(ctx, ff, call, in, info); err != nil {
			return nil, err
		}
	}
	plan, err := planFrames(p, info, max(call.Threads, 1))
	if err != nil {
		return nil, err
	}
	if !listed { // times the decoder made up hold for the same decoding only: whole, from the beginning
		plan.rewind()
	}
	d := &darkroom{ff: ff, call: call, in: in, p: p, info: info, plan: plan}
	for _, s := range plan.Passes {
		d.total += len(s.Shots)
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(plan.Workers)
	got := make([][]int64, len(plan.Passes))
	for i, s := range plan.Passes {
		group.Go(func() (err error) {
			got[i], err = d.develop(gctx, s)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	res, err := d.deliver(got)
	if err != nil {
		return nil, err
	}
	d.usage.WallSeconds = time.Since(began).Seconds()
	d.usage.InputDuration = info.Duration
	res.Usage = d.usage
	return res, nil
}

// darkroom is one run of derive.frames.
type darkroom struct {
	ff   *ffmpeg.Tool
	call *fn.Call
	in   *fn.Input
	p    *framesParams
	info *media.Info
	plan *framesPlan

	mu    sync.Mutex
	total int
	done  int64 // pictures of passes that have ended
	usage fn.Usage
}

// develop runs one pass and returns the timestamps of the files it wrote, in
// order. If the entry turned out wrong (frames are missing), the pass is run
// again from the beginning of the file; what is missing then does not decode.
func (d *darkroom) develop(ctx context.Context, s pass) ([]int64, error) {
	seek := entrySeek(d.info, d.plan.Line, s.Entry)
	got, err := d.expose(ctx, s, seek)
	if seek != nil && len(got) < len(s.Shots) && (err == nil || errs.Is(err, errs.Invalid)) {
		got, err = d.expose(ctx, s, nil)
	}
	return got, err
}

func (d *darkroom) expose(ctx context.Context, s pass, seek *float64) ([]int64, error) {
	args, err := passArgs(d.p, d.info, d.plan, s, source.Open(d.in), seek)
	if err != nil {
		return nil, err
	}
	var stamps stampReader
	var before int64
	job := ffmpeg.Job{Args: args, Dir: d.call.Dir, WritePaths: []string{d.call.Dir}, Stdout: &stamps, Frames: int64(len(s.Shots)), Tolerant: true}
	source.Grant(&job, d.in)
	job.Progress = func(r ffmpeg.Progress) {
		d.mu.Lock()
		d.done += r.Frames - before
		before = r.Frames
		done := d.done
		d.mu.Unlock()
		d.call.Report(fn.Progress{Done: min(float64(done)/float64(d.total), 1), Frames: done, Speed: r.Speed})
	}
	stats, err := d.ff.Run(ctx, job)
	d.mu.Lock()
	d.usage.CPUSeconds += (stats.User + stats.System).Seconds()
	d.usage.MaxMemory = max(d.usage.MaxMemory, stats.MaxRSS)
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	wanted := map[int64]bool{}
	for _, sh := range s.Shots {
		wanted[d.plan.Line.Frames[sh.Index].PTS] = true
	}
	got := stamps.PTS[:min(len(stamps.PTS), len(s.Shots))]
	for i, pts := range got {
		if !wanted[pts] || i > 0 && got[i-1] >= pts {
			return nil, errs.New(errs.Internal, "derive.frames", "decoded a frame at %d, which was not asked for", pts)
		}
	}
	return got, nil
}

// deliver names the files without gaps and writes the facts. got holds, for
// each pass, the timestamps of the files it wrote.
func (d *darkroom) deliver(got [][]int64) (*fn.Result, error) {
	l := d.plan.Line
	facts := FramesFacts{TimeBase: l.Base, StartTime: l.Origin, Missed: d.plan.Missed}
	res := &fn.Result{}
	mime := map[string]string{"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}[d.p.Format]
	for n, s := range d.plan.Passes {
		at := 0
		for _, sh := range s.Shots {
			f := l.Frames[sh.Index]
			if at >= len(got[n]) || got[n][at] != f.PTS {
				facts.Undecoded = append(facts.Undecoded, f.PTS)
				continue
			}
			written := filepath.Join(d.call.Dir, sprintf("%05d.%s", s.First+at, d.p.Format))
			at++
			name := sprintf("%05d.%s", len(res.Outputs)+1, d.p.Format)
			path := filepath.Join(d.call.Dir, name)
			if path != written { // earlier ones are missing: every new name is free
				if err := os.Rename(written, path); err != nil {
					return nil, errs.New(errs.Internal, "derive.frames", "%w", err)
				}
			}
			st, err := os.Stat(path)
			if err != nil {
				return nil, errs.New(errs.Internal, "derive.frames", "%w", err)
			}
			d.usage.BytesOut += st.Size()
			res.Outputs = append(res.Outputs, fn.Output{Slot: "frames", Name: name, Path: path, Kind: media.Image, Mime: mime})
			facts.Frames = append(facts.Frames, FrameFact{Name: name, PTS: f.PTS, Time: micro(l.seconds(f.PTS)), Key: f.Key, Times: sh.Times})
		}
	}
	if len(res.Outputs) == 0 {
		return nil, errs.New(errs.Invalid, "derive.frames", "none of the %d chosen frames can be decoded", len(facts.Undecoded))
	}
	var err error
	res.Facts, err = json.Marshal(facts)
	return res, err
}
