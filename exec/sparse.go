package exec

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sort"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/exec/gate"
)

// shortGap is how much is read of what nobody wants rather than asking once more.
const shortGap = 16 << 10

// sparse is a source of which ranges are not wanted: they read as zeros.
type sparse struct {
	src  gate.Source
	skip []fn.Range // in order, apart, each longer than shortGap
}

func newSparse(src gate.Source, skip []fn.Range) *sparse {
	skip = slices.Clone(skip)
	slices.SortFunc(skip, func(a, b fn.Range) int { return int(min(max(a.Start-b.Start, -1), 1)) })
	s := &sparse{src: src}
	for _, r := range skip {
		if n := len(s.skip); n > 0 && r.Start <= s.skip[n-1].End {
			s.skip[n-1].End = max(s.skip[n-1].End, r.End)
			continue
		}
		s.skip = append(s.skip, r)
	}
	s.skip = slices.DeleteFunc(s.skip, func(r fn.Range) bool { return r.End-r.Start <= shortGap })
	return s
}

// saved is how many bytes are not read at the most.
func (s *sparse) saved() (n int64) {
	for _, r := range s.skip {
		n += r.End - r.Start
	}
	return n
}

// identity names what the source looks like with its holes; empty where the
// source has no name.
func (s *sparse) identity(of string) string {
	if of == "" {
		return ""
	}
	sum := sha256.New()
	for _, r := range s.skip {
		fmt.Fprintln(sum, r.Start, r.End)
	}
	return fmt.Sprintf("%s without %x", of, sum.Sum(nil))
}

func (s *sparse) Size() int64 { return s.src.Size() }

func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	n, _, err := s.ReadSparse(context.Background(), p, off)
	return n, err
}

// ReadSparse reads what is wanted of p and zeroes the rest.
func (s *sparse) ReadSparse(ctx context.Context, p []byte, off int64) (n int, cost int64, err error) {
	i := sort.Search(len(s.skip), func(i int) bool { return s.skip[i].End > off })
	for n < len(p) {
		at, end := off+int64(n), off+int64(len(p))
		if i < len(s.skip) && s.skip[i].Start <= at {
			end = min(end, s.skip[i].End, s.src.Size())
			if end <= at {
				break
			}
			clear(p[n : end-off])
			n, i = int(end-off), i+1
			continue
		}
		if i < len(s.skip) {
			end = min(end, s.skip[i].Start)
		}
		k, err := s.read(ctx, p[n:end-off], at)
		n, cost = n+k, cost+int64(k)
		if err != nil {
			return n, cost, err
		}
	}
	return n, cost, nil
}

func (s *sparse) read(ctx context.Context, p []byte, off int64) (int, error) {
	if src, ok := s.src.(gate.ContextSource); ok {
		return src.ReadAtContext(ctx, p, off)
	}
	return s.src.ReadAt(p, off)
}
