package matroska

import (
	"cmp"
	"slices"

	"github.com/mediafn/mediafn/core/media"
)

// cues.go: the index of a file (RFC 9559 §22), and whether it is right.

// index lists the entry points of a track that the cues name. Which frames they
// are, and how many lie between them, cues do not tell.
func (s *segment) index(t *track) *media.GOP {
	g := &media.GOP{}
	for _, c := range s.cues {
		if c.track == t.number {
			g.Keys = append(g.Keys, media.Key{Frame: -1, PTS: c.time, Bytes: s.start + c.pos})
		}
	}
	slices.SortFunc(g.Keys, func(a, b media.Key) int { return cmp.Compare(a.PTS, b.PTS) })
	g.Keys = slices.CompactFunc(g.Keys, func(a, b media.Key) bool { return a.PTS == b.PTS })
	if g.Count = len(g.Keys); g.Count == 0 {
		return nil
	}
	return g
}

// cuesHold reports whether every cue of a picture track names a key in the
// cluster it points to. Only a scan tells; without one they are believed.
func (s *segment) cuesHold() bool {
	if !s.scanned {
		return true
	}
	for _, t := range s.tracks {
		if t.kind != kindVideo || !t.list {
			continue
		}
		keys := map[int64]int64{} // time → offset of the block
		for _, x := range t.samples {
			if x.Key {
				keys[x.PTS] = x.Offset
			}
		}
		for _, c := range s.cues {
			at, ok := keys[c.time]
			if c.track == t.number && (!ok || s.clusterOf(at) != s.start+c.pos) {
				s.warn("the index names an entry point at tick %d that is not there", c.time)
				return false
			}
		}
	}
	return true
}

// clusterOf is where the cluster begins that holds the byte at.
func (s *segment) clusterOf(at int64) int64 {
	i, found := slices.BinarySearch(s.clusters, at)
	switch {
	case found:
		return at
	case i == 0:
		return -1
	}
	return s.clusters[i-1]
}
