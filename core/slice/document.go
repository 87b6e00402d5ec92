package slice

import "github.com/mediafn/mediafn/core/fn"

// Plan is the decision as a document: the facts of the component slice.plan,
// which later components take as an input. Segments is never null.
type Plan struct {
	Sliced     bool        `json:"sliced"`
	Code       Code        `json:"code"`
	Reason     string      `json:"reason"`
	Segments   []fn.Part   `json:"segments"`
	HasSound   bool        `json:"has_sound"` // a sound part runs beside the slices
	Sound      *fn.Part    `json:"sound"`
	Assembly   fn.Assembly `json:"assembly"`
	Prediction Prediction  `json:"prediction"`
	Promise    *Promise    `json:"promise"` // null unless sliced
}

// Document decides and writes the decision down.
func Document(r Request) Plan {
	d := Decide(r)
	p := Plan{Sliced: d.Sliced, Code: d.Code, Reason: d.Reason, Segments: d.Parts, Assembly: r.Assembly, Prediction: d.Prediction}
	if !d.Sliced {
		p.Segments = []fn.Part{}
		return p
	}
	if r.Assembly.Sound && r.Source.HasAudio() {
		sound := SoundPart()
		p.HasSound, p.Sound = true, &sound
	}
	promise := PromiseOf(r.Source, d.Parts, r.Assembly)
	p.Promise = &promise
	return p
}
