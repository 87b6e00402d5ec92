package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/app/cli/progress"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
)

type tasksCmd struct {
	serverFlags
	State string `name:"state" env:"-" enum:",queued,running,succeeded,failed,canceled" default:"" help:"Only tasks in this state: queued, running, succeeded, failed, canceled."`
	Cmd   string `name:"cmd" env:"-" help:"Only tasks of this function or flow."`
	MsgID string `name:"msg-id" env:"-" help:"Only the task of this message."`
	Limit int    `name:"limit" short:"n" env:"-" default:"50" help:"Tasks at the most."`
	JSON  bool   `name:"json" env:"-" help:"Print JSON."`
}

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
	f := client.Filter{State: task.State(t.State), Cmd: t.Cmd, MsgID: t.MsgID}
	for len(all) < t.Limit {
		f.Limit = min(t.Limit-len(all), 1000)
		page, err := c.Tasks(ctx, f)
		if err != nil {
			return err
		}
		all = append(all, page.Tasks...)
		if f.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	if t.JSON {
		return printJSON(std.out, map[string]any{"tasks": all, "next": f.Cursor})
	}
	tw := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "TASK\tCMD\tSTATE\tSTATUS\tCREATED\tTOOK\tERROR")
	for i := range all {
		x := &all[i]
		fault := ""
		if x.Error != nil {
			fault = x.Error.Kind.String() + ": " + cut(progress.FirstLine(x.Error.Message), 60)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.TaskID, x.Cmd, x.State, x.Status, clock(&x.CreatedAt), took(&x.CreatedAt, x.EndedAt), fault)
	}
	return errs.As(errs.Internal, "output", tw.Flush())
}

type taskCmd struct {
	serverFlags
	ID      string `arg:"" name:"id" help:"Id of the task."`
	History bool   `name:"history" env:"-" help:"Attempts, decisions and webhook tries too."`
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
		return printJSON(std.out, struct {
			*api.Task
			History *api.History `json:"history,omitempty"`
		}{shown, past})
	}
	printTask(std.out, shown)
	if past != nil {
		printHistory(std.out, past)
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

func printTask(w io.Writer, t *api.Task) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "task\t%s\n", t.TaskID)
	fmt.Fprintf(tw, "msg_id\t%s\n", t.MsgID)
	fmt.Fprintf(tw, "cmd\t%s (flow %s, version %s)\n", t.Cmd, t.Flow, t.FlowVer)
	fmt.Fprintf(tw, "state\t%s%s\n", t.State, progress.Comma(t.Status))
	fmt.Fprintf(tw, "priority\t%d\n", t.Priority)
	if t.Generation > 0 {
		fmt.Fprintf(tw, "generation\t%d\n", t.Generation)
	}
	fmt.Fprintf(tw, "created\t%s%s\n", clock(&t.CreatedAt), progress.Comma(took(&t.CreatedAt, t.EndedAt)))
	fmt.Fprintf(tw, "slots\tcall %s, return %s\n", t.CallSlots, t.RetSlots)
	if len(t.Params) > 0 {
		fmt.Fprintf(tw, "params\t%s\n", t.Params)
	}
	for _, in := range t.Inputs {
		fmt.Fprintf(tw, "input\t%s\n", in)
	}
	if t.Error != nil {
		fmt.Fprintf(tw, "error\t%s: %s\n", t.Error.Kind, t.Error.Message)
	}
	_ = tw.Flush() // as all prints to a person: nothing is left to say
	if t.Error != nil && t.Error.Tail != "" {
		fmt.Fprintln(w, "  "+strings.ReplaceAll(t.Error.Tail, "\n", "\n  "))
	}
	if len(t.Work) > 0 {
		printWork(w, t.Work)
	}
	if t.State.Final() {
		fmt.Fprintln(w)
		printResult(w, callbackOf(t, nil), nil)
	}
}

func printWork(w io.Writer, work []api.Work) {
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "COMPONENT\tFUNCTION\tSTATE\tATTEMPT\tFAILED\tLOST\tTOOK\tCPU\tERROR")
	for i := range work {
		x := &work[i]
		name, fault := x.Component, ""
		if x.Segment != nil {
			name = fmt.Sprintf("  slice %d", *x.Segment+1)
		}
		if x.Error != nil {
			fault = x.Error.Kind.String() + ": " + cut(progress.FirstLine(x.Error.Message), 60)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%.2f s\t%s\n", name, x.Fn, x.State, x.Attempt, x.Failures, x.Losses,
			took(x.StartedAt, x.EndedAt), x.Usage.CPUSeconds, fault)
	}
	_ = tw.Flush()
}

func printHistory(w io.Writer, h *api.History) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer tw.Flush()
	fmt.Fprintln(tw, "\nATTEMPT OF\tNUMBER\tWORKER\tOUTCOME\tSTARTED\tTOOK\tERROR")
	for i := range h.Traces {
		x := &h.Traces[i]
		fault := ""
		if x.Error != nil {
			fault = x.Error.Kind.String() + ": " + cut(progress.FirstLine(x.Error.Message), 60)
		}
		fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", x.WorkID, x.Attempt, x.Worker, x.Outcome, clock(&x.StartedAt), took(&x.StartedAt, &x.EndedAt), fault)
	}
	for _, n := range h.Notes {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", n.Kind, clock(&n.At), n.WorkID, n.Detail)
	}
	for _, d := range h.Deliveries {
		fmt.Fprintf(tw, "webhook\t%d\t%s\t%d %s\t%s\t%s\n", d.Attempt, d.URL, d.Status, d.Error, clock(&d.At), seconds(d.Took))
	}
}

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
	ID   string `arg:"" name:"id" help:"Id of the task."`
	JSON bool   `name:"json" env:"-" help:"Print the task as JSON."`
}

// Run starts a failed or canceled task again.
func (r *retryCmd) Run(ctx context.Context, std *std) error {
	return changeTask(std, &r.serverFlags, r.JSON, func(cl *client.Client) (*api.Task, error) { return cl.Retry(ctx, r.ID) })
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
		return printJSON(std.out, t)
	}
	state := string(t.State)
	if t.Ending != "" && !t.State.Final() {
		state += ", will be " + string(t.Ending)
	}
	fmt.Fprintf(std.out, "task %s: %s\n", t.TaskID, state)
	return nil
}

func clock(t *time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// took is a length of time, empty if it has not ended.
func took(from, to *time.Time) string {
	if from == nil || to == nil {
		return ""
	}
	return seconds(to.Sub(*from))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// cut shortens a text to n characters.
func cut(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}
