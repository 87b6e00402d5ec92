package fn

import (
	"context"
	"encoding/json"
	"io"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// Context is context.Context; the alias keeps the contract's file readable.
type Context = context.Context

// Call is one computation on one machine.
type Call struct {
	Trace   string          // id of this attempt
	Params  json.RawMessage // canonical, as Check returned them
	Inputs  []Input
	Dir     string // scratch of this attempt alone; everything written goes here. Empty for a function that declares neither inputs nor outputs
	Threads int    // cores this call may keep busy, ≥ 1; plans pin tool threads to it
	// Callback is where an outside service answers for this attempt; empty
	// unless the component is asynchronous. It carries its own token.
	Callback string
	// Place is where files of this attempt may be stored by whoever does its work:
	// cloud, bucket, and the beginning of the keys.
	Place media.Ref
	Part  *Part // the slice of the primary input to process; nil = all of it

	// Stored looks for a file that an earlier call of the same function, in the
	// same version, has left under a key (see Output.Key). It is nil where
	// nothing is kept; LookUp asks in any case. A miss costs one small request.
	Stored func(key string) (media.Object, bool)

	// Progress reports how far the work is. It never blocks. It may be nil.
	Progress func(Progress)
}

// Input is one file or document as a function sees it.
type Input struct {
	Slot string
	Ref  media.Ref
	Kind media.Kind
	// Format is what the file really is, from its first bytes ("mp4", "jpeg").
	Format string
	// Demuxer is FFmpeg's name of the demuxer to force; empty for images.
	Demuxer string
	Size    int64
	// Identity names these bytes: the same text, the same content. It is empty
	// where who keeps them can't tell, and for documents; then nothing made of
	// them is kept under a key.
	Identity string
	// Location is where a child process reads it: an absolute path in local
	// scratch, or an http URL of the blob gate on 127.0.0.1.
	Location string
	// Port is the loopback port of Location, or 0 for a path.
	Port uint16
	// Skip gives another Location to who will not look at some ranges of the file:
	// they read as zeros there and cost nothing. It lives as long as the call. Nil
	// where nothing is saved by it.
	Skip func(ranges []Range) (location string, err error)
	// Data reads the same bytes inside this process. Concurrent use is fine.
	Data io.ReaderAt
	// Info is what is known already; nil if nobody looked.
	Info *media.Info
	// Doc is the content, for an input that is a JSON document of another
	// component; then Location and Data are empty.
	Doc json.RawMessage
}

// Range is bytes Start to End−1 of a file.
type Range struct{ Start, End int64 }

// Stream says which streams of the primary input a part covers.
type Stream string

const (
	Pictures Stream = "video" // the main picture track, in the range Start–End
	Sound    Stream = "audio" // every sound track, whole length, as the function would render it
)

// Pass says which of several passes over its range a part asks for.
type Pass string

const (
	Final   Pass = ""        // the result; what else there is to know lies in internal slots
	Analyse Pass = "analyse" // what the other slices must know of this one: one file
	Reduce  Pass = "reduce"  // of all analyses, in the order of the slices, what every slice must know: one file
)

// Part is one slice: a range of the primary video input, read in place.
// Times are ticks of the source stream's time base.
//
// A Pictures part gives one mp4 file with one picture track, no sound, frame
// times starting at exactly 0 and counted in 1/Scale s. A Sound part gives one mp4 (m4a) file with all sound tracks on
// the source's time line, offset against the first picture included.
type Part struct {
	Stream   Stream         `json:"stream"`
	Order    int            `json:"order"`
	Of       int            `json:"of"`
	TimeBase media.Rational `json:"time_base"`
	Start    int64          `json:"start"`      // PTS of the first frame to keep
	End      int64          `json:"end"`        // PTS just behind the last frame to keep
	First    int64          `json:"first"`      // number of the first frame to keep, in the source
	Frames   int64          `json:"frames"`     // frames to keep
	From     int64          `json:"from"`       // PTS of the first frame to process, ≤ Start
	To       int64          `json:"to"`         // PTS just behind the last frame to process, ≥ End
	Entry    int64          `json:"entry"`      // PTS of the keyframe where decoding starts, ≤ From
	DropHead int64          `json:"drop_head"`  // frames decoded and processed before Start, then removed
	DropTail int64          `json:"drop_tail"`  // frames processed behind End, then removed
	Scale    int64          `json:"time_scale"` // ticks per second of the slice's own track
	Pass     Pass           `json:"pass,omitempty"`
	// Bytes hold the part, in the source; zero = not known. Of a source that is
	// still arriving they are what is waited for.
	Bytes Bytes `json:"bytes,omitzero"`
	// Split, if set, is all that is known of the part: of a source whose frames nobody
	// has counted yet it has those from the first keyframe found at or behind
	// Split.First up to that at or behind Split.Behind, 0 = the end. Its call is given
	// to the function as any other, by whoever finds out what these are
	// (functions/internal/ahead), and has that as its facts.
	Split *Bytes `json:"split,omitempty"`
	// Share is the part of the whole call's price this part takes; 0 = not known.
	Share float64 `json:"share,omitempty"`
}

// Bytes is a range of a file: from the first one that is read to just behind the
// last.
type Bytes struct {
	First  int64 `json:"first"`
	Behind int64 `json:"behind"`
}

// Progress is a snapshot of running work.
type Progress struct {
	Done   float64 `json:"done"` // 0–1
	Frames int64   `json:"frames,omitempty"`
	Speed  float64 `json:"speed,omitempty"` // media seconds per second
	Note   string  `json:"note,omitempty"`
}

// Result is what a call produced.
type Result struct {
	Outputs []Output
	Facts   json.RawMessage // JSON object for other components and the caller; may be nil
	Usage   Usage
	// Pending says that an outside service was given the work and Call.Callback;
	// there are neither outputs nor facts yet. Only a call that has a Callback may
	// say so.
	Pending bool
}

// Output is a file in Call.Dir, or one that is stored already.
type Output struct {
	Slot string
	Name string // file name it is stored under; in folders ("video/720p.mp4") where files refer to each other
	Path string
	Kind media.Kind
	Mime string
	Info *media.Info // if the function knows it anyway
	// Key says what the file was computed from, in any text: everything its bytes
	// depend on but the function's name and version, which are added. A later call
	// may get the file from Call.Stored under the same key. Empty: it is not kept.
	Key string
	// Object is what Call.Stored found: nothing is uploaded, Path counts for nothing.
	Object *media.Object
}

// Usage is what a call cost. Transfer is kept apart from computing.
type Usage struct {
	CPUSeconds     float64 `json:"cpu_seconds"`
	GPUSeconds     float64 `json:"gpu_seconds,omitempty"`
	WallSeconds    float64 `json:"wall_seconds"`
	FetchSeconds   float64 `json:"fetch_seconds,omitempty"`
	StoreSeconds   float64 `json:"store_seconds,omitempty"`
	BytesIn        int64   `json:"bytes_in,omitempty"`
	BytesOut       int64   `json:"bytes_out,omitempty"`
	MaxMemory      int64   `json:"max_memory,omitempty"`
	InputDuration  float64 `json:"input_duration,omitempty"`  // media seconds
	OutputDuration float64 `json:"output_duration,omitempty"` // media seconds
	Reused         int     `json:"reused,omitempty"`          // files that were there already instead of being computed
}

// Add sums u and v; memory takes the larger.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		CPUSeconds: u.CPUSeconds + v.CPUSeconds, GPUSeconds: u.GPUSeconds + v.GPUSeconds,
		WallSeconds: u.WallSeconds + v.WallSeconds, FetchSeconds: u.FetchSeconds + v.FetchSeconds,
		StoreSeconds: u.StoreSeconds + v.StoreSeconds, BytesIn: u.BytesIn + v.BytesIn,
		BytesOut: u.BytesOut + v.BytesOut, MaxMemory: max(u.MaxMemory, v.MaxMemory),
		InputDuration:  u.InputDuration + v.InputDuration,
		OutputDuration: u.OutputDuration + v.OutputDuration,
		Reused:         u.Reused + v.Reused,
	}
}

