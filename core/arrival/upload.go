// Package arrival says what can be done with a file that is still arriving:
// which work may begin once how much of it is there. It is pure.
package arrival

import (
	"math"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
)

// State is how far an upload is.
type State string

const (
	Open  State = "open"  // bytes are missing
	Whole State = "whole" // every byte is there, the object is being put together
	Done  State = "done"  // the object is there
	Gone  State = "gone"  // it was ended before it was whole
)

// Upload is a file on its way into a bucket, in pieces.
type Upload struct {
	ID      string
	Tenant  string
	Place   media.Ref // where the object will be
	Meta    string    // the caller's own words, as they came
	Mime    string
	Size    int64 // -1 = not declared yet
	Arrived int64 // bytes from the start on that are stored
	State   State
	Concat  string // "partial", "final" with what it was made of, or empty
	// Index is how many bytes from the start must be there before the media can be
	// profiled: 0 = not known yet, Behind or Splits = all of them. Why says why, and
	// of an upload that is gone what ended it.
	Index     int64
	Why       string
	CreatedAt time.Time
	ExpiresAt time.Time // unless it is whole by then
	WholeAt   time.Time
	TouchedAt time.Time // by whoever works on it
}

// What Index may be beside a number of bytes.
const (
	Behind int64 = -1 // nothing can be done before the end
	Splits int64 = -2 // there is no index, but ranges of the file can be entered by its bytes
)

// Front is so much of a file with Splits that its beginning tells what it holds, and
// how many bytes a second of it takes.
const Front = 4 << 20

// Early reports whether slices of u may begin before its end though it has no
// index; known is false as long as that can't be told.
func (u *Upload) Early() (early, known bool) {
	switch {
	case u.State != Open:
		return false, true
	case u.Index == 0 || u.Size < 0:
		return false, false
	}
	return u.Index == Splits && u.Size >= 2*Front, true
}

// Block is what is waited for at once; the gate reads in blocks that divide it, and
// a byte can be read once all of its block are there. Slack is waited for beyond
// what must be read: the gate reads ahead by no more.
const (
	Block = 1 << 20
	Slack = 1 << 20
)

// all stands for more than any file has: the object must be there.
const all = math.MaxInt64

// Need is how many bytes of u, the n-th input of j, must have arrived before j
// can begin. short is how many an attempt has found missing, 0 = none.
//
// Tables are read as soon as the index is there, the front of what has none as soon
// as that is, and a slice as soon as its bytes are, with those up to the second
// keyframe behind it. Everything else waits for the object.
func Need(j *job.Job, n int, u *Upload, short int64) int64 {
	if u.front() == 0 || u.Size < 0 || j.PreDownload {
		return all
	}
	need := int64(0)
	switch p := j.Part; {
	case j.Fn == "inspect.probe" && u.Index > 0, j.Fn == "inspect.front":
		need = u.front()
	case n == 0 && p != nil && p.Stream == fn.Pictures && p.Pass != fn.Reduce && p.Bytes.Behind > 0 && (u.Index > 0 || p.Split != nil):
		need = p.Bytes.Behind
	default:
		return all
	}
	// An attempt that found bytes missing is likely to find the next ones missing
	// too: the more it has read, the more is waited for, so that attempts are few.
	need = max(need, short+short/4)
	need = (need + Slack + Block - 1) / Block * Block
	return min(need, u.Size)
}

// front is how many bytes from the start on everybody reads; 0 = there is nothing to
// be read before the end.
func (u *Upload) front() int64 {
	if u.Index == Splits {
		return Front
	}
	return max(u.Index, 0)
}

// There reports whether need bytes of u have arrived.
func (u *Upload) There(need int64) bool {
	return u.State == Done || need != all && u.Arrived >= need && u.State != Gone
}

// Wanted picks the pieces of u that j, which needs so many bytes, may read: those
// with the index, and those of its part. All of a large file's would be too many
// for a message.
func Wanted(j *job.Job, u *Upload, need int64, pieces []media.Piece) (list []media.Piece) {
	from := int64(0)
	if j.Part != nil {
		from = j.Part.Bytes.First / Block * Block
	}
	front := (u.front() + Slack + Block - 1) / Block * Block
	for _, p := range pieces {
		if p.Start < front || p.Start+p.Size > from && p.Start < need {
			list = append(list, p)
		}
	}
	return list
}
