package task

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/media"
)

// Figures are the task's measures. What could not be measured is left out.
type Figures struct {
	Wall         float64 `json:"wall_seconds"`
	CPU          float64 `json:"cpu_seconds"`
	Transfer     float64 `json:"transfer_seconds"`
	InputSeconds float64 `json:"input_duration,omitempty"`

	ProcessingRatio  float64 `json:"processing_ratio,omitempty"`  // wall ÷ input duration
	ComputingRatio   float64 `json:"computing_ratio,omitempty"`   // CPU ÷ input duration
	TransferRatio    float64 `json:"transfer_ratio,omitempty"`    // transfer ÷ input duration
	CompressionRatio float64 `json:"compression_ratio,omitempty"` // output ÷ input bytes

	// Of a task that was sliced, against what slice.plan predicted of one unsliced
	// run on the same cores: CPU ÷ CPU, wall ÷ wall.
	CostRatio float64 `json:"cost_ratio,omitempty"`
	WallRatio float64 `json:"wall_ratio,omitempty"`

	// Bytes of the source, of the result, read from stores and URLs (what the blob
	// gate passed on twice was read once), and stored, slices included.
	BytesIn      int64 `json:"bytes_in,omitempty"`
	BytesOut     int64 `json:"bytes_out,omitempty"`
	BytesFetched int64 `json:"bytes_fetched,omitempty"`
	BytesStored  int64 `json:"bytes_stored,omitempty"`

	Slices int `json:"slices"`                  // 0 = not sliced
	Reused int `json:"slices_reused,omitempty"` // of them, those of which nothing was computed
	// Concurrency is running ÷ all slices, on average over the time when any ran,
	// and at its peak.
	Concurrency     float64 `json:"concurrency,omitempty"`
	PeakConcurrency float64 `json:"peak_concurrency,omitempty"`
	Attempts        int     `json:"attempts"`
}

// FiguresOf measures an ended task from its rows. Computing and transfer are
// apart.
func FiguresOf(t *Task, work Rows) *Figures {
	f := &Figures{CPU: t.Usage.CPUSeconds, Transfer: t.Usage.FetchSeconds + t.Usage.StoreSeconds,
		BytesFetched: t.Usage.BytesIn, BytesStored: t.Usage.BytesOut}
	if !t.EndedAt.IsZero() {
		f.Wall = t.EndedAt.Sub(t.CreatedAt).Seconds()
	}
	parts, reused := map[string]int{}, map[string]int{} // by component: several may work on the same slices, one after the other
	var runs []stretch
	for _, w := range work {
		f.Attempts += w.Attempt
		if w.Order < 0 {
			continue
		}
		if !w.IsTwin() {
			parts[w.Component]++
			f.Slices = max(f.Slices, parts[w.Component])
			if w.WasThere() {
				reused[w.Component]++
			}
		}
		if !w.StartedAt.IsZero() && w.EndedAt.After(w.StartedAt) {
			runs = append(runs, stretch{w.StartedAt, w.EndedAt})
		}
	}
	f.Reused = f.Slices
	for component := range parts {
		f.Reused = min(f.Reused, reused[component])
	}
	if mean, peak := running(runs); f.Slices > 0 {
		f.Concurrency, f.PeakConcurrency = mean/float64(f.Slices), float64(peak)/float64(f.Slices)
	}
	for _, o := range t.Outputs {
		f.BytesOut += o.Size
	}
	source, plan := known(work)
	f.InputSeconds, f.BytesIn = source.Duration, source.Size
	f.ProcessingRatio = ratio(f.Wall, source.Duration)
	f.ComputingRatio = ratio(f.CPU, source.Duration)
	f.TransferRatio = ratio(f.Transfer, source.Duration)
	f.CompressionRatio = ratio(float64(f.BytesOut), float64(source.Size))
	if f.Slices > 0 {
		f.CostRatio = ratio(f.CPU, plan.Prediction.WholeCost)
		f.WallRatio = ratio(f.Wall, plan.Prediction.WholeSeconds)
	}
	return f
}

// WasThere reports whether all files of work that succeeded were found among
// those of earlier attempts: nothing was computed.
func (w *Work) WasThere() bool { return w.Usage.Reused > 0 && w.Usage.Reused == len(w.Outputs) }

func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}

// planned is what of slice.plan's facts figures are set against.
type planned struct {
	Prediction struct {
		WholeSeconds float64 `json:"whole_seconds"`
		WholeCost    float64 `json:"whole_cost"`
	} `json:"prediction"`
}

// known is what the first probe of the task found out of its source - a later one
// may look at a copy - and what was planned for it.
func known(work Rows) (source media.Info, plan planned) {
	var probe *Work
	for _, w := range work {
		switch {
		case w.State != Succeeded:
		case w.Fn == "inspect.probe" && (probe == nil || w.EndedAt.Before(probe.EndedAt)):
			probe = w
		case w.Fn == "slice.plan":
			_ = json.Unmarshal(w.Facts, &plan) // facts of another shape leave it as it is
		}
	}
	if probe != nil {
		_ = json.Unmarshal(probe.Facts, &source) // likewise
	}
	return source, plan
}

// stretch is when something ran.
type stretch struct{ from, till time.Time }

// running is how many ran at once: on average while any did, and at most.
func running(runs []stretch) (mean float64, peak int) {
	type edge struct {
		at   time.Time
		step int
	}
	var edges []edge
	for _, r := range runs {
		edges = append(edges, edge{r.from, 1}, edge{r.till, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(a.at.Compare(b.at), a.step-b.step) })
	busy, length, n := 0.0, 0.0, 0
	for i, e := range edges {
		if i > 0 && n > 0 {
			passed := e.at.Sub(edges[i-1].at).Seconds()
			busy, length = busy+float64(n)*passed, length+passed
		}
		n += e.step
		peak = max(peak, n)
	}
	return ratio(busy, length), peak
}
