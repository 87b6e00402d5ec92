// Package fn is the contract of every function mediafn offers:
//
//	media = fn(media, params)
//
// A function is declared once, by a Spec. Request validation, the JSON schema,
// command-line flags, console forms, URL dialects, the cache key, the
// documentation and scheduling are all derived from that declaration.
package fn

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// Spec declares a function. It is immutable once defined.
type Spec struct {
	Name    string // "video.transcode": folder of the signature, then the verb or noun
	Version string // changes whenever the same call may give another result: "1"
	Summary string // one line for lists
	Doc     string // what it does, method and limits, for people

	Inputs  []Slot
	Outputs []Slot
	// Internal are input slots that flows fill and callers cannot: what other
	// passes over the same source found out.
	Internal []Slot
	Params   Schema // filled by Define from the parameter struct

	Pool    Pool
	Purity  Purity
	Slicing Slicing
	Timeout Timeout
	Outside bool   // hands work to an outside service, which may answer later
	Hidden  bool   // a part of flows, not offered to callers
	Missing string // not empty: why it can't run here ("model missing", "engine missing")
}

// Slot is one named input or output. A request's input files fill the slots in
// order: each slot takes Min files first, then what is left up to Max.
type Slot struct {
	Name  string       `json:"name"`
	Kinds []media.Kind `json:"kinds"`
	Min   int          `json:"min"`
	Max   int          `json:"max"` // 0 = as many as come
	Help  string       `json:"help,omitempty"`
}

// Pool names the kind of machine a function wants.
type Pool string

const (
	CPU Pool = "cpu"
	GPU Pool = "gpu"
)

// Purity says how far two runs of the same call agree.
type Purity string

const (
	Exact      Purity = "exact"      // the same bytes
	Equivalent Purity = "equivalent" // the same certificate and quality; bytes may differ
	Impure     Purity = "none"       // may differ; never cached
)

// Slicing says how a function's work on a video may be cut along time.
type Slicing struct {
	Mode      Mode
	Lap       Lap           // of mode overlap; Assembly.Lap of a call stands above it
	Threshold time.Duration // shorter inputs are not sliced on "auto"; 0 = the platform's 60 s
}

// Lap is how far slices overlap: what a slice processes beyond its range so
// that its frames come out as those of the whole. It is removed again.
type Lap struct {
	Before int  `json:"before"`         // warm-up in front of a slice
	After  int  `json:"after"`          // needed behind it
	Unit   Unit `json:"unit,omitempty"` // of both; empty = frames
}

// Unit is what an overlap is counted in.
type Unit string

const (
	Frames Unit = "frames"
	GOPs   Unit = "gops" // from entry point to entry point
)

// Mode is a slicing mode.
type Mode string

const (
	Whole       Mode = "none"        // never sliced
	Independent Mode = "independent" // any frame range alone
	Overlap     Mode = "overlap"     // needs neighbouring frames, which are dropped again
	Reducible   Mode = "reducible"   // dependent, made independent by a first pass
	Weak        Mode = "weak"        // sliceable between scenes only
)

// Timeout is the policy from which an event's deadline is computed: Base plus
// Factor times the priced time.
type Timeout struct {
	Base   time.Duration // 0 = 2 minutes
	Factor float64       // 0 = 10
}

// Price is what a call is expected to need. It is a declaration, corrected by
// measuring; scheduling and deadlines are computed from it.
type Price struct {
	CPUSeconds float64 `json:"cpu_seconds"`
	// Sound is what of CPUSeconds the sound takes. Of a call that is sliced it is
	// rendered once, beside the slices.
	Sound float64 `json:"sound,omitempty"`
	// Serial is what of CPUSeconds a whole call does on one thread however many it
	// has: filters, mostly.
	Serial float64 `json:"serial,omitempty"`
	Memory int64   `json:"memory"` // bytes resident at the peak
	GPU    int     `json:"gpu,omitempty"`
	Cores  int     `json:"cores"` // how many it can keep busy at once; 0 = too little to count
	// Class names what of the parameters makes calls alike, such as "h264 medium":
	// corrections are learned by class, beside the resolution. Few values; empty =
	// one class.
	Class string `json:"class,omitempty"`
}

// Function is a declared and runnable function.
//
// All methods may be called concurrently. Check and Price are pure: no I/O,
// no clock. Run leaves nothing outside call.Dir, stops promptly when ctx ends
// and returns only after every child process is gone.
type Function interface {
	// Spec returns the declaration; the caller must not change it.
	Spec() *Spec

	// Check decodes and validates params for inputs of the given kinds. It
	// returns the parameters with every default filled in, in canonical form.
	// An error is Invalid and names the field ("params.crf"), or Unsupported.
	Check(params json.RawMessage, inputs []media.Kind) (json.RawMessage, error)

	// Price estimates the cost for inputs as far as they are known; an unknown
	// input is a nil entry.
	Price(params json.RawMessage, inputs []*media.Info) Price

	// Assembly says how the parts of a sliced run become one file again. It is
	// pure. A function whose slicing mode is Whole answers Unsupported.
	Assembly(params json.RawMessage, source *media.Info) (Assembly, error)

	// Run computes. params are what Check returned.
	Run(ctx Context, call *Call) (*Result, error)
}

