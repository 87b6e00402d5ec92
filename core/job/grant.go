package job

import (
	"errors"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// Schema is the version of the envelopes below. A receiver refuses a newer
// one; fields are only ever added.
const Schema = 1

// CoresSetting is where the matcher writes down how many cores the workers have
// together, for other controllers and gateways.
const CoresSetting = "workers/cores"

// Want is a worker's offer: what it can carry now. It is answered by Grants,
// possibly none, when there is work or Wait is over.
type Want struct {
	Schema    int       `json:"schema"`
	Worker    string    `json:"worker"`
	Pools     []fn.Pool `json:"pools"`
	Functions []string  `json:"functions"` // name@version
	Cores     int       `json:"cores"`     // free now
	Memory    int64     `json:"memory"`    // bytes free now
	Most      int       `json:"most"`      // grants at the most
	// Kinds bounds work by the kind of its primary input, beside cores and memory:
	// how many videos and images it takes on now. A kind that is missing has no
	// bound.
	Kinds map[media.Kind]int `json:"kinds,omitempty"`
	Sizes []string           `json:"sizes,omitempty"` // size classes it takes; empty = all
	GPU   int                `json:"gpu,omitempty"`   // free cards
	// Groups are the fan-outs (event ids) it runs slices of. All slices of one
	// count as one of their kind.
	Groups []string `json:"groups,omitempty"`
	// Total is what it could offer now if it ran nothing. Owns is how many cores it
	// is there with, whatever else its machine does now: work that takes longer than
	// a load lasts is planned for so many.
	Total Room `json:"total,omitzero"`
	Owns  int  `json:"owns,omitempty"`
	// Load is what the machine measured when the offer was made, for people.
	Load Load          `json:"load"`
	Wait time.Duration `json:"wait"`
	// Seen counts the grants the worker has received in its life. An offer that
	// has not seen the last ones speaks of room that is taken.
	Seen int64 `json:"seen"`
}

// Room is an amount of a machine.
type Room struct {
	Cores  int   `json:"cores"`
	Memory int64 `json:"memory"` // bytes
	GPU    int   `json:"gpu,omitempty"`
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
	Kind    media.Kind    `json:"kind,omitempty"`
	Subject string        `json:"subject,omitempty"` // to answer on; empty = StreamAnswers
	Lease   time.Duration `json:"lease"`             // how long it lives between renewals
	// Traceparent is the W3C trace context the attempt comes beneath: the grant's,
	// or the request's. Empty = none.
	Traceparent string `json:"traceparent,omitempty"`
	Job         Job    `json:"job"`
}

// Answer is the end of an attempt as its worker reports it (the callback).
// Exactly one of Outcome and Fault is set, or Returned.
type Answer struct {
	Schema  int       `json:"schema"`
	Work    string    `json:"work"`
	Attempt int       `json:"attempt"`
	Trace   string    `json:"trace"`
	Worker  string    `json:"worker"`
	Started time.Time `json:"started,omitzero"` // by the worker's clock
	Outcome *Outcome  `json:"outcome,omitempty"`
	Fault   *Fault    `json:"fault,omitempty"`
	// Returned is set when the worker hands the work back unfinished.
	Returned bool `json:"returned,omitempty"`
	// Traceparent is the W3C trace context of the attempt; empty = none.
	Traceparent string `json:"traceparent,omitempty"`
	// Pending is set when the work has been given to an outside service, which
	// will answer at the callback URL.
	Pending bool `json:"pending,omitempty"`
}

// Load is what a worker's machine is under.
type Load struct {
	Cores    float64 `json:"cores"`    // it may use
	Busy     float64 `json:"busy"`     // cores busy now, by anybody
	Outside  float64 `json:"outside"`  // of them not by work of this worker
	Pressure float64 `json:"pressure"` // share of time something waited for CPU (PSI, 10 s), 0–1
	Memory   int64   `json:"memory"`   // bytes available
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
	// Short is how many bytes of an upload would have to be there: the attempt came
	// upon the end of what has arrived, and is made again when they are.
	Short int64 `json:"short,omitempty"`
}

// FaultOf converts an error; nil stays nil.
func FaultOf(err error) *Fault {
	if err == nil {
		return nil
	}
	f := &Fault{Kind: errs.KindOf(err), Message: err.Error(), Field: errs.FieldOf(err), Tail: errs.TailOf(err)}
	if short := (*Short)(nil); errors.As(err, &short) {
		f.Short = short.Need
	}
	return f
}
