package show

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mediafn/mediafn/api"
)

// Pools prints what waits, for whom, and why.
func Pools(w io.Writer, p *api.Pools) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer tw.Flush()
	fmt.Fprintln(tw, "POOL\tSTATE\tREADY\tRUNNING\tOLDEST WAITS")
	for _, x := range p.Pools {
		state, oldest := "open", ""
		if x.Paused {
			state = "paused"
		}
		if x.Ready > 0 {
			oldest = fmt.Sprintf("%.1f s", x.OldestSeconds)
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%s\n", x.Pool, state, x.Ready, x.Running, oldest)
	}
	_ = tw.Flush() // columns begin anew
	if len(p.Tenants) > 0 {
		fmt.Fprintln(tw, "\nTENANT\tREADY\tRUNNING\tLIMIT\tWEIGHT")
	}
	for _, x := range p.Tenants {
		limit := "none"
		if x.Limit > 0 {
			limit = fmt.Sprint(x.Limit)
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%s\t%g\n", x.Name, x.Ready, x.Running, limit, x.Weight)
	}
	_ = tw.Flush()
	if len(p.Reasons) > 0 {
		fmt.Fprintln(tw, "\nWAITS BECAUSE\tWORK")
	}
	for _, x := range p.Reasons {
		fmt.Fprintf(tw, "%s\t%d\n", x.Reason, x.Count)
	}
}

// Workers prints what each worker can carry and is under.
func Workers(w io.Writer, all *api.Workers) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer tw.Flush()
	fmt.Fprintln(tw, "WORKER\tSTATE\tPOOLS\tSIZES\tRUNNING\tFREE CORES\tFREE MEMORY\tBUSY\tOUTSIDE\tPRESSURE\tSEEN")
	for i := range all.Workers {
		x := &all.Workers[i]
		state, sizes := "open", "all"
		if x.Draining {
			state = "draining"
		}
		if len(x.Sizes) > 0 {
			sizes = strings.Join(x.Sizes, ",")
		}
		var pools []string
		for _, p := range x.Pools {
			pools = append(pools, string(p))
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%.1f of %g\t%.1f\t%.0f %%\t%s ago\n", x.Name, state, strings.Join(pools, ","), sizes, x.Running,
			x.Cores, Bytes(x.Memory), x.Load.Busy, x.Load.Cores, x.Load.Outside, 100*x.Load.Pressure, all.At.Sub(x.SeenAt).Round(100*time.Millisecond))
	}
}

// Controllers prints who is there and who has which duty.
func Controllers(w io.Writer, c *api.Controllers) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer tw.Flush()
	duties := map[string][]string{}
	for _, d := range c.Duties {
		duties[d.Holder] = append(duties[d.Holder], fmt.Sprintf("%s (%d)", d.Name, d.Epoch))
	}
	fmt.Fprintln(tw, "PROCESS\tROLE\tDUTIES (EPOCH)\tUNTIL")
	for _, m := range c.Controllers {
		fmt.Fprintf(tw, "%s\tcontroller\t%s\t%s\n", m.Name, strings.Join(duties[m.Name], ", "), clock(&m.Until))
		delete(duties, m.Name)
	}
	for _, d := range c.Duties { // of processes that are no controllers, as the relay may be
		if len(duties[d.Holder]) > 0 {
			fmt.Fprintf(tw, "%s\t\t%s\t%s\n", d.Holder, strings.Join(duties[d.Holder], ", "), clock(&d.Until))
			delete(duties, d.Holder)
		}
	}
}

// Prices prints what functions were learned to take, an attempt.
func Prices(w io.Writer, p *api.Prices) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer tw.Flush()
	fmt.Fprintln(tw, "FUNCTION\tCLASS\tATTEMPTS\tDECLARED\tACTUAL\tFACTOR\tMEMORY")
	for _, x := range p.Prices {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%.2f s\t%.2f s\t%.2f\t%s\n", x.Fn, x.Class, x.Attempts, x.Declared, x.Actual, x.Factor, Bytes(x.Memory))
	}
}
