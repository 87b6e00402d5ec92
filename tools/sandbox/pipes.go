package sandbox

import (
	"io"
	"os"
)

// descriptors lays out the tool's files: standard ones, ExtraFiles, status.
// theirs are the ends to close here once the tool has them.
func (c *Cmd) descriptors() (files, theirs []*os.File, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	theirs = append(theirs, null)
	pipe := func() (r, w *os.File) {
		if err == nil {
			r, w, err = os.Pipe()
		}
		return r, w
	}
	in := null
	if f, ok := c.Stdin.(*os.File); ok {
		in = f
	} else if c.Stdin != nil {
		r, w := pipe()
		if err != nil {
			return nil, theirs, err
		}
		in, theirs, c.ours = r, append(theirs, r), append(c.ours, w)
	}
	out := func(dst io.Writer, always bool) *os.File {
		if f, ok := dst.(*os.File); ok {
			return f
		}
		if dst == nil && !always {
			return null
		}
		r, w := pipe()
		if err != nil {
			return nil
		}
		theirs, c.ours = append(theirs, w), append(c.ours, r)
		return w
	}
	stdout := out(c.Stdout, false)
	stderr := out(c.Stderr, true)
	r, w := pipe()
	if err != nil {
		return nil, theirs, err
	}
	c.status = r
	theirs = append(theirs, w)
	files = append([]*os.File{in, stdout, stderr}, c.ExtraFiles...)
	return append(files, w), theirs, nil
}

// pump starts the goroutines that move bytes. It walks c.ours in the order
// descriptors made them: stdin, stdout, stderr.
func (c *Cmd) pump() {
	next := 0
	take := func() *os.File { f := c.ours[next]; next++; return f }
	if _, isFile := c.Stdin.(*os.File); c.Stdin != nil && !isFile {
		w, src := take(), c.Stdin
		// Not waited for: a source that blocks must not hold up Wait. The pipe
		// is closed by drain, which ends the copy at its next write.
		go func() { _, _ = io.Copy(w, src); _ = w.Close() }()
	}
	copyOut := func(dst io.Writer) {
		r := take()
		c.copies.Go(func() {
			if _, err := io.Copy(dst, r); err != nil {
				_, _ = io.Copy(io.Discard, r) // a failed sink must not block the tool
			}
		})
	}
	if _, isFile := c.Stdout.(*os.File); c.Stdout != nil && !isFile {
		copyOut(c.Stdout)
	}
	if _, isFile := c.Stderr.(*os.File); !isFile {
		if c.Stderr == nil {
			copyOut(&c.tail)
		} else {
			copyOut(io.MultiWriter(&c.tail, c.Stderr))
		}
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
