package task

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
)

// Request is what a caller asks for, validated. Field names are the wire's.
type Request struct {
	CreateTime int64           `json:"create_time,omitempty"` // Unix milliseconds
	MsgID      string          `json:"msg_id"`
	NotifyURL  string          `json:"notify_url,omitempty"`
	Priority   int             `json:"priority"` // 0–9, 9 most urgent
	Params     json.RawMessage `json:"params,omitempty"`
	Inputs     []media.Ref     `json:"input_files,omitempty"`
	Outputs    []media.Ref     `json:"output_files,omitempty"`
	Cmd        string          `json:"cmd"`
	Extra      Extra           `json:"extra"`
}

// Uploads lists the uploads the inputs name, each once.
func (r *Request) Uploads() (ids []string) {
	for i := range r.Inputs {
		if id := r.Inputs[i].Upload; id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Extra holds the platform's own options.
type Extra struct {
	Slice       string `json:"slice,omitempty"` // auto | force | off
	PreDownload *bool  `json:"pre_download,omitempty"`
	// JointQuality has the joints of a sliced run compared with the source.
	JointQuality bool            `json:"joint_quality,omitempty"`
	Deadline     int64           `json:"deadline,omitempty"` // Unix milliseconds
	UserData     json.RawMessage `json:"user_data,omitempty"`
	// ResultQueue has the result put into the tenant's result queue too.
	ResultQueue bool `json:"result_queue,omitempty"`
}

// Task is one request's row.
type Task struct {
	ID         string
	Tenant     string
	Generation int // counts retries of the whole task
	Request    Request
	Flow       string
	FlowVer    string
	State      State
	Status     string // status of the running module
	Ending     State  // failed or canceled is decided, running parts are being stopped
	Call, Ret  Slots
	Outputs    []media.Object
	Report     json.RawMessage // facts named by the flow's report
	Error      *Fault
	Usage      fn.Usage
	ReplyTo    string // gateway that waits for the end; empty = nobody
	// Traceparent is the W3C trace context of the request; empty = none.
	Traceparent string
	Version     int64 // changes with every write
	CreatedAt   time.Time
	StartedAt   time.Time
	EndedAt     time.Time
}

// Fault is an error as stored and shown.
type Fault = job.Fault

// FaultOf converts an error; nil stays nil.
func FaultOf(err error) *Fault { return job.FaultOf(err) }

// Work is the row of an event or, when Order ≥ 0, of one of its segments. Both
// are granted, leased, retried and fenced alike, hence one type and one table.
type Work struct {
	ID        string
	TaskID    string
	Component string
	Order     int // -1: the event itself
	Tenant    string
	Priority  int
	Pool      fn.Pool
	Fn        string
	FnVersion string
	State     State
	Attempt   int      // fencing number: grows with every grant
	Failures  int      // the function failed
	Losses    int      // the worker or its lease was lost
	LostBy    []string // workers that lost it
	Trace     string   // current attempt
	Worker    string
	Price     fn.Price        // what matching and deadlines count with
	Declared  float64         // CPU seconds the function's own price says
	Kind      media.Kind      // of the primary input: machines carry few videos and some images
	Size      string          // size class, by price: small | medium | large
	Class     string          // resolution class, under which prices are learned: "1080p"
	Due       time.Time       // the caller's deadline; zero = none
	Avoid     string          // worker that must not get it: it runs the same already
	Made      *job.Job        `json:"-"` // Job as it was made, where it was made just now; it is never changed
	Job       json.RawMessage // job.Job without trace, threads and deadline
	Outputs   []media.Object
	Facts     json.RawMessage
	Usage     fn.Usage
	Error     *Fault
	Limit     int // failures allowed
	Timeout   time.Duration
	CreatedAt time.Time
	NotBefore time.Time // waiting until
	StartedAt time.Time
	LeaseTill time.Time
	Deadline  time.Time // of the current attempt
	EndedAt   time.Time
}

// Grant completes the row's job for one attempt on one worker.
func (w *Work) Grant(lease time.Duration, threads int) (job.Grant, error) {
	g := job.Grant{
		Work: w.ID, Attempt: w.Attempt, Tenant: w.Tenant, Price: w.Price, Kind: w.Kind, Lease: lease,
		Subject: job.AnswerSubject(w.TaskID),
	}
	if w.Made != nil {
		g.Job = *w.Made
	} else if err := json.Unmarshal(w.Job, &g.Job); err != nil {
		return g, errs.New(errs.Internal, "grant", "%s: %w", w.ID, err)
	}
	g.Traceparent = g.Job.Traceparent
	g.Job.Trace, g.Job.Deadline, g.Job.Threads = w.Trace, w.Deadline, threads
	if g.Job.Fn != job.Publish {
		g.Job.Out.Prefix += "/" + w.Trace
	}
	return g, nil
}
