// Package task holds what the controller knows of a request and the pure rules
// by which it moves: ids, states and their transitions, slots, retry
// arithmetic, and the decision what runs next. It has no clock and does no I/O.
//
// One request is a task. Each node of its flow is an event, each slice of an
// event a segment, each computation a trace: one attempt on one machine.
package task

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// State is the state of a task, an event or a segment.
type State string

const (
	Queued    State = "queued"    // task: accepted, nothing decided yet
	Waiting   State = "waiting"   // event: may not run before a time (backoff) or before its bytes have arrived, or its segments run
	Ready     State = "ready"     // event: may be granted to a worker
	Running   State = "running"   // granted, or at least one event is under way
	Succeeded State = "succeeded" // done, with a result
	Failed    State = "failed"    // given up, with an error
	Canceled  State = "canceled"  // stopped on request
	Skipped   State = "skipped"   // event: it failed, and on_fail lets the task go on without it
)

// Final reports whether nothing more happens in s.
func (s State) Final() bool {
	return s == Succeeded || s == Failed || s == Canceled || s == Skipped
}

// Transition is one allowed change of state and what causes it.
type Transition struct {
	From State // empty: the row is created
	On   string
	To   State
}

// TaskTransitions is the life of a task.
var TaskTransitions = []Transition{
	{"", "accept", Queued},
	{Queued, "decide", Running},
	{Queued, "nothing left to run", Succeeded},
	{Queued, "first component can't be called", Failed},
	{Queued, "cancel", Canceled},
	{Running, "last module done", Succeeded},
	{Running, "component failed", Failed},
	{Running, "cancel", Canceled},
	{Failed, "retry", Queued},
	{Canceled, "retry", Queued},
	{Succeeded, "retry of a part", Queued},
}

// WorkTransitions is the life of an event or a segment, as its row shows it.
// "limit" stands for the limit of failures or losses having been reached. A
// component that its condition leaves out has no row: its return slot is set
// without its call slot.
var WorkTransitions = []Transition{
	{"", "depends done", Ready},
	{"", "decided by the controller", Succeeded},
	{"", "fan out", Waiting},
	{"", "its bytes have not arrived", Waiting},
	{"", "second run of a slow slice", Ready},
	{"", "the task fails in the same decision", Canceled},
	{Ready, "grant", Running},
	{Ready, "its bytes have not arrived", Waiting},
	{Ready, "cancel", Canceled},
	{Ready, "twin was first", Succeeded},
	{Waiting, "time comes", Ready},
	{Waiting, "its bytes have arrived", Ready},
	{Waiting, "segments done", Succeeded},
	{Waiting, "segment failed", Failed},
	{Waiting, "segment failed, on_fail skip or fallback", Skipped},
	{Waiting, "cancel", Canceled},
	{Waiting, "twin was first", Succeeded},
	{Running, "result", Succeeded},
	{Running, "failure", Waiting},
	{Running, "it read what has not arrived", Waiting},
	{Running, "failure, limit or not retryable", Failed},
	{Running, "lease lost", Waiting},
	{Running, "lease lost, limit", Failed},
	{Running, "handed back", Ready},
	{Running, "failure or loss, limit, on_fail skip or fallback", Skipped},
	{Running, "cancel", Canceled},
	{Failed, "on_fail skip or fallback", Skipped},
	{Failed, "retry", Ready},
	{Failed, "retry, fanned out", Waiting},
	{Canceled, "retry", Ready},
	{Canceled, "retry, fanned out", Waiting},
	{Succeeded, "retry of a part", Ready},
	{Succeeded, "retry of a part, fanned out", Waiting},
	{Skipped, "retry of a part", Ready},
	{Skipped, "retry of a part, fanned out", Waiting},
}

// Allowed reports whether table knows a transition from one state to another.
func Allowed(table []Transition, from, to State) bool {
	for _, t := range table {
		if t.From == from && t.To == to {
			return true
		}
	}
	return false
}

// NewID returns a new task or trace id. Ids sort by time (UUID version 7), so
// that rows written together lie together.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// IsID reports whether a text may be the id of a task.
func IsID(s string) bool { return uuid.Validate(s) == nil && len(s) == 36 }

// EventID names a DAG node of a task.
func EventID(taskID, component string) string { return taskID + "_" + component }

// SegmentID names one slice of an event.
func SegmentID(eventID string, order int) string { return eventID + "_" + strconv.Itoa(order) }

// ParseID splits an event or segment id. Order is -1 for an event.
func ParseID(id string) (taskID, component string, order int, err error) {
	parts := strings.Split(id, "_")
	order = -1
	switch len(parts) {
	case 4:
		if parts[3] != twinSuffix[1:] {
			return "", "", 0, fmt.Errorf("%q: bad segment", id)
		}
		fallthrough
	case 3:
		if order, err = strconv.Atoi(parts[2]); err != nil || order < 0 {
			return "", "", 0, fmt.Errorf("%q: bad segment order", id)
		}
	case 2:
	default:
		return "", "", 0, fmt.Errorf("%q is no event or segment id", id)
	}
	return parts[0], parts[1], order, nil
}
