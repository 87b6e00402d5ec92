package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/mediafn/mediafn/api"
)

// The calls below take an administrator's key; others are Denied.

// Pools shows what waits in each pool, for whom, and why. Transient: no
// controller that matches work answers now.
func (c *Client) Pools(ctx context.Context) (*api.Pools, error) {
	var v api.Pools
	return &v, c.get(ctx, call{method: http.MethodGet, path: "/v1/admin/pools"}, &v)
}

// PausePool keeps a pool's work from being granted, until it is resumed.
// NotFound: there is no such pool.
func (c *Client) PausePool(ctx context.Context, pool string) (*api.PoolSwitch, error) {
	var v api.PoolSwitch
	return &v, c.get(ctx, call{method: http.MethodPost, path: escape("/v1/admin/pools/%s/pause", pool)}, &v)
}

// ResumePool is the opposite of PausePool.
func (c *Client) ResumePool(ctx context.Context, pool string) (*api.PoolSwitch, error) {
	var v api.PoolSwitch
	return &v, c.get(ctx, call{method: http.MethodPost, path: escape("/v1/admin/pools/%s/resume", pool)}, &v)
}

// Workers shows the workers that offer themselves.
func (c *Client) Workers(ctx context.Context) (*api.Workers, error) {
	var v api.Workers
	return &v, c.get(ctx, call{method: http.MethodGet, path: "/v1/admin/workers"}, &v)
}

// Drain keeps work from a worker; what it runs it finishes. NotFound: there is
// no worker of that name.
func (c *Client) Drain(ctx context.Context, worker string) (*api.WorkerSwitch, error) {
	var v api.WorkerSwitch
	return &v, c.get(ctx, call{method: http.MethodPost, path: escape("/v1/admin/workers/%s/drain", worker)}, &v)
}

// Undrain is the opposite of Drain.
func (c *Client) Undrain(ctx context.Context, worker string) (*api.WorkerSwitch, error) {
	var v api.WorkerSwitch
	return &v, c.get(ctx, call{method: http.MethodPost, path: escape("/v1/admin/workers/%s/undrain", worker)}, &v)
}

// Controllers shows who is there and who has which duty.
func (c *Client) Controllers(ctx context.Context) (*api.Controllers, error) {
	var v api.Controllers
	return &v, c.get(ctx, call{method: http.MethodGet, path: "/v1/admin/controllers"}, &v)
}

// Prices shows what functions were learned to take.
func (c *Client) Prices(ctx context.Context) (*api.Prices, error) {
	var v api.Prices
	return &v, c.get(ctx, call{method: http.MethodGet, path: "/v1/admin/prices"}, &v)
}

// AdminFilter narrows a list of all tenants' tasks.
type AdminFilter struct {
	Filter
	Tenant string
	Stuck  bool // only tasks that should have moved and have not
}

// AllTasks lists tasks of all tenants, newest first, a page at a time.
func (c *Client) AllTasks(ctx context.Context, f AdminFilter) (*api.Page, error) {
	q := f.query()
	if f.Tenant != "" {
		q.Set("tenant", f.Tenant)
	}
	if f.Stuck {
		q.Set("stuck", "true")
	}
	var page api.Page
	return &page, c.get(ctx, call{method: http.MethodGet, path: "/v1/admin/tasks", query: q}, &page)
}

func (f *Filter) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"state": string(f.State), "cmd": f.Cmd, "msg_id": f.MsgID, "cursor": f.Cursor} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Limit != 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	return q
}
