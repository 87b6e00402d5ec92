package restore

import (
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/render"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// remove.go: video.remove takes out of a scene what stands in it.

// removeSpec declares video.remove. What its passes hand on lies in the slots that
// passes of a bit rate use elsewhere.
func removeSpec() fn.Spec {
	s := declare("video.remove", "Take an object out of the scene of an unmoved camera",
		"What stands in a region of the picture - a car, a stand, a person who waits - is replaced by what is behind it, as other moments of the same scene show it: a clean plate, "+
			"the median of every pixel over frames sampled from the whole video. Where start and end say when the object is there, only other frames are sampled; "+
			"without them the object must be gone, or the region show its background, for more than half of the video. Edges are feathered. Only for one scene of a camera that does not move: "+
			"otherwise the answer is unsupported. Light that changes is not followed, and who walks through the region while it is covered disappears too. "+
			"In slices the samples of all are put together before any is rendered, so that the plate is that of the whole. There is no bitrate to aim at, only crf.",
		fn.Reducible)
	s.Inputs = append(s.Inputs, fn.Slot{Name: "mask", Kinds: []media.Kind{media.Image}, Min: 0, Max: 1,
		Help: "the shape to replace in place of the region's rectangle, white on black, stretched over the picture: png, jpeg, webp, bmp, tiff or gif"})
	return s
}

type removeParams struct {
	encode.Params
	Region  Region   `json:"region" help:"what the object covers; needed unless there is a mask"`
	Start   float64  `json:"start" default:"0" min:"0" max:"1000000" unit:"s" help:"second of the source where the object comes; it is replaced from here on"`
	End     *float64 `json:"end" min:"0" max:"1000000" unit:"s" help:"second where it has gone; not given = never"`
	Feather int      `json:"feather" default:"4" min:"0" max:"64" unit:"px" help:"how far around the edge fades into the picture"`
	Samples int      `json:"samples" default:"48" min:"5" max:"200" help:"frames the clean plate is made of, over the whole video; fewer where the region is so large that they would take more than 256 MiB"`
}

func (p *removeParams) span() span { return span{p.Start, p.End} }

// away reports whether the parameters say when the object is not there.
func (p *removeParams) away() bool { return p.Start > 0 || p.End != nil }

var remove = recipe[removeParams]{
	Encode: func(p *removeParams) *encode.Params { return &p.Params },
	Check: func(p *removeParams) error {
		if p.Bitrate > 0 {
			return errs.InField("params.bitrate", "is not aimed at here; give crf")
		}
		return p.span().check("params")
	},
	// Sampling decodes everything once more.
	Speed: func(*removeParams) float64 { return 60e6 },
}

// Remove returns video.remove. Without ffmpeg it loads but refuses.
func Remove(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, removeSpec()), fn.Body[removeParams]{
		Check: func(p *removeParams, inputs []media.Kind) error {
			if len(inputs) < 2 && (p.Region.Width == 0 || p.Region.Height == 0) {
				return errs.InField("params.region", "needs width and height, or there must be a mask")
			}
			return remove.check(p)
		},
		Price: remove.price,
		Assembly: func(p *removeParams, info *media.Info) fn.Assembly {
			a := remove.assembly(p, info)
			a.Reduce = true
			return a
		},
		Run: func(ctx fn.Context, call *fn.Call, p *removeParams) (*fn.Result, error) {
			return runRemove(ctx, ff, call, p)
		},
	})
}

// removal is one call that is being worked on.
type removal struct {
	p      *removeParams
	o      render.Order
	v      *media.VideoStream
	l      layout
	w, h   int
	box    box // what is sampled: the covered region and its feather
	inside func(x, y int) bool
}

func runRemove(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, p *removeParams) (*fn.Result, error) {
	in, info, err := remove.source(ctx, ff, call)
	if err != nil {
		return nil, err
	}
	o, err := remove.order(p, info, call.Part, call.Threads)
	if err != nil {
		return nil, err
	}
	if call.Part != nil && call.Part.Stream == fn.Sound {
		return o.Run(ctx, ff, call, in)
	}
	r := &removal{p: p, o: o, v: info.MainVideo()}
	r.l = layoutOf(r.v.PixelFormat, r.v.BitDepth)
	r.w, r.h = upright(r.v)
	if err := r.shape(ctx, ff, call); err != nil {
		return nil, err
	}
	pass := fn.Final
	if call.Part != nil {
		pass = call.Part.Pass
	}
	switch {
	case pass == fn.Analyse:
		used, err := r.sample(ctx, ff, call, in)
		return r.result(call, samplesName, used), err
	case pass == fn.Reduce:
		return r.result(call, plateFile, fn.Usage{}), r.reduce(call, call.All("analyses"))
	case call.Part != nil:
		plate := call.In("reduced")
		if plate == nil {
			return nil, errs.New(errs.Internal, "remove", "a slice without a clean plate")
		}
		return r.paint(ctx, ff, call, in, plate, fn.Usage{})
	}
	used, err := r.sample(ctx, ff, call, in)
	if err != nil {
		return nil, err
	}
	made, closed, err := local(call.Dir, samplesName)
	if err != nil {
		return nil, err
	}
	defer closed()
	if err := r.reduce(call, []*fn.Input{made}); err != nil {
		return nil, err
	}
	plate, closed, err := local(call.Dir, plateFile)
	if err != nil {
		return nil, err
	}
	defer closed()
	return r.paint(ctx, ff, call, in, plate, used)
}

