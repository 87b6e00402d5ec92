package task

import (
	"encoding/json"

	"github.com/mediafn/mediafn/core/media"
)

// Figures are the task's measures.
type Figures struct {
	Wall             float64 `json:"wall_seconds"`
	CPU              float64 `json:"cpu_seconds"`
	Transfer         float64 `json:"transfer_seconds"`
	InputSeconds     float64 `json:"input_duration,omitempty"`
	ProcessingRatio  float64 `json:"processing_ratio,omitempty"`  // wall ÷ input duration
	CompressionRatio float64 `json:"compression_ratio,omitempty"` // output ÷ input bytes
	Slices           int     `json:"slices"`                      // 0 = not sliced
	Reused           int     `json:"slices_reused,omitempty"`     // of them, those of which nothing was computed
	Attempts         int     `json:"attempts"`
}

// FiguresOf measures an ended task from its rows. Computing and transfer are
// apart.
func FiguresOf(t *Task, work Rows) *Figures {
	f := &Figures{CPU: t.Usage.CPUSeconds, Transfer: t.Usage.FetchSeconds + t.Usage.StoreSeconds}
	if !t.EndedAt.IsZero() {
		f.Wall = t.EndedAt.Sub(t.CreatedAt).Seconds()
	}
	slices, reused := map[string]int{}, map[string]int{} // by component: several may work on the same slices, one after the other
	for _, w := range work {
		f.Attempts += w.Attempt
		if w.Order >= 0 && !w.IsTwin() {
			slices[w.Component]++
			f.Slices = max(f.Slices, slices[w.Component])
			if w.WasThere() {
				reused[w.Component]++
			}
		}
	}
	f.Reused = f.Slices
	for component := range slices {
		f.Reused = min(f.Reused, reused[component])
	}
	f.InputSeconds, f.CompressionRatio = sizes(t, work)
	if f.InputSeconds > 0 {
		f.ProcessingRatio = f.Wall / f.InputSeconds
	}
	return f
}

// WasThere reports whether all files of work that succeeded were found among
// those of earlier attempts: nothing was computed.
func (w *Work) WasThere() bool { return w.Usage.Reused > 0 && w.Usage.Reused == len(w.Outputs) }

// sizes gives the source's duration, if a component probed it, and the ratio
// of result bytes to source bytes.
func sizes(t *Task, work Rows) (seconds, ratio float64) {
	var source media.Info
	for _, w := range work {
		if w.Fn == "inspect.probe" && w.State == Succeeded {
			_ = json.Unmarshal(w.Facts, &source) // facts of another shape leave it empty
		}
	}
	out := int64(0)
	for _, o := range t.Outputs {
		out += o.Size
	}
	if source.Size > 0 && out > 0 {
		ratio = float64(out) / float64(source.Size)
	}
	return source.Duration, ratio
}
