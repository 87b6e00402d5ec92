// Package chart draws a task: its flow with what is done, what runs, and what
// waits for what.
package chart

import (
	"time"

	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/task"
)

// Graph is a flow as it stands for one task: what is done, what runs, what
// waits for what.
type Graph struct {
	TaskID  string     `json:"task_id"`
	Flow    string     `json:"flow"`
	Version string     `json:"flow_version"`
	State   task.State `json:"state"`
	Status  string     `json:"status"`
	Nodes   []Node     `json:"nodes"` // in the order of the file
	Edges   []Edge     `json:"edges"`
}

// Node is a component. Its state is its row's, or Pending or LeftOut where
// there is no row.
type Node struct {
	Component string      `json:"component"`
	Module    string      `json:"module"`
	Fn        string      `json:"fn"`
	State     task.State  `json:"state"`
	Attempt   int         `json:"attempt,omitempty"`
	Worker    string      `json:"worker,omitempty"`
	Progress  *float64    `json:"progress,omitempty"` // 0–1 of what runs; of a fan-out over all its slices
	Segments  *Segments   `json:"segments,omitempty"` // of a fan-out
	Reused    bool        `json:"reused,omitempty"`   // its files were there already, nothing was computed
	Error     *task.Fault `json:"error,omitempty"`
	StartedAt *time.Time  `json:"started_at,omitempty"`
	EndedAt   *time.Time  `json:"ended_at,omitempty"`
}

// States of a node without a row.
const (
	Pending task.State = "pending"  // what it depends on is not done
	LeftOut task.State = "left_out" // its conditions did not hold, or the task ended before
)

// Segments counts a fan-out's slices.
type Segments struct {
	Total   int `json:"total"`
	Done    int `json:"done"`
	Running int `json:"running"`
	Failed  int `json:"failed"`
	Reused  int `json:"reused,omitempty"` // of those done: their files were there already
}

// Edge says that one component needs another.
type Edge struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Kind is "depends", or "fallback": To runs if From has failed.
	Kind string `json:"kind"`
}

// Of draws a task. progress is how far running work is, by its id; what
// is missing is not known.
func Of(p *flow.Plan, t *task.Task, work []task.Work, progress map[string]fn.Progress) Graph {
	g := Graph{TaskID: t.ID, Flow: t.Flow, Version: t.FlowVer, State: t.State, Status: t.Status, Nodes: []Node{}, Edges: []Edge{}}
	events, segments := map[string]*task.Work{}, map[string][]*task.Work{}
	for i := range work {
		w := &work[i]
		if w.Order < 0 {
			events[w.Component] = w
		} else {
			segments[w.Component] = append(segments[w.Component], w)
		}
	}
	for _, c := range p.Components {
		n := Node{Component: c.Name, Module: p.Modules[c.Module].Name, Fn: c.Fn, State: Pending}
		if n.Fn == "" {
			n.Fn = t.Request.Cmd
		}
		switch w := events[c.Name]; {
		case w != nil:
			n.fill(w, segments[c.Name], progress)
		case t.Ret.Get(c.Index) != task.Untouched || t.State.Final():
			n.State = LeftOut
		}
		g.Nodes = append(g.Nodes, n)
		for _, d := range c.Depends {
			g.Edges = append(g.Edges, Edge{From: p.Components[d].Name, To: c.Name, Kind: "depends"})
		}
		if c.Fallback != nil {
			g.Edges = append(g.Edges, Edge{From: c.Name, To: c.Fallback.Name, Kind: "fallback"})
		}
	}
	return g
}

func (n *Node) fill(w *task.Work, segments []*task.Work, progress map[string]fn.Progress) {
	n.State, n.Attempt, n.Worker, n.Error, n.Fn = w.State, w.Attempt, w.Worker, w.Error, w.Fn
	n.StartedAt, n.EndedAt = moment(w.StartedAt), moment(w.EndedAt)
	if len(segments) == 0 {
		n.Reused = w.WasThere()
		if p, ok := progress[w.ID]; ok && w.State == task.Running {
			n.Progress = &p.Done
		}
		return
	}
	s := Segments{Total: len(segments)}
	done := 0.0
	for _, one := range segments {
		if n.StartedAt == nil || !one.StartedAt.IsZero() && one.StartedAt.Before(*n.StartedAt) {
			n.StartedAt = moment(one.StartedAt) // the fan-out itself never starts
		}
		switch one.State {
		case task.Succeeded:
			s.Done++
			done++
			if one.WasThere() {
				s.Reused++
			}
		case task.Running:
			s.Running++
			done += progress[one.ID].Done
		case task.Failed:
			s.Failed++
		}
	}
	n.Segments = &s
	if !w.State.Final() {
		done /= float64(s.Total)
		n.Progress = &done
	}
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