const samplesName, plateFile = "samples.plate", "clean.plate"

func (r *removal) result(call *fn.Call, name string, used fn.Usage) *fn.Result {
	return &fn.Result{Usage: used, Outputs: []fn.Output{{Slot: "video", Name: name, Path: filepath.Join(call.Dir, name), Kind: media.Data, Mime: "application/octet-stream"}}}
}

// local opens a file of the call's folder as an input.
func local(dir, name string) (*fn.Input, func(), error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, nil, errs.As(errs.Transient, "remove", err)
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, nil, errs.As(errs.Transient, "remove", err)
	}
	return &fn.Input{Slot: name, Kind: media.Data, Size: st.Size(), Data: f}, func() { _ = f.Close() }, nil
}

// shape finds out what is covered: the mask's white, or the region.
func (r *removal) shape(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call) error {
	mask := call.In("mask")
	if mask == nil {
		b, err := r.p.Region.place(r.v, "params.region")
		if err != nil {
			return err
		}
		r.inside = func(x, y int) bool { return x >= b.X && x < b.X+b.W && y >= b.Y && y < b.Y+b.H }
		r.box = b.grown(r.p.Feather, r.w, r.h)
		return nil
	}
	pixels, err := r.readMask(ctx, ff, call, mask)
	if err != nil {
		return err
	}
	x0, y0, x1, y1 := r.w, r.h, 0, 0
	for i, p := range pixels {
		if p > 127 {
			x0, y0, x1, y1 = min(x0, i%r.w), min(y0, i/r.w), max(x1, i%r.w+1), max(y1, i/r.w+1)
		}
	}
	if x0 >= x1 {
		return errs.New(errs.Invalid, "remove", "the mask is black: there is nothing to replace")
	}
	r.inside = func(x, y int) bool { return pixels[y*r.w+x] > 127 }
	r.box = box{x0, y0, x1 - x0, y1 - y0}.grown(r.p.Feather, r.w, r.h)
	return nil
}

// pictureDemuxers are those of picture files, by sniffed format.
var pictureDemuxers = map[string]string{"png": "png_pipe", "jpeg": "jpeg_pipe", "webp": "webp_pipe", "bmp": "bmp_pipe", "tiff": "tiff_pipe", "gif": "gif_pipe"}

func (r *removal) readMask(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, mask *fn.Input) ([]byte, error) {
	open := source.Open(mask)
	if open.Demuxer = pictureDemuxers[mask.Format]; open.Demuxer == "" {
		return nil, errs.New(errs.Unsupported, "remove", "a mask must be png, jpeg, webp, bmp, tiff or gif, not %s", mask.Format)
	}
	open.MaxPixels = 64 << 20
	args, err := open.Args()
	if err != nil {
		return nil, err
	}
	const name = "mask.gray"
	g := graph.Of(graph.New("scale", "w", graph.Int(r.w), "h", graph.Int(r.h), "flags", "bilinear"), graph.New("format", "pix_fmts", "gray"))
	job := ffmpeg.Job{Dir: call.Dir, WritePaths: []string{call.Dir}, Stall: 5 * time.Minute,
		Args: append(args, "-map", "0:v:0", "-vf", g.String(), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "file:"+filepath.Join(call.Dir, name))}
	source.Grant(&job, mask)
	if _, err := ff.Run(ctx, job); err != nil {
		return nil, err
	}
	pixels, err := os.ReadFile(filepath.Join(call.Dir, name))
	if err != nil || len(pixels) != r.w*r.h {
		return nil, errs.New(errs.Invalid, "remove", "the mask has no picture: %d bytes, %v", len(pixels), err)
	}
	return pixels, nil
}

