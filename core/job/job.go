// Package job is the message a worker gets with a grant: everything needed to
// compute one event or segment, and nothing about the flow around it.
package job

import (
	"encoding/json"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// Schema is the version of these envelopes.
const Schema = 1

// Job is one computation to be done.
type Job struct {
	Schema  int             `json:"schema"`
	Work    string          `json:"work"`    // event or segment id
	Trace   string          `json:"trace"`   // this attempt
	Attempt int             `json:"attempt"` // fencing number
	Tenant  string          `json:"tenant,omitempty"`
	Fn      string          `json:"fn"`
	Version string          `json:"version"`
	Params  json.RawMessage `json:"params,omitempty"` // canonical
	Inputs  []Input         `json:"inputs,omitempty"`
	Part    *fn.Part        `json:"part,omitempty"`
	Out     Place           `json:"out"`
	Threads int             `json:"threads,omitempty"`
	Price   fn.Price        `json:"price"`
	// Deadline ends the attempt; Lease is how long it lives between renewals.
	Deadline time.Time     `json:"deadline"`
	Lease    time.Duration `json:"lease"`
}

// Input fills one slot, with a file or a document.
type Input struct {
	Slot  string          `json:"slot"`
	Ref   media.Ref       `json:"ref"`
	Doc   json.RawMessage `json:"doc,omitempty"`
	Facts *media.Info     `json:"facts,omitempty"` // what is known of the file already
}

// Place says where outputs are stored.
type Place struct {
	Cloud  string `json:"cloud,omitempty"`
	Bucket string `json:"bucket,omitempty"`
	// Prefix of the keys. It ends in the trace id, so that two attempts never
	// write the same object.
	Prefix string `json:"prefix,omitempty"`
	// Exact gives every output its own target instead, in order. Only
	// publishing uses it: it copies a committed result, so that repeating it
	// changes nothing.
	Exact []media.Ref `json:"exact,omitempty"`
}

// Outcome is what a worker reports of a finished job.
type Outcome struct {
	Outputs []media.Object  `json:"outputs,omitempty"`
	Facts   json.RawMessage `json:"facts,omitempty"`
	Usage   fn.Usage        `json:"usage"`
}
