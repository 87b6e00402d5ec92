package splice

import (
	"io"
	"math"
	"slices"
)

// matroska.go: Matroska and WebM (RFC 9559) can be entered at every cluster, given
// the header and the tracks.

// Identifiers of elements.
const (
	idHead     = 0x1A45DFA3
	idSegment  = 0x18538067
	idInfo     = 0x1549A966
	idTracks   = 0x1654AE6B
	idCluster  = 0x1F43B675
	idVoid     = 0xEC
	idCRC      = 0xBF
	idTime     = 0xE7
	anySize    = math.MaxInt64 // of an element that does not say, as live writers do
	mostHeader = 12            // bytes of an element's header
	mostFront  = 4096          // elements before the first cluster
	together   = 6             // blocks in a row that must look like blocks
)

// beside are elements that may lie between clusters: cues, tags, a list of
// what lies where, chapters, attachments.
var beside = []uint32{idCluster, idInfo, idTracks, idVoid, idCRC, 0x1C53BB6B, 0x1254C367, 0x114D9B74, 0x1043A770, 0x1941A469}

// inside are those of clusters: blocks, groups of them, and what is said of both.
var inside = []uint32{0xA3, 0xA0, 0xA7, 0xAB, idVoid, idCRC, 0x5854}

type matroska struct {
	r     io.ReaderAt
	size  int64
	first int64 // where the first cluster begins
}

func openMatroska(r io.ReaderAt, size int64) (*matroska, error) {
	m := &matroska{r: r, size: size}
	id, n, head, err := m.element(0)
	if err != nil {
		return nil, err
	}
	if id != idHead || n > size {
		return nil, refuse("the file has no EBML header")
	}
	off := head + n
	if id, _, head, err = m.element(off); err != nil {
		return nil, err
	}
	if id != idSegment {
		return nil, refuse("the file has no segment")
	}
	off += head
	info, tracks := false, false
	for range mostFront {
		id, n, head, err := m.element(off)
		switch {
		case err != nil:
			return nil, err
		case id == idCluster && info && tracks:
			m.first = off
			return m, nil
		case id == 0, id == idCluster, n > size-off-head:
			return nil, refuse("the tracks do not lie in front")
		}
		info, tracks = info || id == idInfo, tracks || id == idTracks
		off += head + n
	}
	return nil, refuse("too much lies in front")
}

// element reads the header of an element: its id, 0 if it has none, the size of its
// content, and the header's own.
func (m *matroska) element(off int64) (id uint32, size, head int64, err error) {
	b, err := upto(m.r, m.size, off, mostHeader)
	if err != nil || len(b) < 2 || b[0] < 0x10 {
		return 0, 0, 0, err
	}
	n := 1
	for b[0]>>(8-n) == 0 {
		n++
	}
	if len(b) < n+1 || b[n] == 0 {
		return 0, 0, 0, nil
	}
	for _, c := range b[:n] {
		id = id<<8 | uint32(c)
	}
	b = b[n:]
	k := 1
	for b[0]>>(8-k) == 0 {
		k++
	}
	if len(b) < k {
		return 0, 0, 0, nil
	}
	v := uint64(b[0]) & (1<<(8-k) - 1)
	for _, c := range b[1:k] {
		v = v<<8 | uint64(c)
	}
	if v == 1<<(7*k)-1 {
		v = anySize
	}
	return id, int64(v), int64(n + k), nil
}

func (m *matroska) sync(off int64) (int64, error) {
	if off <= m.first {
		return m.first, nil
	}
	return search(m.r, m.size, off, []byte{0x1F, 0x43, 0xB6, 0x75}, m.cluster)
}

// cluster reports whether what looks like one has a time and what follows it is in
// its place.
func (m *matroska) cluster(at int64) (bool, error) {
	_, size, head, err := m.element(at)
	if err != nil || head == 0 || size != anySize && size > m.size-at-head {
		return false, err
	}
	off := at + head
	end := off + size // past the largest number where the size is not said
	id, n, head, err := m.element(off)
	if err == nil && id == idCRC && n == 4 {
		off += head + n
		id, n, head, err = m.element(off)
	}
	if err != nil || id != idTime || n < 1 || n > 8 {
		return false, err
	}
	if size != anySize {
		if end >= m.size {
			return true, nil
		}
		id, _, _, err := m.element(end)
		return slices.Contains(beside, id), err
	}
	off += head + n
	for range together {
		if off >= m.size {
			return true, nil
		}
		id, n, head, err := m.element(off)
		if err != nil || slices.Contains(beside, id) {
			return err == nil, err
		}
		if !slices.Contains(inside, id) || n > m.size-off-head {
			return false, nil
		}
		off += head + n
	}
	return true, nil
}

func (m *matroska) from(at int64) io.Reader {
	return io.MultiReader(io.NewSectionReader(m.r, 0, m.first), io.NewSectionReader(m.r, at, m.size-at))
}
