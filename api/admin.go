package api

import (
	"encoding/json"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
)

// Retry is the optional body of POST /v1/tasks/{id}/retry.
type Retry struct {
	Component string `json:"component,omitempty"` // only this component and what follows from it
	Segment   *int   `json:"segment,omitempty"`   // only this slice of it, counted from 0
}

// Patch is the body of PATCH /v1/tasks/{id}.
type Patch struct {
	Priority *int `json:"priority"` // 0–9, 9 most urgent
}

// OutsideAnswer is what an outside service posts to a callback URL.
type OutsideAnswer struct {
	MsgID   string          `json:"msg_id,omitempty"` // as published; the URL says whose answer it is
	Success *bool           `json:"success"`
	Code    string          `json:"code"`    // "ok", or the kind of the error
	Message string          `json:"message"` // for a person
	Facts   json.RawMessage `json:"facts,omitempty"`
	Outputs []CallbackFile  `json:"output_files,omitempty"`
}

// Pools answers GET /v1/admin/pools.
type Pools struct {
	Matcher string               `json:"matcher"` // the controller that said so
	At      time.Time            `json:"at"`
	Pools   []job.PoolStatus     `json:"pools"`
	Tenants []job.TenantStatus   `json:"tenants"`
	Reasons []job.WaitingBecause `json:"reasons"`
}

// Workers answers GET /v1/admin/workers.
type Workers struct {
	Matcher string             `json:"matcher"`
	At      time.Time          `json:"at"`
	Workers []job.WorkerStatus `json:"workers"`
}

// PoolSwitch answers pause and resume.
type PoolSwitch struct {
	Pool   fn.Pool `json:"pool"`
	Paused bool    `json:"paused"`
}

// WorkerSwitch answers drain and undrain.
type WorkerSwitch struct {
	Name     string `json:"name"`
	Draining bool   `json:"draining"`
}
