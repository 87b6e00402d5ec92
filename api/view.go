package api

import (
	"encoding/json"
	"time"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// Task is how GET /v1/tasks/{id} shows a task.
type Task struct {
	TaskID     string          `json:"task_id"`
	MsgID      string          `json:"msg_id"`
	Tenant     string          `json:"tenant"`
	Cmd        string          `json:"cmd"`
	Flow       string          `json:"flow"`
	FlowVer    string          `json:"flow_version"`
	Generation int             `json:"generation"`
	Priority   int             `json:"priority"`
	State      task.State      `json:"state"`
	Ending     task.State      `json:"ending,omitempty"`
	Status     string          `json:"status"`
	CallSlots  string          `json:"call_slots"`
	RetSlots   string          `json:"return_slots"`
	Inputs     []media.Ref     `json:"input_files,omitempty"`
	Outputs    []media.Object  `json:"output_files,omitempty"`
	Params     json.RawMessage `json:"params,omitempty"`
	Result     json.RawMessage `json:"result,omitempty"`
	Error      *task.Fault     `json:"error,omitempty"`
	Usage      fn.Usage        `json:"usage"`
	Figures    *task.Figures   `json:"figures,omitempty"`
	CreatedAt  time.Time       `json:"created_at"`
	StartedAt  *time.Time      `json:"started_at,omitempty"`
	EndedAt    *time.Time      `json:"ended_at,omitempty"`
	Work       []Work          `json:"work,omitempty"`
}

// Work is how an event or a segment is shown.
type Work struct {
	ID        string         `json:"id"`
	Component string         `json:"component"`
	Segment   *int           `json:"segment,omitempty"`
	Fn        string         `json:"fn"`
	State     task.State     `json:"state"`
	Attempt   int            `json:"attempt"`
	Failures  int            `json:"failures"`
	Losses    int            `json:"losses"`
	Worker    string         `json:"worker,omitempty"`
	Outputs   []media.Object `json:"output_files,omitempty"`
	Error     *task.Fault    `json:"error,omitempty"`
	Usage     fn.Usage       `json:"usage"`
	StartedAt *time.Time     `json:"started_at,omitempty"`
	EndedAt   *time.Time     `json:"ended_at,omitempty"`
}

// Upload is how GET /v1/uploads/{id} shows an upload.
type Upload struct {
	ID        string        `json:"id"`
	State     arrival.State `json:"state"`
	media.Ref               // where the object is, or will be
	Size      *int64        `json:"upload_length,omitempty"` // absent while it is not declared
	Offset    int64         `json:"upload_offset"`           // bytes that have arrived
	Concat    string        `json:"concat,omitempty"`        // partial or final
	Index     string        `json:"index,omitempty"`         // whether tasks can begin before the end, in words
	Ended     string        `json:"ended,omitempty"`         // what ended it before it was whole
	Tasks     []string      `json:"tasks,omitempty"`         // that name it and are not over
	CreatedAt time.Time     `json:"created_at"`
	ExpiresAt time.Time     `json:"expires_at,omitzero"`
	WholeAt   time.Time     `json:"whole_at,omitzero"`
}

// Page is one page of a list.
type Page struct {
	Tasks []Task `json:"tasks"`
	Next  string `json:"next,omitempty"` // cursor of the next page; absent at the end
}

// TaskOf renders a row.
func TaskOf(t *task.Task) Task {
	return Task{
		TaskID: t.ID, MsgID: t.Request.MsgID, Tenant: t.Tenant, Cmd: t.Request.Cmd, Flow: t.Flow, FlowVer: t.FlowVer,
		Generation: t.Generation, Priority: t.Request.Priority, State: t.State, Ending: t.Ending, Status: t.Status,
		CallSlots: t.Call.String(), RetSlots: t.Ret.String(), Inputs: t.Request.Inputs, Outputs: t.Outputs,
		Params: t.Request.Params, Result: t.Report, Error: t.Error, Usage: t.Usage,
		CreatedAt: t.CreatedAt, StartedAt: moment(t.StartedAt), EndedAt: moment(t.EndedAt),
	}
}

// WorkOf renders a row.
func WorkOf(w *task.Work) Work {
	out := Work{
		ID: w.ID, Component: w.Component, Fn: w.Fn, State: w.State, Attempt: w.Attempt, Failures: w.Failures,
		Losses: w.Losses, Worker: w.Worker, Outputs: w.Outputs, Error: w.Error, Usage: w.Usage,
		StartedAt: moment(w.StartedAt), EndedAt: moment(w.EndedAt),
	}
	if w.Order >= 0 {
		out.Segment = &w.Order
	}
	return out
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Function is how GET /v1/functions shows a function.
type Function struct {
	Name      string         `json:"name"`
	Version   string         `json:"version"`
	Summary   string         `json:"summary"`
	Doc       string         `json:"doc,omitempty"`
	Inputs    []fn.Slot      `json:"inputs"`
	Outputs   []fn.Slot      `json:"outputs"`
	Params    map[string]any `json:"params"` // JSON Schema
	Pool      fn.Pool        `json:"pool"`
	Purity    fn.Purity      `json:"purity"`
	Slicing   fn.Mode        `json:"slicing"`
	Available bool           `json:"available"`
	Missing   string         `json:"missing,omitempty"`
}

// FunctionOf renders a declaration.
func FunctionOf(s *fn.Spec) Function {
	return Function{
		Name: s.Name, Version: s.Version, Summary: s.Summary, Doc: s.Doc, Inputs: orEmpty(s.Inputs), Outputs: orEmpty(s.Outputs),
		Params: s.Params.JSONSchema(), Pool: s.Pool, Purity: s.Purity, Slicing: s.Slicing.Mode,
		Available: s.Missing == "", Missing: s.Missing,
	}
}

// orEmpty makes a list that is not there an empty one: [] on the wire.
func orEmpty(slots []fn.Slot) []fn.Slot {
	if slots == nil {
		return []fn.Slot{}
	}
	return slots
}

// History is the record of a task: ended attempts, decisions off the plain
// path, and webhook tries.
type History struct {
	Traces     []task.Trace    `json:"traces"`
	Notes      []task.Note     `json:"notes"`
	Deliveries []task.Delivery `json:"deliveries"`
}
