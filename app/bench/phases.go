package bench

import (
	"time"

	"github.com/mediafn/mediafn/api"
)

// Phases say where a sliced task's time and CPU went, from its own rows.
// Seconds of wall time unless they say CPU.
type Phases struct {
	Planning float64 `json:"planning_seconds"` // from the request to the first slice: probe, plan
	Slices   float64 `json:"slices_seconds"`   // from the first to the last one's end
	// Tail is from the last slice's end to the task's: merge, certify, publish,
	// and what lies between them.
	Tail      float64            `json:"tail_seconds"`
	TailShare float64            `json:"tail_share"` // ÷ wall
	Each      map[string]float64 `json:"components"` // wall time of each component
	CPU       map[string]float64 `json:"cpu"`        // CPU seconds of each component's tools
}

// phasesOf reads them off an ended task.
func phasesOf(t *api.Task) Phases {
	p := Phases{Each: map[string]float64{}, CPU: map[string]float64{}}
	var first, last time.Time
	for _, w := range t.Work {
		if w.StartedAt == nil || w.EndedAt == nil {
			continue
		}
		if w.Segment == nil {
			p.Each[w.Component] += w.EndedAt.Sub(*w.StartedAt).Seconds()
			if w.Component != "Segments" {
				p.CPU[w.Component] += w.Usage.CPUSeconds
			}
			continue
		}
		p.CPU[w.Component] += w.Usage.CPUSeconds
		if first.IsZero() || w.StartedAt.Before(first) {
			first = *w.StartedAt
		}
		if w.EndedAt.After(last) {
			last = *w.EndedAt
		}
	}
	if first.IsZero() || t.EndedAt == nil {
		return p
	}
	p.Planning, p.Slices, p.Tail = first.Sub(t.CreatedAt).Seconds(), last.Sub(first).Seconds(), t.EndedAt.Sub(last).Seconds()
	p.Each["Segments"] = p.Slices
	if wall := t.EndedAt.Sub(t.CreatedAt).Seconds(); wall > 0 {
		p.TailShare = p.Tail / wall
	}
	return p
}
