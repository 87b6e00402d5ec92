// Package api holds what goes over the wire between mediafn and its callers.
// Field names are fixed; fields may be added, never renamed.
package api

import (
	"bytes"
	"encoding/json"
	"iter"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// Submit is the body of POST /v1/tasks.
type Submit struct {
	CreateTime int64           `json:"create_time,omitempty" doc:"Unix milliseconds"`
	MsgID      string          `json:"msg_id,omitempty" doc:"the caller's idempotency key; made up if absent"`
	NotifyURL  string          `json:"notify_url,omitempty" doc:"where the callback is posted"`
	Priority   *int            `json:"priority,omitempty" doc:"0-9, 9 most urgent, default 5"`
	Params     json.RawMessage `json:"params,omitempty" doc:"parameters of the function"`
	Inputs     []media.Ref     `json:"input_files,omitempty"`
	Outputs    []media.Ref     `json:"output_files,omitempty"`
	Cmd        string          `json:"cmd" doc:"name of a function or a flow"`
	Extra      task.Extra      `json:"extra,omitzero"`
}

// Response answers a submission.
type Response struct {
	ErrorCode string `json:"error_code"`
	ErrorMsg  string `json:"error_msg"`
	MsgID     string `json:"msg_id"`
	Success   bool   `json:"success"`
	TaskID    string `json:"task_id,omitempty"`
	Existed   bool   `json:"existed,omitempty"`
	Flow      string `json:"flow,omitempty"`
}

// Kinds of callbacks.
const (
	Final = "final"
	Draft = "draft"
)

// Callback tells how a task ended. It is the body of webhooks, of sync replies
// and of results queues, and frozen when the task ends.
type Callback struct {
	Kind       string          `json:"kind"` // "final", or "draft": what left at the end of a module
	MsgID      string          `json:"msg_id"`
	TaskID     string          `json:"task_id"`
	Generation int             `json:"generation,omitempty"`
	Cmd        string          `json:"cmd"`
	Code       string          `json:"code"` // "ok", or the kind of the error
	Message    string          `json:"message"`
	Success    bool            `json:"success"`
	Outputs    []CallbackFile  `json:"output_files"`
	Result     json.RawMessage `json:"result,omitempty"` // slice, certificate, facts …
	Error      *task.Fault     `json:"error,omitempty"`
	Usage      fn.Usage        `json:"usage"`
	Figures    *task.Figures   `json:"figures,omitempty"`
	UserData   json.RawMessage `json:"user_data,omitempty"`
	CreatedAt  time.Time       `json:"created_at"`
	EndedAt    time.Time       `json:"ended_at"`
}

// CallbackFile is one result file.
type CallbackFile struct {
	Cmd     string    `json:"cmd"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Cloud   string    `json:"cloud"`
	Bucket  string    `json:"bucket"`
	Key     string    `json:"key"`
	Extra   FileExtra `json:"extra"`
}

// FileExtra is what is known of a result file.
type FileExtra struct {
	FileSize int64  `json:"file_size"`
	Mime     string `json:"mime"`
	SHA256   string `json:"sha256,omitempty"`
	Name     string `json:"name,omitempty"`
}

// CallbackOf freezes the end of a task.
func CallbackOf(t *task.Task, figures *task.Figures) Callback {
	c := Callback{
		Kind: Final, MsgID: t.Request.MsgID, TaskID: t.ID, Generation: t.Generation, Cmd: t.Request.Cmd, Code: "ok",
		Success: t.State == task.Succeeded, Outputs: []CallbackFile{}, Result: t.Report, Error: t.Error,
		Usage: t.Usage, Figures: figures, UserData: t.Request.Extra.UserData, CreatedAt: t.CreatedAt, EndedAt: t.EndedAt,
	}
	if t.Error != nil {
		c.Code, c.Message = t.Error.Kind.String(), t.Error.Message
	}
	for _, o := range t.Outputs {
		c.Outputs = append(c.Outputs, CallbackFile{
			Cmd: t.Request.Cmd, Code: "ok", Cloud: o.Cloud, Bucket: o.Bucket, Key: o.Key,
			Extra: FileExtra{FileSize: o.Size, Mime: o.Mime, SHA256: o.SHA256, Name: o.Name},
		})
	}
	return c
}

// CodeDraft is the code of a callback for what left before the end.
const CodeDraft = "draft"

// DraftOf freezes what a module let out before the task has ended: the callback
// of an unfinished task, with the module's status as its message.
func DraftOf(t *task.Task, d *task.Draft) Callback {
	shown := *t
	shown.Outputs, shown.Report, shown.Error, shown.State = d.Outputs, d.Facts, nil, task.Succeeded
	c := CallbackOf(&shown, nil)
	c.Kind, c.Code, c.Message = Draft, CodeDraft, d.Status
	return c
}

// Problem is an error as RFC 9457 problem details plus the response's fields.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Field  string `json:"field,omitempty"`
	Response
}

// ProblemOf renders an error. This is the one place where a kind becomes an
// HTTP status.
func ProblemOf(err error, msgID string) Problem {
	kind := errs.KindOf(err)
	status := Status(kind)
	detail := err.Error()
	switch kind { // causes are logged, not shown: they may name hosts and accounts of the platform
	case errs.Internal:
		detail = "internal error"
	case errs.Transient, errs.Timeout, errs.Denied, errs.Canceled:
		if detail = errs.Plain(err); detail == "" {
			detail = withheld[kind]
		}
	}
	return Problem{
		Type: "about:blank", Title: kind.String(), Status: status, Detail: detail, Field: errs.FieldOf(err),
		Response: Response{ErrorCode: kind.String(), ErrorMsg: detail, MsgID: msgID},
	}
}

// withheld is said of an error of which mediafn itself has nothing to say.
var withheld = map[errs.Kind]string{
	errs.Transient: "a part of the platform does not answer now; try again",
	errs.Timeout:   "it took too long; try again",
	errs.Denied:    "a part of the platform refuses it",
	errs.Canceled:  "it was stopped",
}

// Status is the HTTP status of an error kind.
func Status(k errs.Kind) int {
	switch k {
	case errs.Invalid:
		return 400
	case errs.NotFound:
		return 404
	case errs.Conflict:
		return 409
	case errs.Denied:
		return 403
	case errs.Unsupported:
		return 422
	case errs.TooLarge:
		return 413
	case errs.Busy:
		return 429
	case errs.Timeout:
		return 504
	case errs.Transient:
		return 503
	case errs.Canceled:
		return 499
	}
	return 500
}

// Event is one line of a task's live stream.
type Event struct {
	Type      string       `json:"type"` // task | work | progress
	TaskID    string       `json:"task_id"`
	Component string       `json:"component,omitempty"`
	Segment   *int         `json:"segment,omitempty"`
	State     task.State   `json:"state,omitempty"`
	Status    string       `json:"status,omitempty"`
	Progress  *fn.Progress `json:"progress,omitempty"`
	Worker    string       `json:"worker,omitempty"`
	Attempt   int          `json:"attempt,omitempty"`
	Error     *task.Fault  `json:"error,omitempty"`
	At        time.Time    `json:"at"`
}

// EventsIn reads a message about a task: one event a line. What is not
// understood is left out.
func EventsIn(message []byte) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for line := range bytes.Lines(message) {
			var e Event
			if json.Unmarshal(line, &e) == nil && !yield(e) {
				return
			}
		}
	}
}
