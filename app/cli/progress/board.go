// Package progress shows a running task to a person: bars on a terminal, lines
// elsewhere.
package progress

import (
	"fmt"
	"strings"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/task"
)

// board is what is known of a running task: its components in the order they
// appeared, each with its slices.
type board struct {
	state  task.State
	status string
	rows   []*row
}

// row is one component or, inside it, one slice.
type row struct {
	name     string
	order    int // -1: the component itself
	state    task.State
	attempt  int
	progress fn.Progress
	fault    *task.Fault
	slices   []*row // by order
}

// change is one thing worth a line: a row whose state changed.
type change struct {
	row *row
	was task.State
}

// apply takes an event in and tells which rows changed their state.
func (b *board) apply(e client.Event) []change {
	if e.Task != nil {
		return b.snapshot(e.Task)
	}
	c := e.Change
	switch {
	case c == nil:
	case c.Type == "task":
		b.state, b.status = c.State, c.Status
	case c.Component != "":
		return b.update(c.Component, c.Segment, func(r *row) {
			if c.Type == "work" {
				r.enter(c.State, c.Attempt, c.Error)
			} else if c.Progress != nil && c.Attempt >= r.attempt && !r.state.Final() {
				r.enter(task.Running, c.Attempt, nil)
				r.progress = *c.Progress
			}
		})
	}
	return nil
}

func (b *board) snapshot(t *api.Task) []change {
	b.state, b.status = t.State, t.Status
	var all []change
	for i := range t.Work {
		w := &t.Work[i]
		all = append(all, b.update(w.Component, w.Segment, func(r *row) { r.enter(w.State, w.Attempt, w.Error) })...)
	}
	return all
}

func (b *board) update(component string, segment *int, f func(*row)) []change {
	r := b.find(component, segment)
	was := r.state
	f(r)
	if r.state == was {
		return nil
	}
	return []change{{r, was}}
}

func (b *board) find(component string, segment *int) *row {
	var at *row
	for _, r := range b.rows {
		if r.name == component {
			at = r
		}
	}
	if at == nil {
		at = &row{name: component, order: -1}
		b.rows = append(b.rows, at)
	}
	if segment == nil {
		return at
	}
	place := len(at.slices)
	for i, s := range at.slices {
		if s.order == *segment {
			return s
		}
		if s.order > *segment {
			place = min(place, i)
		}
	}
	s := &row{name: component, order: *segment}
	at.slices = append(at.slices[:place], append([]*row{s}, at.slices[place:]...)...)
	return s
}

// enter changes the state. News of an earlier attempt are old.
func (r *row) enter(s task.State, attempt int, fault *task.Fault) {
	if attempt < r.attempt {
		return
	}
	if attempt > r.attempt || s != task.Running {
		r.progress = fn.Progress{}
	}
	r.state, r.attempt, r.fault = s, attempt, fault
}

// done is how far a row is, 0–1. Slices count alike.
func (r *row) done() float64 {
	switch {
	case r.state.Final():
		return 1
	case len(r.slices) == 0:
		return min(max(r.progress.Done, 0), 1)
	}
	sum := 0.0
	for _, s := range r.slices {
		sum += s.done()
	}
	return sum / float64(len(r.slices))
}

// label names a row for a person: slices count from 1.
func (r *row) label() string {
	if r.order < 0 {
		return r.name
	}
	return fmt.Sprintf("%s slice %d", r.name, r.order+1)
}

// detail is what a progress report says beyond the share.
func (r *row) detail() string {
	var parts []string
	if n := len(r.slices); n > 0 {
		ended := 0
		for _, s := range r.slices {
			if s.state.Final() {
				ended++
			}
		}
		parts = append(parts, fmt.Sprintf("%d of %d slices", ended, n))
	}
	if r.progress.Speed > 0 {
		parts = append(parts, fmt.Sprintf("%.2fx", r.progress.Speed))
	}
	if r.progress.Note != "" {
		parts = append(parts, r.progress.Note)
	}
	return strings.Join(parts, ", ")
}
