package job

import (
	"time"

	"github.com/mediafn/mediafn/core/fn"
)

// Status is what the matcher knows: who offers, what waits, and why it waits.
// It answers a request on SubjectStatus, whose body is empty.
type Status struct {
	Schema  int              `json:"schema"`
	Matcher string           `json:"matcher"` // the controller that answers
	At      time.Time        `json:"at"`
	Workers []WorkerStatus   `json:"workers"`
	Pools   []PoolStatus     `json:"pools"`
	Tenants []TenantStatus   `json:"tenants"`
	Reasons []WaitingBecause `json:"reasons"`
}

// WorkerStatus is a worker as its last offer and its grants show it.
type WorkerStatus struct {
	Name      string    `json:"name"`
	Pools     []fn.Pool `json:"pools"`
	Sizes     []string  `json:"sizes,omitempty"` // size classes it takes; empty = all
	Functions int       `json:"functions"`       // how many it can run
	Cores     int       `json:"cores"`           // free
	Memory    int64     `json:"memory"`          // bytes free
	Running   int       `json:"running"`         // grants under way
	Load      Load      `json:"load"`
	Draining  bool      `json:"draining"`
	SeenAt    time.Time `json:"seen_at"`
}

// PoolStatus is a pool's queue.
type PoolStatus struct {
	Pool    fn.Pool `json:"pool"`
	Paused  bool    `json:"paused"`
	Ready   int     `json:"ready"`
	Running int     `json:"running"`
	// OldestSeconds is how long the oldest ready work has waited.
	OldestSeconds float64 `json:"oldest_seconds"`
}

// TenantStatus is a tenant's share.
type TenantStatus struct {
	Name    string  `json:"name"`
	Ready   int     `json:"ready"`
	Running int     `json:"running"`
	Limit   int     `json:"limit,omitempty"` // running work at the most; 0 = no limit
	Weight  float64 `json:"weight"`
}

// WaitingBecause counts ready work that was not granted for one reason.
type WaitingBecause struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}
