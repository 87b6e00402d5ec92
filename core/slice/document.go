package slice

import (
	"slices"

	"github.com/mediafn/mediafn/core/fn"
)

// Plan is the decision as a document: the facts of the component slice.plan,
// which later components take as an input. Segments is never null.
type Plan struct {
	Sliced   bool      `json:"sliced"`
	Code     Code      `json:"code"`
	Reason   string    `json:"reason"`
	Segments []fn.Part `json:"segments"`
	HasSound bool      `json:"has_sound"` // a sound part runs beside the slices
	Sound    *fn.Part  `json:"sound"`
	// Reduced says that the segments are analysed first: by Analyses, one a
	// segment, whose outcome Reduction makes into what all segments then know.
	Reduced   bool        `json:"reduced"`
	Analyses  []fn.Part   `json:"analyses,omitempty"`
	Reduction *fn.Part    `json:"reduction,omitempty"`
	Assembly  fn.Assembly `json:"assembly"`
	// Shift is how many seconds later than those of the caller's file the times
	// of what is sliced are: it was remuxed, and begins at zero.
	Shift float64 `json:"shift,omitempty"`
	// Ahead says that the segments are those that were made while the source
	// arrived, NotAhead why those that were made are not used.
	Ahead      bool       `json:"ahead,omitempty"`
	NotAhead   string     `json:"not_ahead,omitempty"`
	Prediction Prediction `json:"prediction"`
	Packaged   bool       `json:"packaged"` // the merged renditions are packaged
	Promise    *Promise   `json:"promise"`  // null unless sliced
}

// Document decides and writes the decision down.
func Document(r Request) Plan { return document(r, Decide(r)) }

func document(r Request, d Decision) Plan {
	p := Plan{Sliced: d.Sliced, Code: d.Code, Reason: d.Reason, Segments: d.Parts, Assembly: r.Assembly, Prediction: d.Prediction}
	if !d.Sliced {
		p.Segments = []fn.Part{}
		return p
	}
	if r.Assembly.Sound && r.Source.HasAudio() {
		sound := SoundPart(r.Price)
		p.HasSound, p.Sound = true, &sound
	}
	if r.Assembly.Reduce {
		p.Reduced, p.Analyses, p.Reduction = true, analyses(p.Segments), &fn.Part{Stream: fn.Pictures, Of: len(p.Segments), Pass: fn.Reduce, Share: reduceShare}
	}
	p.Packaged = r.Assembly.Package != nil
	promise := PromiseOf(r.Source, d.Parts, r.Assembly)
	p.Promise = &promise
	return p
}

// Promises are what the merged files are held to, one a file: of every
// rendition, or of the only one.
func (p *Plan) Promises() []Promise {
	switch {
	case p.Promise == nil:
		return nil
	case len(p.Assembly.Renditions) == 0:
		return []Promise{*p.Promise}
	}
	all := make([]Promise, 0, len(p.Assembly.Renditions))
	for i, r := range p.Assembly.Renditions {
		one := *p.Promise
		one.Rendition, one.Width, one.Height, one.MaxRate, one.BufSize = r.Name, r.Width, r.Height, r.MaxRate, r.BufSize
		if r.Color != nil {
			one.Color = *r.Color
		}
		if r.SDR {
			one.HDR = nil
		}
		if i > 0 {
			one.Sound = []Track{}
		}
		all = append(all, one)
	}
	return all
}

// What the passes of a reducible call cost, as shares of its price.
const (
	analyseShare = 0.3
	reduceShare  = 0.01
)

// analyses are the parts that look at what the segments will process.
func analyses(segments []fn.Part) []fn.Part {
	all := slices.Clone(segments)
	for i := range all {
		all[i].Pass = fn.Analyse
		all[i].Share *= analyseShare
	}
	return all
}
