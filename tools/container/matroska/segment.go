package matroska

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/container/timeline"
	"github.com/mediafn/mediafn/tools/container/window"
)

// Options say what to read, and how much at most.
type Options struct {
	Frames     bool  // list every frame; reads every block header
	Keys       bool  // list entry points with their frames' numbers, which cues do not tell; reads every block header
	Index      bool  // list the entry points that the cues name; where there are none, as Keys
	MaxTable   int64 // bytes of one element held in memory
	MaxSamples int64 // blocks listed
	MaxRead    int64 // bytes in all
}

// Element ids at the levels walked here.
const (
	idEBML, idSegment, idCluster                     = 0x1a45dfa3, 0x18538067, 0x1f43b675
	idSeekHead, idInfo, idTracks                     = 0x114d9b74, 0x1549a966, 0x1654ae6b
	idCues, idChapters, idTags, idAttachments        = 0x1c53bb6b, 0x1043a770, 0x1254c367, 0x1941a469
	idTimestamp, idSimpleBlock, idBlockGroup, idVoid = 0xe7, 0xa3, 0xa0, 0xec
)

// segment is a file's structure.
type segment struct {
	r        *window.Reader
	opt      Options
	doc      string
	start    int64 // of the segment's data; positions count from here
	end      int64
	live     bool // the segment does not say how long it is
	scale    int64
	duration float64 // ticks
	tags     map[string]string
	byTrack  map[uint64]map[string]string // tags by track UID
	tracks   []*track
	seeks    map[uint32]int64
	done     map[uint32]bool
	cues     []cue
	chapters []media.Chapter
	attached []attachment
	clusters []int64 // where those seen by a scan begin, in order
	scanned  bool    // every block was seen
	samples  int64
	warnings []string
}

type cue struct {
	track     uint64
	time, pos int64
}

func (s *segment) warn(format string, args ...any) {
	if len(s.warnings) < 32 {
		s.warnings = append(s.warnings, fmt.Sprintf(format, args...))
	}
}

// Read reads the facts of a file.
func Read(ctx context.Context, src io.ReaderAt, size int64, opt Options) (*media.Info, error) {
	s, err := open(ctx, src, size, opt)
	if err != nil {
		return nil, err
	}
	if opt.Frames || opt.Keys || opt.Index && len(s.cues) == 0 {
		s.opt.Keys = s.opt.Keys || opt.Index
		if err := s.scan(); err != nil {
			return nil, err
		}
	}
	return s.info()
}

// Times lists the presentation times of the stream with the given index.
func Times(ctx context.Context, src io.ReaderAt, size int64, index int, opt Options) ([]int64, media.Rational, error) {
	samples, tb, err := Coded(ctx, src, size, index, opt)
	pts := make([]int64, 0, len(samples))
	for _, x := range samples {
		pts = append(pts, x.PTS)
	}
	slices.Sort(pts)
	return pts, tb, err
}

func (s *segment) timebase() media.Rational {
	return media.Rational{Num: s.scale, Den: 1e9}.Reduce()
}

const (
	headAhead   = 128 << 10
	scanAhead   = 1 << 20
	maxElements = 1 << 16
)

// element reads an element header in the file.
func (s *segment) element(off int64) (id uint32, size int64, body int64, err error) {
	b, err := s.r.Upto(off, 12)
	if err != nil {
		return 0, 0, 0, err
	}
	id, size, n := header(b)
	if n == 0 {
		return 0, 0, 0, corrupt("no element at offset %d: truncated or corrupt", off)
	}
	return id, size, off + int64(n), nil
}

