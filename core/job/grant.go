package job

import (
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
)

// Schema is the version of the envelopes below. A receiver refuses a newer
// one; fields are only ever added.
const Schema = 1

// Want is a worker's offer: what it can carry now. It is answered by Grants,
// possibly none, when there is work or Wait is over.
type Want struct {
	Schema    int           `json:"schema"`
	Worker    string        `json:"worker"`
	Pools     []fn.Pool     `json:"pools"`
	Functions []string      `json:"functions"` // name@version
	Cores     int           `json:"cores"`     // free now
	Memory    int64         `json:"memory"`    // bytes free now
	Most      int           `json:"most"`      // grants at the most
	Wait      time.Duration `json:"wait"`
	// Seen counts the grants the worker has received in its life. An offer that
	// has not seen the last ones speaks of room that is taken.
	Seen int64 `json:"seen"`
}

// Grants answers a Want.
type Grants struct {
	Schema int     `json:"schema"`
	Grants []Grant `json:"grants"`
}

// Grant gives one event or segment to one worker until its lease ends.
type Grant struct {
	Work    string        `json:"work"`    // event or segment id
	Attempt int           `json:"attempt"` // fencing number
	Tenant  string        `json:"tenant"`
	Price   fn.Price      `json:"price"`
	Lease   time.Duration `json:"lease"` // how long it lives between renewals
	// Trace is the W3C traceparent of the request, if it had one.
	Traceparent string `json:"traceparent,omitempty"`
	Job         Job    `json:"job"`
}

// Answer is the end of an attempt as its worker reports it (the callback).
// Exactly one of Outcome and Fault is set, or Returned.
type Answer struct {
	Schema  int      `json:"schema"`
	Work    string   `json:"work"`
	Attempt int      `json:"attempt"`
	Trace   string   `json:"trace"`
	Worker  string   `json:"worker"`
	Outcome *Outcome `json:"outcome,omitempty"`
	Fault   *Fault   `json:"fault,omitempty"`
	// Returned is set when the worker hands the work back unfinished.
	Returned bool `json:"returned,omitempty"`
}

// Renewal keeps leases alive. A worker sends it only for work that makes
// progress; what the answer refuses it must stop.
type Renewal struct {
	Schema int     `json:"schema"`
	Worker string  `json:"worker"`
	Alive  []Alive `json:"alive"`
}

// Alive is one running attempt and how far it is.
type Alive struct {
	Work     string      `json:"work"`
	Attempt  int         `json:"attempt"`
	Trace    string      `json:"trace"`
	Progress fn.Progress `json:"progress"`
}

// Refusals answers a Renewal: attempts that are no longer the worker's.
type Refusals struct {
	Stop []string `json:"stop"` // trace ids
}

// Fault is an error as it travels, is stored and is shown.
type Fault struct {
	Kind      errs.Kind `json:"kind"`
	Message   string    `json:"message"`
	Field     string    `json:"field,omitempty"`
	Component string    `json:"component,omitempty"`
	Segment   *int      `json:"segment,omitempty"`
	Tail      string    `json:"tail,omitempty"` // last lines of the tool's own message
}

// FaultOf converts an error; nil stays nil.
func FaultOf(err error) *Fault {
	if err == nil {
		return nil
	}
	return &Fault{Kind: errs.KindOf(err), Message: err.Error(), Field: errs.FieldOf(err), Tail: errs.TailOf(err)}
}
