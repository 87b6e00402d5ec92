package task

import (
	"encoding/json"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
)

// maxAnnouncement bounds what a wake-up carries. A larger task is read from
// its row, which costs less than moving it through every controller's queue.
const maxAnnouncement = 256 << 10

// Announcement is the body of a wake-up: the task's row as it was written, so
// that a controller need not read it first. It may be old when it arrives; the
// row's version guards what is decided on it.
type Announcement struct {
	Schema int  `json:"schema"`
	Task   Task `json:"task"`
}

// Announce renders the wake-up of a task; of a large one only its id.
func Announce(t *Task) []byte {
	body, err := json.Marshal(Announcement{Schema: job.Schema, Task: *t})
	if err != nil || len(body) > maxAnnouncement { // an error: parameters that are no JSON, which the row would not take either
		return []byte(t.ID)
	}
	return body
}

// ParseAnnouncement reads a wake-up: a task's row, or its id alone, t nil then.
func ParseAnnouncement(body []byte) (id string, t *Task, err error) {
	if len(body) == 0 {
		return "", nil, errs.New(errs.Invalid, "announcement", "is empty")
	}
	if body[0] != '{' {
		return string(body), nil, nil
	}
	var a Announcement
	if err := json.Unmarshal(body, &a); err != nil {
		return "", nil, errs.As(errs.Invalid, "announcement", err)
	}
	if a.Task.ID == "" {
		return "", nil, errs.New(errs.Invalid, "announcement", "names no task")
	}
	if a.Schema > job.Schema { // of a newer gateway: the row says it in our words
		return a.Task.ID, nil, nil
	}
	return a.Task.ID, &a.Task, nil
}
