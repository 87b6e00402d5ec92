package show

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/app/cli/progress"
	"github.com/mediafn/mediafn/core/task"
)

// Tasks prints a list, with its tenants if it is of several.
func Tasks(w io.Writer, all []api.Task, tenants bool) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer tw.Flush()
	column := func(text string) string {
		if !tenants {
			return ""
		}
		return text + "\t"
	}
	fmt.Fprintln(tw, "TASK\t"+column("TENANT")+"CMD\tSTATE\tSTATUS\tCREATED\tTOOK\tERROR")
	for i := range all {
		x := &all[i]
		fmt.Fprintf(tw, "%s\t%s%s\t%s\t%s\t%s\t%s\t%s\n", x.TaskID, column(x.Tenant), x.Cmd, x.State, x.Status, clock(&x.CreatedAt),
			took(&x.CreatedAt, x.EndedAt), fault(x.Error))
	}
}

// fault is an error in one line.
func fault(f *task.Fault) string {
	if f == nil {
		return ""
	}
	return f.Kind.String() + ": " + cut(progress.FirstLine(f.Message), 60)
}

// Task prints all of a task.
func Task(w io.Writer, t *api.Task) {
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
		workTable(w, t.Work)
	}
	if t.State.Final() {
		fmt.Fprintln(w)
		Result(w, CallbackOf(t, nil), nil)
	}
}

func workTable(w io.Writer, work []api.Work) {
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "COMPONENT\tFUNCTION\tSTATE\tATTEMPT\tFAILED\tLOST\tTOOK\tCPU\tERROR")
	for i := range work {
		x := &work[i]
		name := x.Component
		if x.Segment != nil {
			name = fmt.Sprintf("  slice %d", *x.Segment+1)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%.2f s\t%s\n", name, x.Fn, x.State, x.Attempt, x.Failures, x.Losses,
			took(x.StartedAt, x.EndedAt), x.Usage.CPUSeconds, fault(x.Error))
	}
	_ = tw.Flush()
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