// chosen is the expression of the frames that are sampled. It looks at a frame's
// own time and nothing else.
func (r *removal) chosen() string {
	tb := r.v.TimeBase
	rate := r.v.AvgRate.Float()
	if rate <= 0 {
		rate = 25
	}
	step := max(math.Floor(1/rate/tb.Seconds(1)), 1)
	length, clock := r.o.Info.Duration, r.o.Clock()
	uncovered := length
	if r.p.away() {
		uncovered = min(r.p.Start, length)
		if r.p.End != nil {
			uncovered += max(length-*r.p.End, 0)
		}
	}
	most := min(r.p.Samples, max((256<<20)/r.l.size(r.box.W, r.box.H), fewest+2))
	every := max(math.Ceil(uncovered/float64(most)/tb.Seconds(1)), step)
	e := "gte(pts,0)*lt(mod(pts," + graph.Float(every) + ")," + graph.Float(step) + ")"
	if r.p.away() {
		covered := "gte(t," + graph.Float(r.p.Start-clock-5e-7) + ")"
		if r.p.End != nil {
			covered += "*lt(t," + graph.Float(*r.p.End-clock-5e-7) + ")"
		}
		e += "*not(" + covered + ")"
	}
	return e
}

// sample writes the samples of the part to samplesName.
func (r *removal) sample(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, in *fn.Input) (fn.Usage, error) {
	const small, regions = "small.gray", "regions.yuv"
	see := func(label string) graph.Graph {
		b := r.box
		return graph.Graph{
			{In: []string{label}, Filters: []graph.Filter{graph.New("select", "expr", r.chosen()), graph.New("split")}, Out: []string{"a", "b"}},
			{In: []string{"a"}, Filters: []graph.Filter{graph.New("scale", "w", graph.Int(smallW), "h", graph.Int(smallH), "flags", "area"),
				graph.New("format", "pix_fmts", "gray")}, Out: []string{"small"}},
			{In: []string{"b"}, Filters: []graph.Filter{graph.New("format", "pix_fmts", r.l.Name),
				graph.New("crop", "w", graph.Int(b.W), "h", graph.Int(b.H), "x", graph.Int(b.X), "y", graph.Int(b.Y), "exact", "1")}, Out: []string{"regions"}},
		}
	}
	raw := func(label, name string) []string {
		return []string{"-map", "[" + label + "]", "-vsync", "passthrough", "-f", "rawvideo", "file:" + filepath.Join(call.Dir, name)}
	}
	used, err := r.o.Look(ctx, ff, call, in, see, append(raw("small", small), raw("regions", regions)...)...)
	if err != nil {
		return used, err
	}
	_, err = writeSamples(filepath.Join(call.Dir, samplesName), r.l, r.box, filepath.Join(call.Dir, small), filepath.Join(call.Dir, regions))
	return used, err
}

// reduce makes the plate of all samples.
func (r *removal) reduce(call *fn.Call, analyses []*fn.Input) error {
	var all []*opened
	for _, in := range analyses {
		o, err := openInput(in, r.l, r.box)
		if err != nil {
			return err
		}
		all = append(all, o)
	}
	if err := still(all, r.box, r.w, r.h); err != nil {
		return err
	}
	return writePlate(filepath.Join(call.Dir, plateFile), r.l, r.box, all)
}

// paint lays the plate over the region while the object is there.
func (r *removal) paint(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, in, plate *fn.Input, before fn.Usage) (*fn.Result, error) {
	if r.p.span().touches(&r.o) {
		o, err := openInput(plate, r.l, r.box)
		if err != nil {
			return nil, err
		}
		pixels, err := o.readAll()
		if err != nil {
			return nil, err
		}
		if err := writePictures(call.Dir, r.l, r.box, r.w, r.h, pixels, cover(r.w, r.h, r.p.Feather, r.inside)); err != nil {
			return nil, err
		}
		r.painted(call.Dir)
	}
	res, err := r.o.Run(ctx, ff, call, in)
	if err == nil {
		before.InputDuration, before.OutputDuration = 0, 0
		res.Usage = res.Usage.Add(before)
	}
	return res, err
}

// painted adds the plate to the order.
func (r *removal) painted(dir string) {
	for _, name := range []string{platePicture, maskPicture} {
		r.o.Extra = append(r.o.Extra, ffmpeg.Input{Path: filepath.Join(dir, name), Demuxer: "rawvideo",
			Extra: []string{"-pixel_format", r.l.Name, "-video_size", graph.Int(r.w) + "x" + graph.Int(r.h), "-framerate", "25"}})
	}
	r.o.Work = func(in, out string) graph.Graph {
		merge := r.p.span().enable(graph.New("maskedmerge"), &r.o)
		return graph.Graph{
			{In: []string{in}, Filters: []graph.Filter{graph.New("format", "pix_fmts", r.l.Name)}, Out: []string{"scene"}},
			{In: []string{"scene", "1:v", "2:v"}, Filters: []graph.Filter{merge}, Out: []string{out}},
		}
	}
}
