package show

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/slice"
)

// Plan prints what would be decided, and the curve.
func Plan(w io.Writer, p *api.Plan) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer tw.Flush()
	fmt.Fprintf(tw, "decision\t%s\t%s\n", p.Code, strings.TrimPrefix(p.Reason, "not sliced: "))
	basis := "as declared"
	if p.Price.CPUSeconds != p.Declared.CPUSeconds {
		basis = fmt.Sprintf("learned of %d attempts; declared are %.2f s", p.Attempts, p.Declared.CPUSeconds)
	}
	fmt.Fprintf(tw, "price\t%.2f s\tCPU of the whole, class %q, %s\n", p.Price.CPUSeconds, p.Class, basis)
	_ = tw.Flush() // columns begin anew
	if len(p.Parts) > 0 {
		fmt.Fprintln(tw, "\nSLICE\tSTART\tLENGTH\tFRAMES\tBESIDE THEM\tSHARE")
	}
	for _, s := range p.Parts {
		fmt.Fprintf(tw, "%d\t%.3f s\t%.3f s\t%d\t%d\t%.1f %%\n", s.Order, s.TimeBase.Seconds(s.Start), s.TimeBase.Seconds(s.End-s.Start), s.Frames, s.DropHead+s.DropTail, 100*s.Share)
	}
	_ = tw.Flush()
	fmt.Fprintln(w)
	Curve(w, p.Curve)
}

// Curve prints what is predicted for numbers of cores.
func Curve(w io.Writer, curve []slice.Prediction) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer tw.Flush()
	fmt.Fprintln(tw, "CORES\tSLICES\tSLICED\tCPU\tWHOLE\tCPU\tSLICED ÷ WHOLE")
	for _, c := range curve {
		slices, sliced, cost, ratio := "", "", "", ""
		if c.Slices > 0 {
			slices, sliced, cost = fmt.Sprint(c.Slices), fmt.Sprintf("%.2f s", c.SlicedSeconds), fmt.Sprintf("%.2f s", c.SlicedCost)
			ratio = fmt.Sprintf("%.3f", c.SlicedSeconds/c.WholeSeconds)
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%.2f s\t%.2f s\t%s\n", c.Workers, slices, sliced, cost, c.WholeSeconds, c.WholeCost, ratio)
	}
}
