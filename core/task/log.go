package task

import "log/slog"

// Ids names work in a line of a log: its task, its event, its segment if it is
// one, and the attempt (trace) if that is not empty. workID may be a task's.
func Ids(workID, trace string) slog.Attr {
	taskID, component, order, err := ParseID(workID)
	if err != nil {
		taskID = workID
	}
	attrs := []any{slog.String("task", taskID)}
	if component != "" {
		attrs = append(attrs, slog.String("event", EventID(taskID, component)))
	}
	if component != "" && order >= 0 {
		attrs = append(attrs, slog.Int("segment", order))
	}
	if trace != "" {
		attrs = append(attrs, slog.String("trace", trace))
	}
	return slog.Group("", attrs...) // a group without a name is no group but its members
}
