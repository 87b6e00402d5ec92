package task

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
)

// Size classes: which machines work goes to. A worker says which it takes.
const (
	Small  = "small"  // up to 10 CPU seconds and 1 GiB: images, looks at files
	Medium = "medium" // up to 10 CPU minutes and 4 GiB
	Large  = "large"
)

func sizeOf(p fn.Price) string {
	switch {
	case p.CPUSeconds <= 10 && p.Memory <= 1<<30:
		return Small
	case p.CPUSeconds <= 600 && p.Memory <= 4<<30:
		return Medium
	}
	return Large
}

// classOf names the resolution of the primary input, under which prices are
// learned: the class whose height (of a portrait video: width) it does not
// exceed. Empty where nothing is known.
func classOf(info *media.Info) string {
	if info == nil {
		return ""
	}
	w, h := 0, 0
	if v := info.MainVideo(); v != nil {
		w, h = v.DisplaySize()
	} else if info.Image != nil {
		w, h = info.Image.Width, info.Image.Height
	} else {
		return string(info.Kind)
	}
	short := min(w, h)
	for _, c := range []struct {
		lines int
		name  string
	}{{480, "480p"}, {540, "540p"}, {720, "720p"}, {1080, "1080p"}, {1440, "2k"}, {2160, "4k"}, {4320, "8k"}} {
		if short <= c.lines {
			return c.name
		}
	}
	return "over8k"
}

// kindOf is the kind of the primary input, as far as it is known before anybody
// has looked at it: from its facts, else from what the caller says, else from
// what its slot takes if that is one kind.
func kindOf(spec *fn.Spec, inputs []job.Input) media.Kind {
	if len(inputs) == 0 {
		return ""
	}
	in := &inputs[0]
	switch slot := spec.Slot(in.Slot); {
	case in.Facts != nil:
		return in.Facts.Kind
	case in.Ref.Type != "":
		return media.Kind(in.Ref.Type)
	case slot != nil && len(slot.Kinds) == 1:
		return slot.Kinds[0]
	}
	return ""
}

// PriceKey names what prices are learned for.
type PriceKey struct {
	Fn    string `json:"fn"`    // name@version
	Class string `json:"class"` // resolution of the primary input, and the price's own class: "1080p h264 medium"
}

// KeyOf is what the prices of a function and class are learned under.
func KeyOf(spec *fn.Spec, class string) PriceKey {
	return PriceKey{spec.Name + "@" + spec.Version, class}
}

// Learned is what attempts really took, against what was declared.
type Learned struct {
	N        int64     `json:"n"`        // attempts; the older they are the less they count
	Declared float64   `json:"declared"` // CPU seconds without those of sound, summed
	Actual   float64   `json:"actual"`   // CPU seconds, likewise
	Memory   int64     `json:"memory"`   // bytes, the most seen
	At       time.Time `json:"at"`
}

// Bounds of a correction: fewer attempts prove nothing, and media of one class
// differ, so that a price is never thrown over altogether.
const (
	enough   = 5
	farthest = 8
)

// Correct returns a declared price as experience corrects it.
func (l Learned) Correct(p fn.Price) fn.Price {
	if l.N < enough {
		return p
	}
	if l.Declared > 0 && l.Actual > 0 {
		factor := min(max(l.Actual/l.Declared, 1.0/farthest), farthest)
		p.CPUSeconds = p.Sound + (p.CPUSeconds-p.Sound)*factor // sound takes much the same always
		p.Serial *= factor
	}
	if l.Memory > 0 && p.Memory > 0 {
		p.Memory = min(max(l.Memory+l.Memory/4, p.Memory/farthest), p.Memory*farthest)
	}
	return p
}

// PriceOf is what a call of f costs as experience corrects it, the declaration
// that was corrected, and the class it was learned under.
func (d *Decider) PriceOf(f fn.Function, params json.RawMessage, infos []*media.Info) (price, declared fn.Price, class string) {
	declared = f.Price(params, infos)
	if len(infos) > 0 {
		class = classOf(infos[0])
	}
	class = strings.TrimSpace(class + " " + declared.Class)
	return d.Learned[KeyOf(f.Spec(), class)].Correct(declared), declared, class
}

// priced fills in what matching looks at.
func (r *round) priced(w *Work, f fn.Function, base *job.Job) {
	spec, t := f.Spec(), &r.step.Task
	var declared fn.Price
	w.Price, declared, w.Class = r.PriceOf(f, base.Params, r.infos(base.Inputs))
	w.Declared = declared.CPUSeconds
	w.Kind = kindOf(spec, base.Inputs)
	w.Size = sizeOf(w.Price)
	if t.Request.Extra.Deadline > 0 {
		w.Due = time.UnixMilli(t.Request.Extra.Deadline)
	}
}
