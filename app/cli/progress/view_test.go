package progress

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/task"
)

func work(component string, segment int, s task.State, attempt int) client.Event {
	return client.Event{Type: "work", Change: &api.Event{Type: "work", Component: component, Segment: at(segment), State: s, Attempt: attempt}}
}

func progress(component string, segment, attempt int, p fn.Progress) client.Event {
	return client.Event{Type: "progress", Change: &api.Event{Type: "progress", Component: component, Segment: at(segment), State: task.Running, Attempt: attempt, Progress: &p}}
}

func at(segment int) *int {
	if segment < 0 {
		return nil
	}
	return &segment
}

// film is the life of a sliced task, as events tell it.
func film() []client.Event {
	lost := work("Segments", 0, task.Waiting, 1)
	lost.Change.Error = &task.Fault{Kind: 0, Message: "exit status 1\nmore"}
	return []client.Event{
		{Type: "state", Task: &api.Task{State: task.Running, Work: []api.Work{
			{Component: "Probe", State: task.Succeeded, Attempt: 1}, {Component: "Plan", State: task.Succeeded}, {Component: "Whole", State: task.Skipped},
		}}},
		work("Segments", -1, task.Waiting, 0),
		work("Segments", 1, task.Running, 1),
		work("Segments", 0, task.Running, 1),
		progress("Segments", 0, 1, fn.Progress{Done: 0.3}),
		lost,
		progress("Segments", 0, 1, fn.Progress{Done: 0.4}), // late news of the first attempt
		work("Segments", 0, task.Running, 2),
		progress("Segments", 1, 1, fn.Progress{Done: 0.5, Speed: 2.5, Note: "50 frames"}),
	}
}

func TestBars(t *testing.T) {
	var out strings.Builder
	v := &barView{w: &out, size: func() (int, int) { return 60, 24 }, now: func() time.Time { return time.Time{} }}
	for _, e := range film() {
		v.Show(e)
	}
	want := []string{
		"Probe        [========================] succeeded",
		"Plan         [========================] succeeded",
		"Segments     [======                  ]  25%, 0 of 2 slices",
		"  slice 1    [                        ]   0%",
		"  slice 2    [============            ]  50%, 2.50x, 50 fr…",
	}
	if diff := cmp.Diff(want, v.board.block(59, 20)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"… 4 more", want[4]}, v.board.block(59, 2)); diff != "" {
		t.Error(diff)
	}
	v.Close()
	if text := out.String(); !strings.HasSuffix(text, "\x1b[K\n\x1b[J") || !strings.Contains(text, "\x1b[5A") {
		t.Errorf("%q", text)
	}
}

func TestLines(t *testing.T) {
	var out strings.Builder
	v := &lineView{w: &out, shown: map[string]int{}}
	for _, e := range film() {
		v.Show(e)
		v.Show(e) // what is said once is not said again
	}
	want := `Probe: succeeded
Plan: succeeded
Whole: skipped
Segments slice 2: running
Segments slice 1: running
Segments slice 1: 25%
Segments slice 1: again after: exit status 1
Segments slice 1: running
Segments slice 2: 50%, 2.50x, 50 frames
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// Whatever comes in whatever order, what is drawn fits the screen.
func TestBoardFits(t *testing.T) {
	states := []task.State{task.Waiting, task.Ready, task.Running, task.Succeeded, task.Failed, task.Canceled, task.Skipped}
	rapid.Check(t, func(r *rapid.T) {
		var b board
		for range rapid.IntRange(0, 60).Draw(r, "events") {
			name := rapid.SampledFrom([]string{"A", "Bé", "A-component-with-a-long-name"}).Draw(r, "name")
			segment, attempt := rapid.IntRange(-1, 9).Draw(r, "segment"), rapid.IntRange(0, 3).Draw(r, "attempt")
			e := work(name, segment, rapid.SampledFrom(states).Draw(r, "state"), attempt)
			if rapid.Bool().Draw(r, "progress") {
				e = progress(name, segment, attempt, fn.Progress{Done: rapid.Float64Range(-1, 2).Draw(r, "done"), Note: "é"})
			}
			b.apply(e)
		}
		width, height := rapid.IntRange(39, 200).Draw(r, "width"), rapid.IntRange(6, 50).Draw(r, "height")
		lines := b.block(width, height)
		if len(lines) > height {
			r.Fatalf("%d lines of %d", len(lines), height)
		}
		for _, line := range lines {
			if utf8.RuneCountInString(line) > width {
				r.Fatalf("%q is wider than %d", line, width)
			}
		}
		for _, row := range b.rows {
			if d := row.done(); d < 0 || d > 1 {
				r.Fatalf("%s is at %v", row.name, d)
			}
		}
	})
}
