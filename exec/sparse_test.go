package exec

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/fn"
)

type counted struct {
	*bytes.Reader
	read int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Reader.ReadAt(p, off)
	c.read += int64(n)
	return n, err
}

// What is skipped reads as zeros and is not read; all else is what it was.
func TestSparse(t *testing.T) {
	const size = 400 << 10
	content := bytes.Repeat([]byte{7}, size)
	rapid.Check(t, func(t *rapid.T) {
		var skip []fn.Range
		for range rapid.IntRange(0, 5).Draw(t, "ranges") {
			start := rapid.Int64Range(0, size-1).Draw(t, "start")
			skip = append(skip, fn.Range{Start: start, End: rapid.Int64Range(start, size+10).Draw(t, "end")})
		}
		src := &counted{Reader: bytes.NewReader(content)}
		s := newSparse(src, skip)
		got := make([]byte, size)
		for off := int64(0); off < size; {
			n := min(rapid.Int64Range(1, size).Draw(t, "n"), size-off)
			before := src.read
			k, cost, err := s.ReadSparse(t.Context(), got[off:off+n], off)
			if err != nil || int64(k) != n || cost != src.read-before {
				t.Fatalf("%d at %d: %d, cost %d of %d, %v", n, off, k, cost, src.read-before, err)
			}
			off += n
		}
		zeros := int64(0)
		for i, b := range got {
			inside := false
			for _, r := range skip {
				inside = inside || int64(i) >= r.Start && int64(i) < r.End
			}
			if b == 0 {
				zeros++
			}
			if b == 0 && !inside {
				t.Fatalf("byte %d is gone", i)
			}
		}
		if src.read != size-zeros {
			t.Fatalf("read %d, %d skipped", src.read, zeros)
		}
	})
}
