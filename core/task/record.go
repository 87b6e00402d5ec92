package task

import (
	"time"

	"github.com/mediafn/mediafn/core/fn"
)

// Trace is one ended attempt.
type Trace struct {
	ID        string    `json:"trace_id"`
	WorkID    string    `json:"work_id"`
	TaskID    string    `json:"-"`
	Attempt   int       `json:"attempt"`
	Worker    string    `json:"worker"`
	Outcome   string    `json:"outcome"` // succeeded, failed, lost, returned, canceled
	Error     *Fault    `json:"error,omitempty"`
	Usage     fn.Usage  `json:"usage"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
}

// Note is one line of a task's history.
type Note struct {
	TaskID string    `json:"-"`
	WorkID string    `json:"work_id,omitempty"`
	Kind   string    `json:"kind"` // retry, lost, cancel, fallback, reaper, …
	Detail string    `json:"detail"`
	At     time.Time `json:"at"`
}

// Delivery is one try to deliver a webhook.
type Delivery struct {
	TaskID    string        `json:"-"`
	WebhookID string        `json:"webhook_id"`
	URL       string        `json:"url"`
	Attempt   int           `json:"attempt"`
	Status    int           `json:"status,omitempty"` // HTTP; 0 = no answer
	Error     string        `json:"error,omitempty"`
	At        time.Time     `json:"at"`
	Took      time.Duration `json:"took"`
}
