package show

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/task"
)

// moment is one line of a time line.
type moment struct {
	at   time.Time
	part string
	what string
}

// History prints attempts, decisions and webhook tries of a task as one time
// line, oldest first. The second column is the time since it was accepted.
func History(w io.Writer, t *api.Task, h *api.History) {
	var line []moment
	add := func(at time.Time, work, format string, args ...any) {
		line = append(line, moment{at, part(work), strings.TrimRight(fmt.Sprintf(format, args...), " :")})
	}
	add(t.CreatedAt, "", "accepted: %s, priority %d", t.Cmd, t.Priority)
	ended := map[string]bool{}
	for i := range h.Traces {
		x := &h.Traces[i]
		ended[fmt.Sprint(x.WorkID, x.Attempt)] = true
		add(x.StartedAt, x.WorkID, "attempt %d started on %s", x.Attempt, x.Worker)
		add(x.EndedAt, x.WorkID, "attempt %d %s after %s: %s", x.Attempt, x.Outcome, seconds(x.EndedAt.Sub(x.StartedAt)), fault(x.Error))
	}
	for i := range t.Work {
		x := &t.Work[i]
		if x.Usage.Reused > 0 && x.EndedAt != nil {
			add(*x.EndedAt, x.ID, "reused: %d of its files were computed before", x.Usage.Reused)
		}
		if x.State == task.Running && x.StartedAt != nil && !ended[fmt.Sprint(x.ID, x.Attempt)] {
			add(*x.StartedAt, x.ID, "attempt %d started on %s", x.Attempt, x.Worker)
		}
	}
	for _, n := range h.Notes {
		add(n.At, n.WorkID, "%s: %s", n.Kind, n.Detail)
	}
	for _, d := range h.Deliveries {
		answer := d.Error
		if d.Status != 0 {
			answer = fmt.Sprintf("%d %s", d.Status, d.Error)
		}
		add(d.At, "", "webhook try %d to %s: %s", d.Attempt, d.URL, answer)
	}
	if t.EndedAt != nil {
		add(*t.EndedAt, "", "%s: %s", t.State, fault(t.Error))
	}
	slices.SortStableFunc(line, func(a, b moment) int { return a.at.Compare(b.at) })
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer tw.Flush()
	fmt.Fprintln(tw, "\nTIME\tSINCE\tPART\tWHAT")
	for _, m := range line {
		fmt.Fprintf(tw, "%s\t%.3f s\t%s\t%s\n", m.at.Local().Format("2006-01-02 15:04:05.000"), m.at.Sub(t.CreatedAt).Seconds(), m.part, m.what)
	}
}

// part names an event or a segment without its task.
func part(work string) string {
	_, component, order, err := task.ParseID(work)
	switch {
	case err != nil:
		return ""
	case order >= 0:
		return fmt.Sprintf("%s slice %d", component, order+1)
	}
	return component
}
