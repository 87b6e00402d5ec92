package task

import (
	"slices"
	"strings"
	"time"
)

// A slow last slice is run twice: a twin of its row goes to another worker, and
// whichever is first wins. A twin is a row like any other, leased and fenced;
// only its event knows that it stands for its sibling.

// Bounds of running a slice twice. Below them it costs more than it saves.
const (
	twinFactor = 2                // times what its siblings took, by price
	twinAfter  = 10 * time.Second // at the least
	twinShare  = 20               // one of so many slices at a time, at least one
)

const twinSuffix = "_twin"

// TwinID names the second row of a segment.
func TwinID(segmentID string) string { return segmentID + twinSuffix }

// IsTwin reports whether a row is the second of a segment.
func (w *Work) IsTwin() bool { return strings.HasSuffix(w.ID, twinSuffix) }

// Twins returns the second rows of slices that run much longer than their
// siblings did, when nothing else of their event waits. It is pure.
func Twins(v View, now time.Time) (twins []Work) {
	if v.Task.State != Running || v.Task.Ending != "" {
		return nil
	}
	for _, c := range v.Plan.Components {
		if c.ForEach == nil || v.Work.state(EventID(v.Task.ID, c.Name)) != Waiting {
			continue
		}
		twins = append(twins, twinsOf(v.Work, EventID(v.Task.ID, c.Name), now)...)
	}
	return twins
}

func twinsOf(rows Rows, event string, now time.Time) (twins []Work) {
	segments := rows.segments(event)
	var slow []*Work
	var paces []float64 // seconds a priced second of those that are done
	open := 0
	for _, s := range segments {
		switch s.State {
		case Succeeded:
			if s.Usage.Reused > 0 {
				break // it says nothing of how long computing takes
			}
			paces = append(paces, s.EndedAt.Sub(s.StartedAt).Seconds()/weight(s))
		case Running:
			slow = append(slow, s)
		default:
			return nil // something waits: the machines have better to do
		}
		if rows[TwinID(s.ID)] != nil {
			open++
		}
	}
	if len(paces) == 0 || len(paces) < len(segments)/2 {
		return nil
	}
	slices.Sort(paces)
	pace := paces[len(paces)/2]
	for _, s := range slow {
		expected := time.Duration(pace * weight(s) * float64(time.Second))
		if rows[TwinID(s.ID)] != nil || now.Sub(s.StartedAt) < max(twinFactor*expected, twinAfter) {
			continue
		}
		if open++; open > max(len(segments)/twinShare, 1) {
			break
		}
		t := *s
		t.ID, t.State, t.Attempt, t.Failures, t.Losses, t.LostBy = TwinID(s.ID), Ready, 0, 0, 0, nil
		t.CreatedAt, t.NotBefore, t.StartedAt, t.Avoid = now, time.Time{}, time.Time{}, s.Worker
		twins = append(twins, t.release())
	}
	return twins
}

// weight is what a slice's duration is measured against.
func weight(w *Work) float64 { return max(w.Price.CPUSeconds, 0.001) }

// segments returns an event's segments in order, without twins.
func (r Rows) segments(event string) (all []*Work) {
	for order := 0; ; order++ {
		s := r[SegmentID(event, order)]
		if s == nil {
			return all
		}
		all = append(all, s)
	}
}

// race settles a segment and its twin, if it has one: the first that succeeded
// gives the result, the other is stopped. It returns the segment as it is then.
func (r *round) race(s *Work) *Work {
	twin := r.view.Work[TwinID(s.ID)]
	switch {
	case twin == nil || s.State == Failed:
	case s.State == Succeeded && !twin.State.Final():
		r.drop(twin)
	case s.State != Succeeded && twin.State == Succeeded:
		if s.State == Running {
			r.step.Stop = append(r.step.Stop, *s)
		}
		won := *s
		won.Outputs, won.Facts, won.Usage = twin.Outputs, twin.Facts, twin.Usage
		won.Worker, won.Trace = twin.Worker, "" // the attempt that counts is the twin's
		r.change(won.Done(r.now))
		r.step.Notes = append(r.step.Notes, Note{TaskID: s.TaskID, WorkID: s.ID, Kind: "twin", At: r.now,
			Detail: "its second run on worker " + twin.Worker + " was first"})
		return r.view.Work[s.ID]
	}
	return s
}

// drop ends a row nobody needs any more; if it runs its worker is told.
func (r *round) drop(w *Work) {
	if w.State == Running {
		r.step.Stop = append(r.step.Stop, *w)
	}
	r.change(w.end(Canceled, r.now))
}
