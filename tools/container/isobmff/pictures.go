package isobmff

import (
	"cmp"
	"context"
	"io"
	"slices"

	"github.com/mediafn/mediafn/tools/container/timeline"
)

// Span is bytes Start to End−1 of a file.
type Span struct{ Start, End int64 }

// Pictures lists where the coded pictures of a file lie, in order and joined
// where they touch, but for the first ones of each track, which readers look at
// to know it: keep of them, but no more than about head bytes.
func Pictures(ctx context.Context, src io.ReaderAt, size int64, keep int, head int64, opt Options) ([]Span, error) {
	m, err := open(ctx, src, size, opt)
	if err != nil {
		return nil, err
	}
	var pictures, others []Span
	for _, t := range m.tracks {
		raw, err := t.raw(opt.MaxSamples, size)
		if err != nil {
			return nil, err
		}
		if t.handler == "vide" {
			n, bytes := 0, int64(0)
			for n < min(keep, len(raw)) && bytes < head {
				n, bytes = n+1, bytes+int64(raw[n].Size)
			}
			pictures = append(pictures, spansOf(raw[n:])...)
		} else {
			others = append(others, spansOf(raw)...)
		}
	}
	return without(joined(pictures), joined(others)), nil
}

func spansOf(samples []timeline.Sample) []Span {
	all := make([]Span, 0, len(samples))
	for _, s := range samples {
		if s.Size > 0 {
			all = append(all, Span{s.Offset, s.Offset + int64(s.Size)})
		}
	}
	return joined(all)
}

// joined sorts spans and makes one of those that touch.
func joined(all []Span) []Span {
	slices.SortFunc(all, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	out := all[:0]
	for _, s := range all {
		if n := len(out); n > 0 && s.Start <= out[n-1].End {
			out[n-1].End = max(out[n-1].End, s.End)
			continue
		}
		out = append(out, s)
	}
	return out
}

// without drops the spans that touch any of others, which only a strange file
// has. Both are joined.
func without(all, others []Span) []Span {
	i := 0
	return slices.DeleteFunc(all, func(s Span) bool {
		for i < len(others) && others[i].End <= s.Start {
			i++
		}
		return i < len(others) && others[i].Start < s.End
	})
}