// Assembly is how a sliced run's parts go together.
type Assembly struct {
	Container string `json:"container"` // mp4 | mov | mkv | webm
	// Sound is false when the result has no sound, whatever the source has.
	Sound bool `json:"sound"`
	// FrameRate is the rate of the result when the function changes it; unknown
	// means the source's frame times are kept, one frame in, one frame out.
	FrameRate media.Rational `json:"frame_rate"`

	// What follows is what the merged result is checked for where a function
	// changes it on purpose; zero values promise nothing or the source's.
	Width  int          `json:"width,omitempty"`  // displayed size of the result in square pixels; 0 = not promised
	Height int          `json:"height,omitempty"` // then only portrait or landscape is held to the source's
	Color  *media.Color `json:"color,omitempty"`  // tags of the result; nil = the source's
	SDR    bool         `json:"sdr,omitempty"`    // HDR metadata is dropped on purpose (tone-mapped)
	// Whole, if not empty, says why this call is not sliced though the function
	// could be: its result is not the source's whole length, for instance.
	Whole string `json:"whole,omitempty"`
	// Lap is the overlap of this call's slices; nil = that of the Spec.
	Lap *Lap `json:"lap,omitempty"`
	// Neighbours says that a frame of the result is made with the source's frame
	// before, which a slice therefore decodes beside its own.
	Neighbours bool `json:"neighbours,omitempty"`
	// Reduce says that the slices of this call depend on each other, by what an
	// analysis of each finds out: they are analysed first, the analyses reduced
	// to one, and then processed.
	Reduce bool `json:"reduce,omitempty"`
	// Renditions are the files every slice gives, one each, in this order; none
	// means one file as described here. The first carries the sound.
	Renditions []Rendition `json:"renditions,omitempty"`
	// Package is what is made of the merged renditions; nil = they are the result.
	Package *Packaging `json:"package,omitempty"`
	// KeySeconds promises a keyframe at the first picture at or behind every
	// multiple of so many seconds, counted from the first picture; 0 = none.
	KeySeconds float64 `json:"key_seconds,omitempty"`
	// Filled says that the sound begins with the first picture and ends with the
	// last, silence where the source has none.
	Filled bool `json:"filled,omitempty"`
	// RatePolicy is why the pictures get another rate control than asked; nil =
	// they get what was asked.
	RatePolicy *RatePolicy `json:"rate_policy,omitempty"`
	// DropTags and DropSubtitles leave out of the merged file what would be
	// taken over from the source: titles, dates and chapters; subtitle tracks
	// and their fonts.
	DropTags      bool `json:"drop_tags,omitempty"`
	DropSubtitles bool `json:"drop_subtitles,omitempty"`
	// MaxRate (bit/s) and BufSize (bit) of the encoder's VBV, if one was asked for.
	MaxRate int64 `json:"max_rate,omitempty"`
	BufSize int64 `json:"buf_size,omitempty"`
}

// Codes of RatePolicy.
const (
	LowRate   = "low_rate"  // coded so thinly that constant quality would enlarge it
	Mezzanine = "mezzanine" // coded for editing: far more bits than a viewer needs
)

// RatePolicy says that another rate control than the parameters' own was
// chosen for a source, and why.
type RatePolicy struct {
	Code   string `json:"code"`
	Reason string `json:"reason"` // one sentence for the caller
}

// Rendition is one of several files made of the same source, and what it is
// checked for; see Assembly.
type Rendition struct {
	Name    string       `json:"name"` // "720p": a file name without its extension
	Width   int          `json:"width"`
	Height  int          `json:"height"`
	Color   *media.Color `json:"color,omitempty"`
	SDR     bool         `json:"sdr,omitempty"`
	MaxRate int64        `json:"max_rate,omitempty"`
	BufSize int64        `json:"buf_size,omitempty"`
}

// Packaging is how renditions are packaged for streaming. Its segments begin
// at keyframes of Assembly.KeySeconds.
type Packaging struct {
	HLS  bool `json:"hls,omitempty"`
	DASH bool `json:"dash,omitempty"`
	// Files makes a file of every segment; else each track is one file, and
	// segments are ranges of it.
	Files bool `json:"files,omitempty"`
	// Languages name the sound tracks in order (RFC 5646); what is missing or
	// empty is as the source says.
	Languages []string `json:"languages,omitempty"`
	Subtitles bool     `json:"subtitles,omitempty"` // those of the source that are text, as WebVTT
}

// Assign distributes n input files over the slots, in order. The result has
// one slot name a file. An error is Invalid and names input_files.
func (s *Spec) Assign(n int) ([]string, error) {
	need := 0
	for _, slot := range s.Inputs {
		need += slot.Min
	}
	if n < need {
		return nil, errs.InField("input_files", "%s needs %d input file(s), got %d", s.Name, need, n)
	}
	spare := n - need
	names := make([]string, 0, n)
	for _, slot := range s.Inputs {
		take := slot.Min
		extra := spare
		if slot.Max > 0 {
			extra = min(spare, slot.Max-slot.Min)
		}
		take += extra
		spare -= extra
		for range take {
			names = append(names, slot.Name)
		}
	}
	if spare > 0 {
		return nil, errs.InField("input_files", "%s takes at most %d input file(s), got %d", s.Name, n-spare, n)
	}
	return names, nil
}

// MostOutputs is how many files a call gives at the most, -1 without a bound.
func (s *Spec) MostOutputs() int {
	most := 0
	for _, slot := range s.Outputs {
		if slot.Max == 0 {
			return -1
		}
		most += slot.Max
	}
	return most
}

// Slot returns the input slot with that name, or nil.
func (s *Spec) Slot(name string) *Slot {
	for _, slots := range [][]Slot{s.Inputs, s.Internal} {
		for i := range slots {
			if slots[i].Name == name {
				return &slots[i]
			}
		}
	}
	return nil
}

// Asked reports whether callers fill the slot of that name, not flows.
func (s *Spec) Asked(name string) bool {
	return !slices.ContainsFunc(s.Internal, func(slot Slot) bool { return slot.Name == name })
}

// Accepts reports whether the slot takes media of kind k.
func (s *Slot) Accepts(k media.Kind) bool {
	for _, have := range s.Kinds {
		if have == k {
			return true
		}
	}
	return false
}
