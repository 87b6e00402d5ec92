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
	// Fresh names outputs ("720p", "slice.mp4"; "all") that are computed though
	// they are kept from before.
	Fresh []string `json:"fresh,omitempty"`
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

// Controllers answers GET /v1/admin/controllers.
type Controllers struct {
	Controllers []Member `json:"controllers"` // those that live
	Duties      []Duty   `json:"duties"`      // what one process at a time does
}

// Member is a controller that lives.
type Member struct {
	Name  string    `json:"name"`
	Until time.Time `json:"until"` // taken for dead then, unless it speaks up before
}

// Duty is something that one process at a time does.
type Duty struct {
	Name   string    `json:"name"` // match, reap, sweep, relay
	Holder string    `json:"holder"`
	Epoch  int64     `json:"epoch"` // grows whenever the holder changes
	Until  time.Time `json:"until"`
}

// Flows answers GET /v1/admin/flows and GET /v1/admin/flows/{name}.
type Flows struct {
	Flows []Flow `json:"flows"`
}

// Flow is one version of a flow. The times are absent for flows of the build or
// a folder that were never put over the API.
type Flow struct {
	Name        string     `json:"name"`
	Version     string     `json:"version"`
	Summary     string     `json:"summary,omitempty"`
	Author      string     `json:"author,omitempty"` // tenant that activated it
	Current     bool       `json:"current"`          // new tasks get it
	CreatedAt   *time.Time `json:"created_at,omitempty"`
	ActivatedAt *time.Time `json:"activated_at,omitempty"`
	RetiredAt   *time.Time `json:"retired_at,omitempty"`
	Warnings    []string   `json:"warnings,omitempty"`
}

// Prices answers GET /v1/admin/prices.
type Prices struct {
	Prices []Price `json:"prices"`
}

// Price is what a function's attempts took on media of one class, on average.
type Price struct {
	Fn       string    `json:"fn"`    // name@version
	Class    string    `json:"class"` // resolution of the primary input and the function's own class: "1080p h264 medium"
	Attempts int64     `json:"n"`     // the older they are the less they count
	Declared float64   `json:"declared"`
	Actual   float64   `json:"actual"` // CPU seconds an attempt
	Factor   float64   `json:"factor"` // by which declared CPU seconds are corrected now
	Memory   int64     `json:"memory"` // bytes, the most seen
	At       time.Time `json:"at"`
}
