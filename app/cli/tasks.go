package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/app/cli/progress"
	"github.com/mediafn/mediafn/app/cli/show"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
)

type tasksCmd struct {
	serverFlags
	State string `name:"state" env:"-" enum:",queued,running,succeeded,failed,canceled" default:"" help:"Only tasks in this state: queued, running, succeeded, failed, canceled."`
	Cmd   string `name:"cmd" env:"-" help:"Only tasks of this function or flow."`
	MsgID string `name:"msg-id" env:"-" help:"Only the task of this message."`
	All   bool   `name:"all" env:"-" help:"Tasks of all tenants, for administrators."`
	Of    string `name:"tenant" env:"-" help:"Only tasks of this tenant, for administrators."`
	Stuck bool   `name:"stuck" env:"-" help:"Only tasks that should have moved and have not, for administrators."`
	Limit int    `name:"limit" short:"n" env:"-" default:"50" help:"Tasks at the most."`
	JSON  bool   `name:"json" env:"-" help:"Print JSON."`
}

// admin reports whether an administrator's list is asked for.
func (t *tasksCmd) admin() bool { return t.All || t.Of != "" || t.Stuck }

// Run lists tasks, newest first.
func (t *tasksCmd) Run(ctx context.Context, std *std) error {
	if t.Limit < 1 {
		return errs.InField("limit", "must be at least 1")
	}
	c, err := t.client()
	if err != nil {
		return err
	}
	all := []api.Task{}
	f := client.AdminFilter{Filter: client.Filter{State: task.State(t.State), Cmd: t.Cmd, MsgID: t.MsgID}, Tenant: t.Of, Stuck: t.Stuck}
	list := func() (*api.Page, error) { return c.Tasks(ctx, f.Filter) }
	if t.admin() {
		list = func() (*api.Page, error) { return c.AllTasks(ctx, f) }
	}
	for len(all) < t.Limit {
		f.Limit = min(t.Limit-len(all), 1000)
		page, err := list()
		if err != nil {
			return err
		}
		all = append(all, page.Tasks...)
		if f.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	if t.JSON {
		return show.JSON(std.out, map[string]any{"tasks": all, "next": f.Cursor})
	}
	show.Tasks(std.out, all, t.admin())
	return nil
}

type taskCmd struct {
	serverFlags
	ID      string `arg:"" name:"id" help:"Id of the task."`
	History bool   `name:"history" env:"-" help:"Attempts, decisions and webhook tries too, as a time line."`
	Graph   bool   `name:"graph" env:"-" help:"Its flow as it stands, instead."`
	Format  string `name:"format" env:"-" enum:"text,mermaid,json" default:"text" help:"Of --graph: text, mermaid or json."`
	Events  bool   `name:"events" env:"-" help:"Follow it until it has ended."`
	JSON    bool   `name:"json" env:"-" help:"Print JSON; with --events one object a line."`
}

// Run shows one task.
func (t *taskCmd) Run(ctx context.Context, std *std) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	if t.Events {
		var v progress.View = &jsonView{json.NewEncoder(std.out)}
		if !t.JSON {
			v = progress.New(std.out, false)
		}
		if _, err := progress.Follow(ctx, c, t.ID, v); err != nil {
			return err
		}
		if t.JSON {
			return nil // the last line was the task
		}
	}
	if t.Graph {
		return t.graph(ctx, c, std)
	}
	shown, err := c.Task(ctx, t.ID)
	if err != nil {
		return err
	}
	var past *api.History
	if t.History {
		if past, err = c.History(ctx, t.ID); err != nil {
			return err
		}
	}
	if t.JSON {
		return show.JSON(std.out, struct {
			*api.Task
			History *api.History `json:"history,omitempty"`
		}{shown, past})
	}
	show.Task(std.out, shown)
	if past != nil {
		show.History(std.out, shown, past)
	}
	return nil
}

func (t *taskCmd) graph(ctx context.Context, c *client.Client, std *std) error {
	g, err := c.Graph(ctx, t.ID)
	switch {
	case err != nil:
		return err
	case t.JSON || t.Format == "json":
		return show.JSON(std.out, g)
	case t.Format == "mermaid":
		show.Mermaid(std.out, g)
	default:
		show.Graph(std.out, g)
	}
	return nil
}

// jsonView prints every event as one line of JSON.
type jsonView struct{ enc *json.Encoder }

func (v *jsonView) Show(e client.Event) {
	if e.Task != nil {
		_ = v.enc.Encode(map[string]any{"type": e.Type, "task": e.Task}) // a closed pipe ends the process anyway
		return
	}
	_ = v.enc.Encode(e.Change)
}

func (v *jsonView) Close() {}

type cancelCmd struct {
	serverFlags
	ID   string `arg:"" name:"id" help:"Id of the task."`
	JSON bool   `name:"json" env:"-" help:"Print the task as JSON."`
}

// Run asks for a task to stop.
func (c *cancelCmd) Run(ctx context.Context, std *std) error {
	return changeTask(std, &c.serverFlags, c.JSON, func(cl *client.Client) (*api.Task, error) { return cl.Cancel(ctx, c.ID) })
}

type retryCmd struct {
	serverFlags
	ID        string   `arg:"" name:"id" help:"Id of the task."`
	Component string   `name:"component" env:"-" help:"Only this component, and what follows from it."`
	Segment   *int     `name:"segment" env:"-" help:"Only this slice of the component, counted from 0."`
	Fresh     []string `name:"fresh" env:"-" help:"Outputs to compute though they are kept from before: names as 720p, or all."`
	JSON      bool     `name:"json" env:"-" help:"Print the task as JSON."`
}

// Run starts a failed or canceled task again.
func (r *retryCmd) Run(ctx context.Context, std *std) error {
	return changeTask(std, &r.serverFlags, r.JSON, func(cl *client.Client) (*api.Task, error) {
		return cl.RetryPart(ctx, r.ID, api.Retry{Component: r.Component, Segment: r.Segment, Fresh: r.Fresh})
	})
}

type priorityCmd struct {
	serverFlags
	ID       string `arg:"" name:"id" help:"Id of the task."`
	Priority int    `arg:"" name:"priority" help:"0-9, 9 most urgent."`
	JSON     bool   `name:"json" env:"-" help:"Print the task as JSON."`
}

// Run changes how urgent a task is, as far as it still waits.
func (p *priorityCmd) Run(ctx context.Context, std *std) error {
	return changeTask(std, &p.serverFlags, p.JSON, func(cl *client.Client) (*api.Task, error) { return cl.Prioritize(ctx, p.ID, p.Priority) })
}

func changeTask(std *std, s *serverFlags, asJSON bool, do func(*client.Client) (*api.Task, error)) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	t, err := do(c)
	if err != nil {
		return err
	}
	if asJSON {
		return show.JSON(std.out, t)
	}
	state := string(t.State)
	if t.Ending != "" && !t.State.Final() {
		state += ", will be " + string(t.Ending)
	}
	fmt.Fprintf(std.out, "task %s: %s\n", t.TaskID, state)
	return nil
}
