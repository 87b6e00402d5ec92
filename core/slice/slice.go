// Package slice decides whether work on a video is cut along time, where, and
// what the whole made of the pieces must then be like.
//
//	profile → [Decide] → parts → … → [Certify]
//
// A slice is a range of the source, read in place: nothing is copied to cut.
// Cuts fall on keyframes where those are close enough together, else on the
// exact frame, with decoding from the keyframe before. Everything here is
// pure and exact: times are ticks of the source's time base, frames are
// counted, seconds only appear in predictions.
package slice

import (
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// Mode is what the caller asked for in extra.slice.
type Mode string

const (
	Auto  Mode = "auto"  // slice if that is predicted to pay
	Force Mode = "force" // slice if that is possible
	Off   Mode = "off"
)

// ParseMode reads extra.slice; empty means auto. An error is Invalid.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case "":
		return Auto, nil
	case Auto, Force, Off:
		return m, nil
	}
	return "", errs.InField("extra.slice", "must be auto, force or off, not %q", s)
}

// Code names the ground of a decision. The list is closed.
type Code string

const (
	Sliced     Code = "sliced"        // predicted to pay
	Forced     Code = "forced"        // the caller asked for it
	Remuxing   Code = "remuxed"       // predicted to pay or asked for, after the source was copied into an mp4 once
	Arriving   Code = "arriving"      // it was sliced while it arrived
	OffByUser  Code = "off_by_caller" // the caller refused it
	NotOffered Code = "not_sliceable" // the function's work cannot be cut along time
	NoVideo    Code = "no_video"      // there is no moving picture, or nothing is known of it

	// The first five of these may be mended by a remux; see LookAt.
	NotSeekable  Code = "container_not_seekable" // mpegts, flv, …: ranges lose frames
	AVI          Code = "avi"                    // keeps no frame times
	EditList     Code = "edit_list"              // an edit list does more than a start offset
	Negative     Code = "negative_timestamps"    // pictures lie before zero
	NoKeyframes  Code = "no_keyframes"           // no index of entry points, or one that contradicts itself
	Discontinued Code = "discontinuity"          // timestamps jump or reset
	Repeated     Code = "repeated_timestamps"    // pictures share a time, so a time does not name a frame
	OneGOP       Code = "one_gop"                // no cut leaves two slices of sensible length
	FrameRate    Code = "frame_rate"             // the result's frame rate and the source's share no instants to cut at

	TooShort   Code = "too_short"   // below the threshold
	FewWorkers Code = "few_workers" // fewer than two can work at once
	NoGain     Code = "no_gain"     // predicted to end no sooner
)

// DefaultThreshold is the length below which nothing is sliced on "auto"
// unless the function says otherwise.
const DefaultThreshold = 60 * time.Second

// Request is everything a decision rests on. Recorded, it gives the same
// decision again.
type Request struct {
	Source   *media.Info // main picture track with Timing and GOP.Keys; FrameList if there is one
	Spec     fn.Slicing
	Price    fn.Price // of the whole
	Assembly fn.Assembly
	Mode     Mode
	// Workers is how many slices can run at once now: free cores, or free
	// cards for work that wants a GPU.
	Workers int
	// Threshold overrides the function's; 0 = the function's, or DefaultThreshold.
	Threshold time.Duration
}

// Decision is the answer. Parts is empty unless Sliced.
type Decision struct {
	Sliced     bool
	Code       Code
	Reason     string // one sentence for the caller
	Parts      []fn.Part
	Prediction Prediction
}

// SoundPart is the part that renders the sound, once and whole, beside the
// slices: sound encoded in pieces clicks at every joint and drifts. Its share
// is of the price of the whole.
func SoundPart(whole fn.Price) fn.Part {
	part := fn.Part{Stream: fn.Sound, Of: 1, Share: 0.05}
	if whole.Sound > 0 && whole.CPUSeconds > 0 {
		part.Share = min(whole.Sound/whole.CPUSeconds, 1)
	}
	return part
}
