package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/core/task"
)

// View shows a task to a person while it runs.
type View interface {
	Show(client.Event)
	Close() // leaves the last picture, if any, and the cursor below it
}

// New draws bars on a terminal and prints lines elsewhere.
func New(w io.Writer, quiet bool) View {
	if quiet {
		return noView{}
	}
	f, ok := w.(*os.File)
	if !ok || !Terminal(w) {
		return &lineView{w: w, shown: map[string]int{}}
	}
	size := func() (width, height int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 80, 24
		}
		return width, height
	}
	return &barView{w: w, size: size, now: time.Now}
}

// Terminal reports whether bars can be drawn on w.
func Terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

type noView struct{}

func (noView) Show(client.Event) {}
func (noView) Close()            {}

// lineView prints a line when a component or slice changes its state, and one
// for each quarter of what takes long.
type lineView struct {
	w     io.Writer
	board board
	shown map[string]int // quarters, by label and attempt
}

func (v *lineView) Show(e client.Event) {
	for _, c := range v.board.apply(e) {
		switch r := c.row; r.state {
		case task.Ready, task.Waiting:
			if r.fault != nil {
				fmt.Fprintf(v.w, "%s: again after: %s\n", r.label(), FirstLine(r.fault.Message))
			}
		case task.Failed:
			fmt.Fprintf(v.w, "%s: failed\n", r.label()) // why is the task's error
		default:
			fmt.Fprintf(v.w, "%s: %s\n", r.label(), r.state)
		}
	}
	if p := e.Change; p != nil && p.Type == "progress" {
		r := v.board.find(p.Component, p.Segment)
		quarter, key := int(r.done()*4), fmt.Sprint(r.label(), r.attempt)
		if quarter > v.shown[key] && quarter < 4 && !r.state.Final() {
			v.shown[key] = quarter
			fmt.Fprintf(v.w, "%s: %d%%%s\n", r.label(), quarter*25, Comma(r.detail()))
		}
	}
}

func (v *lineView) Close() {}

// barView redraws one block of bars.
type barView struct {
	w     io.Writer
	size  func() (width, height int)
	now   func() time.Time
	board board
	drawn time.Time
	lines int // of the block on the screen
}

// redraw is how often a terminal is written to at the most.
const redraw = 80 * time.Millisecond

func (v *barView) Show(e client.Event) {
	changed := v.board.apply(e)
	if now := v.now(); len(changed) > 0 || e.Task != nil || now.Sub(v.drawn) >= redraw {
		v.drawn = now
		v.draw()
	}
}

func (v *barView) Close() { v.draw() }

func (v *barView) draw() {
	width, height := v.size()
	block := v.board.block(max(width, 40)-1, max(height, 8)-2)
	var b strings.Builder
	if v.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.lines)
	}
	for _, line := range block {
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	v.lines = len(block)
	_, _ = io.WriteString(v.w, b.String()) // a terminal that is gone is no reason to stop
}

// block renders the board in at most height lines of at most width columns:
// a line for each component, and below it one for each slice that runs.
func (b *board) block(width, height int) []string {
	var lines []string
	for _, r := range b.rows {
		if r.state == task.Skipped {
			continue
		}
		lines = append(lines, r.line(width, ""))
		for _, s := range r.slices {
			if s.state == task.Running {
				lines = append(lines, s.line(width, "  "))
			}
		}
	}
	if over := len(lines) - height; over > 0 {
		lines = append([]string{fmt.Sprintf("… %d more", over+1)}, lines[over+1:]...)
	}
	return lines
}

func (r *row) line(width int, indent string) string {
	const bar = 24
	name := r.name
	if r.order >= 0 {
		name = fmt.Sprintf("slice %d", r.order+1)
	}
	full := int(r.done() * bar)
	state := string(r.state)
	if r.state == task.Running || r.state == task.Waiting && len(r.slices) > 0 {
		state = fmt.Sprintf("%3.0f%%", r.done()*100)
	}
	text := fmt.Sprintf("%s%-*s [%s%s] %s%s", indent, 12-len(indent), name, strings.Repeat("=", full),
		strings.Repeat(" ", bar-full), state, Comma(r.detail()))
	if runes := []rune(text); len(runes) > width {
		text = string(runes[:width-1]) + "…"
	}
	return text
}

// Comma puts text behind other text; nothing stays nothing.
func Comma(text string) string {
	if text == "" {
		return ""
	}
	return ", " + text
}

// FirstLine cuts a text at its first line break.
func FirstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
