package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/mediafn/mediafn/app/bench"
)

type benchCmd struct {
	Control benchControlCmd `cmd:"" help:"Tasks of a function that does nothing, durable, end to end."`
	Slice   benchSliceCmd   `cmd:"" help:"A sliced function beside plain ffmpeg with the same settings."`
	Predict benchPredictCmd `cmd:"" help:"What is predicted of slices, and of the whole, beside what they take."`
}

type benchControlCmd struct {
	Shape     string  `default:"one" enum:"one,six,fan,all" help:"Tasks to send: one component, six in three modules, fanned out to 100 segments, or all."`
	Tasks     int     `help:"Tasks to send. Default: 20000 of one, 6000 of six, 200 of fan."`
	Clients   int     `default:"64" help:"Connections that send them."`
	Rate      float64 `help:"Tasks to offer a second, by the clock. Default: as fast as they are accepted."`
	Callbacks int     `default:"10" help:"One task in so many has a callback; 0 = none."`
	Waiting   int     `help:"Instead, queue so many tasks without a worker and show rate and memory."`
	State     string  `help:"Database, as serve takes it. Default: SQLite in the folder."`
	Queue     string  `help:"Messages, as serve takes them. Default: embedded."`
	Dir       string  `help:"Folder on the disk to measure. Default: the system's temporary folder."`
	Profile   string  `help:"Write a CPU profile to this file."`
	Mutex     string  `help:"Write a profile of contended locks to this file."`
	Allocs    string  `help:"Write a profile of allocations to this file."`
	JSON      bool    `name:"json" help:"Print JSON."`
}

func (b *benchControlCmd) Run(ctx context.Context, std *std) error {
	shapes := []string{b.Shape}
	if b.Shape == "all" {
		shapes = bench.Shapes
	}
	r, err := bench.Control(ctx, bench.ControlOptions{
		Shapes: shapes, Tasks: b.Tasks, Clients: max(b.Clients, 1), Rate: b.Rate, Callbacks: b.Callbacks, Waiting: b.Waiting, Dir: b.Dir,
		State: b.State, Queue: b.Queue, Profiles: bench.Profiles{CPU: b.Profile, Mutex: b.Mutex, Allocs: b.Allocs},
	})
	if err != nil {
		return err
	}
	if b.JSON {
		return json.NewEncoder(std.out).Encode(r)
	}
	fmt.Fprintf(std.out, "%s, %s, all roles in one process, full sync\n", r.State, r.Queue)
	for i := range r.Shapes {
		printShape(std.out, &r.Shapes[i])
	}
	if r.Waiting != nil {
		printWaiting(std.out, r.Waiting)
	}
	return nil
}

func printShape(out io.Writer, r *bench.ShapeReport) {
	how := "as fast as they are accepted"
	if r.OfferedRate > 0 {
		how = fmt.Sprintf("%.0f/s offered by the clock", r.OfferedRate)
	}
	fmt.Fprintf(out, `
%d tasks of %s, %d connections, %s
  accepted   %8.0f/s   %s
  completed  %8.0f/s   %.2f s in all, %.0f components or segments/s, %.2f ms CPU a task, client included
`, r.Tasks, r.What, r.Clients, how, r.AcceptedRate, quantiles(r.Accept), r.CompletedRate, r.DoneSeconds, r.UnitRate, r.CPUPerTaskMs)
	if r.End != nil {
		fmt.Fprintf(out, "  result row             %s\n", quantiles(*r.End))
	}
	if c := r.Callbacks; c != nil {
		fmt.Fprintf(out, "  callbacks  %8d     the last after %.2f s, %d came twice\n", c.Expected, c.DoneSeconds, c.Twice)
		if c.End != nil {
			fmt.Fprintf(out, "                         %s\n", quantiles(*c.End))
		}
	}
	if r.ReferenceAccept != nil {
		fmt.Fprintf(out, `  reference              %s: the row of such a request alone, offered alike
  ratio      %8.2f     accepted ÷ reference, medians
`, quantiles(*r.ReferenceAccept), r.Ratio)
	} else {
		fmt.Fprintf(out, `  reference  %8.0f/s   the rows of such a task alone, same kind of database, same number of callers
  ratio      %8.2f     completed ÷ reference
`, r.ReferenceRate, r.Ratio)
	}
	fmt.Fprintf(out, "  memory     %8.0f MiB peak\n", r.MaxResidentMiB)
}

func quantiles(l bench.Latency) string {
	return fmt.Sprintf("p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, most %.1f ms", l.P50, l.P90, l.P99, l.Max)
}

func printWaiting(out io.Writer, r *bench.WaitingReport) {
	fmt.Fprintf(out, `
%d one-component tasks without a worker, %d connections
     tasks   accepted/s      p50 ms      p99 ms     RSS MiB    heap MiB
         0                                      %11.0f %11.1f
`, r.Tasks, r.Clients, r.ResidentMiB, r.HeapMiB)
	for _, s := range r.Steps {
		fmt.Fprintf(out, "%10d %12.0f %11.1f %11.1f %11.0f %11.1f\n", s.Tasks, s.AcceptedRate, s.Accept.P50, s.Accept.P99, s.ResidentMiB, s.HeapMiB)
	}
	fmt.Fprintf(out, "all decided after %.1f s: RSS %.0f MiB, heap %.1f MiB; peak %.0f MiB\n",
		r.DecidedSeconds, r.After.ResidentMiB, r.After.HeapMiB, r.MaxResidentMiB)
}
