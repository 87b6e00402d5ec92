package task

import (
	"time"

	"github.com/mediafn/mediafn/core/media"
)

// UploadState is how far an upload is.
type UploadState string

const (
	UploadOpen  UploadState = "open"  // bytes are missing
	UploadWhole UploadState = "whole" // every byte is there, the object is being put together
	UploadDone  UploadState = "done"  // the object is there
	UploadGone  UploadState = "gone"  // it was ended before it was whole
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
	State   UploadState
	Concat  string // "partial", "final" with what it was made of, or empty
	// Index is how many bytes from the start must be there before the media can be
	// profiled: 0 = not known yet, -1 = all of them. Why says why, and of an upload
	// that is gone what ended it.
	Index     int64
	Why       string
	CreatedAt time.Time
	ExpiresAt time.Time // unless it is whole by then
	WholeAt   time.Time
	TouchedAt time.Time // by whoever works on it
}
