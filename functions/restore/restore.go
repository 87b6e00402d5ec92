// Package restore holds the functions video → video that mend pictures: noise,
// shake, fields, too few of them, blur, and what should not be in them.
package restore

import (
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

// declare is the declaration all functions here have in common.
func declare(name, summary, doc string, mode fn.Mode) fn.Spec {
	return fn.Spec{
		Name: name, Version: "1", Summary: summary,
		Doc:      doc + " Then the video is encoded as video.transcode does it, with the same parameters.",
		Inputs:   []fn.Slot{{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "the video"}},
		Outputs:  []fn.Slot{{Name: "video", Kinds: []media.Kind{media.Video, media.Audio}, Min: 1, Max: 1, Help: "the mended video; of a sound slice its sound"}},
		Internal: render.Internal(),
		Purity:   fn.Equivalent,
		Slicing:  fn.Slicing{Mode: mode},
		Timeout:  fn.Timeout{Base: 2 * time.Minute, Factor: 10},
	}
}

// recipe is the code of a function whose parameters are P. Only Encode and Speed
// are required. All are pure.
type recipe[P any] struct {
	Encode func(*P) *encode.Params // the encoder's share of the parameters
	Check  func(*P) error
	// Lap is how far slices overlap. nil: they don't.
	Lap func(*P) fn.Lap
	// Rate is that of the result where frames are added; unknown keeps the source's.
	Rate func(*P, *media.VideoStream) media.Rational
	// Sized gives the parameters the size of the result where the source decides it.
	Sized func(*P, *media.VideoStream)
	// Speed is how many of the source's pixels one core works on in a second.
	Speed func(*P) float64
	// Class names the method, if there are several: their prices are learned apart.
	Class func(*P) string
	// Order adds to an order what is done to the pictures.
	Order func(*P, *render.Order)
}

// define makes the function. Without ffmpeg it loads but refuses.
func define[P any](ff *ffmpeg.Tool, spec fn.Spec, r recipe[P]) fn.Function {
	return fn.Define(source.Needs(ff, spec), fn.Body[P]{
		Check:    r.checked,
		Price:    r.price,
		Assembly: r.assembly,
		Run: func(ctx fn.Context, call *fn.Call, p *P) (*fn.Result, error) {
			in, info, err := r.source(ctx, ff, call)
			if err != nil {
				return nil, err
			}
			o, err := r.order(p, info, call.Part, call.Threads)
			if err != nil {
				return nil, err
			}
			return o.Run(ctx, ff, call, in)
		},
	})
}

func (r recipe[P]) checked(p *P, _ []media.Kind) error { return r.check(p) }

func (r recipe[P]) check(p *P) error {
	if r.Check != nil {
		if err := r.Check(p); err != nil {
			return err
		}
	}
	return r.Encode(p).Check()
}

func (r recipe[P]) price(p *P, inputs []*media.Info) fn.Price {
	if r.Sized != nil && len(inputs) > 0 && inputs[0] != nil && inputs[0].MainVideo() != nil {
		r.Sized(p, inputs[0].MainVideo())
	}
	price := render.Working(render.Price(r.Encode(p), inputs), inputs, r.Speed(p))
	if r.Class != nil {
		price.Class = r.Class(p) + " " + price.Class
	}
	return price
}

func (r recipe[P]) assembly(p *P, info *media.Info) fn.Assembly {
	if r.Sized != nil && info != nil && info.MainVideo() != nil {
		r.Sized(p, info.MainVideo())
	}
	a := render.Assembly(r.Encode(p), info)
	if r.Lap != nil {
		lap := r.Lap(p)
		a.Lap = &lap
	}
	if info != nil && info.MainVideo() != nil && r.Rate != nil {
		a.FrameRate = r.Rate(p, info.MainVideo())
		a.KeySeconds = 0
	}
	return a
}

// source is the video of a call and what is known of it.
func (r recipe[P]) source(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call) (*fn.Input, *media.Info, error) {
	in := call.In("source")
	if in == nil {
		return nil, nil, errs.New(errs.Internal, "restore", "no source")
	}
	facts := render.Facts
	if r.Rate != nil && call.Part == nil {
		facts = render.Timed
	}
	info, err := facts(ctx, ff, in)
	return in, info, err
}

// order is what is done for params and a source.
func (r recipe[P]) order(p *P, info *media.Info, part *fn.Part, threads int) (render.Order, error) {
	e := r.Encode(p)
	e.Normalize()
	o := render.Order{Params: e, Info: info, Part: part, Threads: threads}
	v := info.MainVideo()
	if v == nil {
		return o, errs.New(errs.Invalid, "restore", "the source has no pictures")
	}
	if r.Sized != nil {
		r.Sized(p, v)
	}
	if r.Rate != nil {
		o.Rate = r.Rate(p, v)
	}
	if r.Order != nil {
		r.Order(p, &o)
	}
	return o, nil
}

// through is work that is one chain of filters.
func through(filters ...graph.Filter) func(in, out string) graph.Graph {
	return func(in, out string) graph.Graph {
		return graph.Graph{{In: []string{in}, Filters: filters, Out: []string{out}}}
	}
}

// upright is the size of the pictures as functions see them, in pixels.
func upright(v *media.VideoStream) (w, h int) {
	if v.Rotation == 90 || v.Rotation == 270 {
		return v.Height, v.Width
	}
	return v.Width, v.Height
}
