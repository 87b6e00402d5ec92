package matroska

import "math"

// block is one block's header.
type block struct {
	track  uint64
	time   int64 // ticks of the segment
	dur    int64 // ticks; 0 where it does not say
	at     int64 // offset of the payload, past lace sizes
	size   int64
	frames int // more than one where laced
	key    bool
}

// level1 reports whether an id ends a cluster of unknown size.
func level1(id uint32) bool {
	switch id {
	case idCluster, idCues, idChapters, idTags, idAttachments, idSeekHead, idInfo, idTracks, idSegment, idEBML:
		return true
	}
	return false
}

// cluster visits the blocks of the cluster at off. *next, where given, is set
// to the offset behind it.
func (s *segment) cluster(off int64, visit func(block) error, next *int64) error {
	_, n, pos, err := s.element(off)
	if err != nil {
		return err
	}
	end := s.end
	if n != unknown {
		end = min(end, pos+n)
	}
	base := int64(0)
	for pos < end {
		id, size, body, err := s.element(pos)
		if err != nil {
			return err
		}
		if n == unknown && level1(id) {
			break
		}
		if size == unknown || size > s.end-body {
			return corrupt("truncated: element %#x at %d claims %d bytes where %d are left", id, pos, size, s.end-body)
		}
		switch id {
		case idTimestamp:
			b, err := s.r.At(body, int(min(size, 8)))
			if err != nil {
				return err
			}
			if base = int64(uinteger(b) & (math.MaxInt64 >> 4)); size > 8 {
				return corrupt("timestamp of %d bytes", size)
			}
		case idSimpleBlock:
			b, err := s.block(body, size, base)
			if err != nil {
				return err
			}
			if err := visit(b); err != nil {
				return err
			}
		case idBlockGroup:
			if err := s.group(body, size, base, visit); err != nil {
				return err
			}
		}
		pos = body + size
	}
	if next != nil {
		*next = pos
	}
	return nil
}

// group reads a BlockGroup: without a ReferenceBlock it is a key.
func (s *segment) group(pos, n, base int64, visit func(block) error) error {
	var out block
	found, key := false, true
	dur := int64(0)
	for end := pos + n; pos < end; {
		id, size, body, err := s.element(pos)
		if err != nil {
			return err
		}
		if size > end-body {
			return corrupt("element %#x at %d leaves its block group", id, pos)
		}
		switch id {
		case 0xa1:
			if out, err = s.block(body, size, base); err != nil {
				return err
			}
			found = true
		case 0xfb:
			key = false
		case 0x9b:
			b, err := s.r.At(body, int(min(size, 8)))
			if err != nil {
				return err
			}
			dur = int64(uinteger(b) & (math.MaxInt64 >> 8))
		}
		pos = body + size
	}
	if !found {
		return nil
	}
	out.key, out.dur = key, dur/int64(out.frames)
	return visit(out)
}

// block reads a block's header (RFC 9559 §10).
func (s *segment) block(pos, n, base int64) (block, error) {
	h, err := s.r.Upto(pos, int(min(n, 16)))
	if err != nil {
		return block{}, err
	}
	num, w := varint(h)
	if w == 0 || len(h) < w+3 {
		return block{}, corrupt("block at %d is truncated", pos)
	}
	flags := h[w+2]
	b := block{track: uint64(num), time: base + int64(int16(uint16(h[w])<<8|uint16(h[w+1]))), key: flags&0x80 != 0, frames: 1}
	w += 3
	if flags&6 != 0 && len(h) > w {
		b.frames = int(h[w]) + 1
		w++
	}
	b.at, b.size = pos+int64(w), n-int64(w)
	return b, nil
}