// In returns the first input of a slot, or nil.
func (c *Call) In(slot string) *Input {
	for i := range c.Inputs {
		if c.Inputs[i].Slot == slot {
			return &c.Inputs[i]
		}
	}
	return nil
}

// All returns every input of a slot, in order.
func (c *Call) All(slot string) []*Input {
	var all []*Input
	for i := range c.Inputs {
		if c.Inputs[i].Slot == slot {
			all = append(all, &c.Inputs[i])
		}
	}
	return all
}

// Document decodes the JSON document that fills a slot into v. A slot that is
// empty or no document is Internal: the flow is wired wrongly.
func (c *Call) Document(slot string, v any) error {
	in := c.In(slot)
	if in == nil || in.Doc == nil {
		return errs.New(errs.Internal, "fn", "no document in slot %q", slot)
	}
	if err := json.Unmarshal(in.Doc, v); err != nil {
		return errs.New(errs.Internal, "fn", "document in slot %q: %w", slot, err)
	}
	return nil
}

// AllFresh in place of an output's name means every output is computed, though
// it may be stored.
const AllFresh = "all"

// LookUp is Stored, also where nothing is kept. An empty key finds nothing.
func (c *Call) LookUp(key string) (media.Object, bool) {
	if c.Stored == nil || key == "" {
		return media.Object{}, false
	}
	return c.Stored(key)
}

// Report passes p on if somebody listens.
func (c *Call) Report(p Progress) {
	if c.Progress != nil {
		c.Progress(p)
	}
}
