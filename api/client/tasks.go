package client

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/core/task/chart"
)

// Accepted answers Submit.
type Accepted struct {
	TaskID string
	MsgID  string
	// Callback is set when the task ended while it was waited for, whether it
	// succeeded or not.
	Callback *api.Callback
	// Response is set otherwise.
	Response *api.Response
}

// Submit hands a task over. With wait > 0 the server answers when the task has
// ended, or when so much time is over; whole seconds count.
func (c *Client) Submit(ctx context.Context, s *api.Submit, wait time.Duration) (*Accepted, error) {
	body, size, err := encoded(s)
	if err != nil {
		return nil, err
	}
	rq := call{method: http.MethodPost, path: "/v1/tasks", body: body, size: size, header: http.Header{"Content-Type": {"application/json"}}}
	if wait > 0 {
		rq.header.Set("Prefer", "wait="+strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	var a Accepted
	_, err = c.json(ctx, rq, func(status int) any {
		if status == http.StatusOK {
			a.Callback = &api.Callback{}
			return a.Callback
		}
		a.Response = &api.Response{}
		return a.Response
	})
	if err != nil {
		return nil, err
	}
	if a.Callback != nil {
		a.TaskID, a.MsgID = a.Callback.TaskID, a.Callback.MsgID
	} else {
		a.TaskID, a.MsgID = a.Response.TaskID, a.Response.MsgID
	}
	return &a, nil
}

// Filter narrows a list of tasks; zero fields do not.
type Filter struct {
	State  task.State
	Cmd    string
	MsgID  string
	Cursor string // Page.Next of the page before
	Limit  int    // tasks of a page, 1–1000; 0 = 50
}

// Tasks lists tasks, newest first, a page at a time.
func (c *Client) Tasks(ctx context.Context, f Filter) (*api.Page, error) {
	var page api.Page
	return &page, c.get(ctx, call{method: http.MethodGet, path: "/v1/tasks", query: f.query()}, &page)
}

// Task looks at one task. NotFound: there is none of that id.
func (c *Client) Task(ctx context.Context, id string) (*api.Task, error) {
	return c.task(ctx, http.MethodGet, escape("/v1/tasks/%s", id))
}

// Cancel asks for a task to stop; it has stopped when its state is final.
func (c *Client) Cancel(ctx context.Context, id string) (*api.Task, error) {
	return c.task(ctx, http.MethodDelete, escape("/v1/tasks/%s", id))
}

// Retry starts a new generation of a failed or canceled task. Conflict: it is
// neither.
func (c *Client) Retry(ctx context.Context, id string) (*api.Task, error) {
	return c.task(ctx, http.MethodPost, escape("/v1/tasks/%s/retry", id))
}

// RetryPart is Retry of one component, or one slice of it, only.
func (c *Client) RetryPart(ctx context.Context, id string, part api.Retry) (*api.Task, error) {
	return c.change(ctx, http.MethodPost, escape("/v1/tasks/%s/retry", id), part)
}

// Prioritize changes the priority of what still waits, 0–9. Conflict: the task
// is over.
func (c *Client) Prioritize(ctx context.Context, id string, priority int) (*api.Task, error) {
	return c.change(ctx, http.MethodPatch, escape("/v1/tasks/%s", id), api.Patch{Priority: &priority})
}

func (c *Client) change(ctx context.Context, method, path string, v any) (*api.Task, error) {
	body, size, err := encoded(v)
	if err != nil {
		return nil, err
	}
	var t api.Task
	rq := call{method: method, path: path, body: body, size: size, header: http.Header{"Content-Type": {"application/json"}}}
	return &t, c.get(ctx, rq, &t)
}

// Graph is a task's flow as it stands. Of running work it knows how far it is,
// if its worker says so within a moment.
func (c *Client) Graph(ctx context.Context, id string) (*chart.Graph, error) {
	var g chart.Graph
	return &g, c.get(ctx, call{method: http.MethodGet, path: escape("/v1/tasks/%s/graph", id)}, &g)
}

func (c *Client) task(ctx context.Context, method, path string) (*api.Task, error) {
	var t api.Task
	return &t, c.get(ctx, call{method: method, path: path}, &t)
}

// History is the record of a task: attempts, decisions, webhook tries.
func (c *Client) History(ctx context.Context, id string) (*api.History, error) {
	var h api.History
	return &h, c.get(ctx, call{method: http.MethodGet, path: escape("/v1/tasks/%s/history", id)}, &h)
}

// Functions lists the server's functions.
func (c *Client) Functions(ctx context.Context) ([]api.Function, error) {
	var all struct {
		Functions []api.Function `json:"functions"`
	}
	err := c.get(ctx, call{method: http.MethodGet, path: "/v1/functions"}, &all)
	return all.Functions, err
}

// Function describes one function. NotFound: there is none of that name.
func (c *Client) Function(ctx context.Context, name string) (*api.Function, error) {
	var f api.Function
	return &f, c.get(ctx, call{method: http.MethodGet, path: escape("/v1/functions/%s", name)}, &f)
}

// Flow is a flow the server knows.
type Flow struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Summary string `json:"summary"`
}

// Flows lists the server's flows.
func (c *Client) Flows(ctx context.Context) ([]Flow, error) {
	var all struct {
		Flows []Flow `json:"flows"`
	}
	err := c.get(ctx, call{method: http.MethodGet, path: "/v1/flows"}, &all)
	return all.Flows, err
}

// Plan says what would be decided for a request now, and predicts it for the
// numbers of cores it asks about. Nothing is carried out.
func (c *Client) Plan(ctx context.Context, p *api.PlanRequest) (*api.Plan, error) {
	body, size, err := encoded(p)
	if err != nil {
		return nil, err
	}
	var out api.Plan
	_, err = c.json(ctx, call{method: http.MethodPost, path: "/v1/plan", body: body, size: size,
		header: http.Header{"Content-Type": {"application/json"}}}, func(int) any { return &out })
	return &out, err
}