// open reads everything but the blocks: elements up to the first cluster, and
// those behind that the seek head points to.
func open(ctx context.Context, src io.ReaderAt, size int64, opt Options) (*segment, error) {
	s := &segment{r: window.New(ctx, src, size, headAhead, opt.MaxRead), opt: opt, scale: 1e6, tags: map[string]string{},
		byTrack: map[uint64]map[string]string{}, seeks: map[uint32]int64{}, done: map[uint32]bool{}}
	id, n, body, err := s.element(0)
	if err != nil {
		return nil, err
	}
	if id != idEBML || n > 4096 {
		return nil, corrupt("no EBML header")
	}
	h, err := s.r.At(body, int(n))
	if err != nil {
		return nil, err
	}
	if err := each(h, func(id uint32, b []byte) error {
		if id == 0x4282 {
			s.doc = text(b)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if id, n, s.start, err = s.element(body + n); err != nil {
		return nil, err
	}
	if id != idSegment {
		return nil, corrupt("no segment after the EBML header")
	}
	s.end = size
	if n == unknown {
		s.live = true
	} else if s.start+n > size || s.start+n < 0 {
		s.warn("truncated: the segment claims %d bytes where %d are left", n, size-s.start)
	} else {
		s.end = s.start + n
	}
	if err := s.walk(); err != nil {
		return nil, err
	}
	if len(s.tracks) == 0 {
		return nil, corrupt("no tracks: the file is truncated or corrupt")
	}
	for _, id := range []uint32{idInfo, idCues, idChapters, idTags, idAttachments} {
		pos, ok := s.seeks[id]
		if !ok || s.done[id] {
			continue
		}
		s.r.SetAhead(headAhead)
		got, n, body, err := s.element(s.start + pos)
		if err == nil && got == id {
			err = s.master(id, body, n)
		}
		if errs.Is(err, errs.Invalid) { // a stale pointer costs what it points to
			s.warn("element %#x: %v", id, err)
			err = nil
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// walk reads level 1 up to the first cluster and peeks at its blocks.
func (s *segment) walk() error {
	off := s.start
	for range maxElements {
		if off >= s.end {
			return nil
		}
		id, n, body, err := s.element(off)
		if err != nil {
			return err
		}
		if id == idCluster {
			return s.peek(off)
		}
		if n == unknown || n > s.end-body {
			return corrupt("truncated: element %#x at %d claims %d bytes where %d are left", id, off, n, s.end-body)
		}
		if err := s.master(id, body, n); err != nil {
			return err
		}
		off = body + n
	}
	return errs.New(errs.TooLarge, op, "more than %d elements before the first cluster", maxElements)
}

// master reads one level 1 element into memory and takes it apart.
func (s *segment) master(id uint32, body, n int64) error {
	switch id {
	case idSeekHead, idInfo, idTracks, idCues, idChapters, idTags:
	case idAttachments:
		s.done[id] = true
		return s.attachments(body, n)
	default:
		return nil
	}
	if s.done[id] && id != idSeekHead && id != idTags {
		return nil
	}
	s.done[id] = true
	if n > s.opt.MaxTable {
		return errs.New(errs.TooLarge, op, "element %#x of %d bytes; the limit is %d", id, n, s.opt.MaxTable)
	}
	b, err := s.r.At(body, int(n))
	if err != nil {
		return err
	}
	switch id {
	case idSeekHead:
		return s.seekHead(b)
	case idInfo:
		return s.info1(b)
	case idTracks:
		return s.parseTracks(b)
	case idCues:
		return s.parseCues(b)
	case idChapters:
		return s.parseChapters(b)
	}
	return s.parseTags(b)
}

func (s *segment) seekHead(b []byte) error {
	return each(b, func(id uint32, b []byte) error {
		if id != 0x4dbb {
			return nil
		}
		target, pos := uint32(0), int64(-1)
		err := each(b, func(id uint32, b []byte) error {
			switch id {
			case 0x53ab:
				target = uint32(uinteger(b))
			case 0x53ac:
				pos = int64(uinteger(b))
			}
			return nil
		})
		if pos >= 0 && pos < s.end-s.start {
			s.seeks[target] = pos
		}
		return err
	})
}

func (s *segment) info1(b []byte) error {
	err := each(b, func(id uint32, b []byte) error {
		switch id {
		case 0x2ad7b1:
			s.scale = int64(uinteger(b))
		case 0x4489:
			s.duration = float(b)
		case 0x7ba9:
			s.tags["title"] = text(b)
		case 0x5741:
			s.tags["encoder"] = text(b)
		}
		return nil
	})
	if err == nil && (s.scale <= 0 || s.scale > 1e12) {
		err = corrupt("timestamp scale of %d ns", s.scale)
	}
	return err
}

func (s *segment) parseCues(b []byte) error {
	return each(b, func(id uint32, b []byte) error {
		if id != 0xbb {
			return nil
		}
		at := int64(0)
		return each(b, func(id uint32, b []byte) error {
			switch id {
			case 0xb3:
				at = int64(uinteger(b) & (math.MaxInt64 >> 2))
			case 0xb7:
				c := cue{time: at}
				if err := each(b, func(id uint32, b []byte) error {
					switch id {
					case 0xf7:
						c.track = uinteger(b)
					case 0xf1:
						c.pos = int64(uinteger(b) & (math.MaxInt64 >> 2))
					}
					return nil
				}); err != nil {
					return err
				}
				if int64(len(s.cues)) >= s.opt.MaxSamples {
					return errs.New(errs.TooLarge, op, "more than %d cues", s.opt.MaxSamples)
				}
				s.cues = append(s.cues, c)
			}
			return nil
		})
	})
}

// How far peek looks.
const (
	peekBlocks = 512
	peekBytes  = 2 << 20
)

// peek looks at the first blocks, from the cluster at off on, for what tracks do
// not say of themselves: when they begin, and the headers of their first
// pictures. Clusters begin at keyframes: pictures that come late are not in the
// first one.
func (s *segment) peek(off int64) error {
	missing := len(s.tracks)
	n, from := 0, off
	stop := errors.New("seen enough")
	visit := func(b block) error {
		if n++; n > peekBlocks || b.at-from > peekBytes {
			return stop
		}
		t := s.track(b.track)
		if t == nil || t.begun {
			return nil
		}
		t.begun, t.first = true, b.time
		head, err := s.r.Upto(b.at, int(min(b.size, 4096)))
		if err != nil {
			return err
		}
		t.head = append([]byte(nil), head...)
		if missing--; missing == 0 {
			return stop
		}
		return nil
	}
	for off < s.end && off-from <= peekBytes {
		id, _, _, err := s.element(off)
		if err == nil && id == idCluster {
			err = s.cluster(off, visit, &off)
		} else if err == nil {
			err = stop
		}
		if err == stop || errs.Is(err, errs.Invalid) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scan visits every block of the file.
func (s *segment) scan() error {
	s.r.SetAhead(scanAhead)
	off := s.start
	for range int64(1 << 24) {
		if off >= s.end {
			break
		}
		id, n, body, err := s.element(off)
		if errs.Is(err, errs.Invalid) || err == nil && n != unknown && n > s.end-body {
			s.warn("truncated: the file breaks off at %d", off)
			if err != nil || id != idCluster {
				break
			}
			err, n = nil, s.end-body
		}
		if err != nil {
			return err
		}
		next := int64(0)
		if id != idCluster {
			if n == unknown {
				return corrupt("element %#x of unknown size", id)
			}
			off = body + n
			continue
		}
		s.clusters = append(s.clusters, off)
		if err := s.cluster(off, s.collect, &next); err != nil {
			if !errs.Is(err, errs.Invalid) {
				return err
			}
			s.warn("truncated: %v", err)
			break
		}
		off = next
	}
	s.scanned = true
	return nil
}

func (s *segment) collect(b block) error {
	t := s.track(b.track)
	if t == nil {
		return nil
	}
	t.bytes += b.size
	dur := b.dur
	if dur == 0 && t.defaultDur > 0 {
		dur = int64(math.Round(float64(t.defaultDur) / float64(s.scale)))
	}
	if !t.seen || b.time < t.first {
		t.first = b.time
	}
	t.seen, t.begun = true, true
	t.last = max(t.last, b.time+dur*int64(b.frames))
	if !t.list {
		return nil
	}
	for i := range b.frames {
		if s.samples++; s.samples > s.opt.MaxSamples {
			return errs.New(errs.TooLarge, op, "more than %d frames", s.opt.MaxSamples)
		}
		at := b.time
		if i > 0 { // frames of a lace follow one another at the default distance
			at += int64(math.Round(float64(i) * float64(t.defaultDur) / float64(s.scale)))
		}
		t.samples = append(t.samples, timeline.Sample{PTS: at, Dur: dur, Offset: b.at, Size: int32(min(b.size/int64(b.frames), math.MaxInt32)), Key: b.key})
	}
	return nil
}

// Coded lists times and sizes of the stream with the given index in the order
// of the file, which is that of decoding.
func Coded(ctx context.Context, src io.ReaderAt, size int64, index int, opt Options) ([]timeline.Sample, media.Rational, error) {
	s, err := open(ctx, src, size, opt)
	if err != nil {
		return nil, media.Rational{}, err
	}
	if index < 0 || index >= len(s.tracks) {
		return nil, media.Rational{}, errs.New(errs.NotFound, op, "there is no stream %d", index)
	}
	s.tracks[index].list = true
	if err := s.scan(); err != nil {
		return nil, media.Rational{}, err
	}
	return s.tracks[index].samples, s.timebase(), nil
}
