package sandbox

import (
	"strings"
	"sync"
)

// Bounds of what is kept of a tool's messages.
const (
	tailLines = 40
	tailBytes = 16 << 10
	lineBytes = 1 << 10
)

// Tail is a writer that keeps the last lines written to it: at most 40 lines
// and 16 KiB, each line cut at 1 KiB. A carriage return ends a line too. It
// never blocks and never fails, so no flood can fill memory or stall a tool.
type Tail struct {
	// Line, if set, is called with each finished line, cut to 1 KiB, from the
	// goroutine that writes.
	Line func(string)

	mu    sync.Mutex
	lines []string
	size  int
	part  []byte
}

func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		i := 0
		for i < len(p) && p[i] != '\n' && p[i] != '\r' {
			i++
		}
		if room := lineBytes - len(t.part); room > 0 {
			t.part = append(t.part, p[:min(i, room)]...)
		}
		if i == len(p) {
			break
		}
		t.flush()
		p = p[i+1:]
	}
	return n, nil
}

// flush ends the line being written. Empty lines are not kept.
func (t *Tail) flush() {
	if len(t.part) == 0 {
		return
	}
	line := strings.ToValidUTF8(string(t.part), "\uFFFD")
	t.part = t.part[:0]
	if t.Line != nil {
		t.Line(line)
	}
	t.lines = append(t.lines, line)
	t.size += len(line) + 1
	drop := 0
	for len(t.lines)-drop > tailLines || t.size > tailBytes {
		t.size -= len(t.lines[drop]) + 1
		drop++
	}
	t.lines = append(t.lines[:0], t.lines[drop:]...)
}

// Close ends an unfinished last line.
func (t *Tail) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flush()
	return nil
}

// String returns the lines kept, without a final newline.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := strings.Join(t.lines, "\n")
	if len(t.part) > 0 && s != "" {
		s += "\n"
	}
	return s + strings.ToValidUTF8(string(t.part), "\uFFFD")
}
