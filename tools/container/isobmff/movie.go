package isobmff

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/container/window"
)

// Options say what to read, and how much at most.
type Options struct {
	Frames     bool  // list every frame
	Keys       bool  // list entry points
	MaxTable   int64 // bytes of the movie box
	MaxSamples int64 // over all fragments, and in each track that is listed
	MaxRead    int64 // bytes in all
}

// movie is a file's structure.
type movie struct {
	r                   *window.Reader
	opt                 Options
	brand               string
	minor               uint32
	brands              string
	timescale           uint32
	dur                 int64
	created             uint64
	matrix              [9]int32
	tracks              []*track
	byID                map[uint32]*track
	moov                []byte
	moovAt              int64
	mdatAt              int64
	fragments           int
	fragmented, indexed bool
	samples             int64
	warnings            []string
}

func (m *movie) warn(format string, args ...any) {
	if len(m.warnings) < 32 {
		m.warnings = append(m.warnings, fmt.Sprintf(format, args...))
	}
}

// Read reads the facts of a file.
func Read(ctx context.Context, src io.ReaderAt, size int64, opt Options) (*media.Info, error) {
	m, err := open(ctx, src, size, opt)
	if err != nil {
		return nil, err
	}
	return m.info()
}

// Times lists the presentation times of the stream with the given index, in
// order, cut and moved by its edit list.
func Times(ctx context.Context, src io.ReaderAt, size int64, index int, opt Options) ([]int64, media.Rational, error) {
	m, err := open(ctx, src, size, opt)
	if err != nil {
		return nil, media.Rational{}, err
	}
	if index < 0 || index >= len(m.tracks) {
		return nil, media.Rational{}, errs.New(errs.NotFound, op, "there is no stream %d", index)
	}
	t := m.tracks[index]
	raw, err := t.raw(opt.MaxSamples, size)
	if err != nil {
		return nil, media.Rational{}, err
	}
	s, _, err := t.edited(raw, opt.MaxSamples)
	if err != nil {
		return nil, media.Rational{}, err
	}
	pts := make([]int64, 0, len(s))
	for _, x := range s {
		if !x.Hidden {
			pts = append(pts, x.PTS)
		}
	}
	slices.Sort(pts)
	return pts, t.timebase(), nil
}

const (
	headAhead = 128 << 10 // first read: enough for the tables of a short faststart file
	tailAhead = 1 << 20   // after the media data: most movie boxes are smaller
	fragAhead = 64 << 10
	maxBoxes  = 1 << 20 // boxes at the top level
	maxTracks = 256
)

// open walks the boxes at the top level.
func open(ctx context.Context, src io.ReaderAt, size int64, opt Options) (*movie, error) {
	m := &movie{r: window.New(ctx, src, size, headAhead, opt.MaxRead), opt: opt, byID: map[uint32]*track{}, moovAt: -1, mdatAt: -1, timescale: 1}
	off := int64(0)
	for n := 0; off < size; n++ {
		if n > maxBoxes {
			return nil, errs.New(errs.TooLarge, op, "more than %d boxes", maxBoxes)
		}
		h, err := m.r.Upto(off, 16)
		if err != nil {
			return nil, err
		}
		if len(h) < 8 {
			break
		}
		kind, length, head := string(h[4:8]), int64(be.Uint32(h)), int64(8)
		switch length {
		case 0:
			length = size - off
		case 1:
			if len(h) < 16 {
				return nil, corrupt("truncated in a box header")
			}
			length, head = int64(be.Uint64(h[8:])), 16
		}
		if length < head {
			if m.moovAt >= 0 { // junk after the movie hurts nobody
				m.warn("junk after offset %d", off)
				break
			}
			return nil, corrupt("box %q at %d claims %d bytes", kind, off, length)
		}
		if length > size-off {
			if kind != "mdat" || m.moovAt < 0 {
				return nil, corrupt("truncated: box %q at %d claims %d bytes where %d are left", kind, off, length, size-off)
			}
			m.warn("truncated: media data claims %d bytes where %d are left", length, size-off)
			length = size - off
		}
		if err := m.box(kind, off, head, length); err != nil {
			return nil, err
		}
		off += length
	}
	if m.moovAt < 0 {
		return nil, corrupt("no movie box: the file is truncated or not complete")
	}
	return m, nil
}

func (m *movie) box(kind string, off, head, length int64) error {
	switch kind {
	case "mdat":
		if m.mdatAt < 0 {
			m.mdatAt = off
		}
		m.r.SetAhead(tailAhead)
		if m.moovAt >= 0 {
			m.r.SetAhead(fragAhead)
		}
	case "sidx", "mfra":
		m.indexed = true
	case "ftyp", "moov", "moof":
		if length > m.opt.MaxTable {
			return errs.New(errs.TooLarge, op, "box %q of %d bytes; the limit is %d", kind, length, m.opt.MaxTable)
		}
		b, err := m.r.At(off+head, int(length-head))
		if err != nil {
			return err
		}
		switch kind {
		case "ftyp":
			return m.ftyp(b)
		case "moof":
			m.fragmented = true
			m.fragments++
			return m.moof(b, off)
		}
		if m.moovAt >= 0 {
			return nil // the first one counts
		}
		m.moovAt, m.moov = off, append([]byte(nil), b...)
		return m.parse()
	}
	return nil
}

func (m *movie) ftyp(b []byte) error {
	if len(b) < 8 || m.brand != "" {
		return nil
	}
	m.brand, m.minor = string(b[:4]), be.Uint32(b[4:])
	m.brands = printable(b[8:min(len(b), 8+64*4)])
	return nil
}

// parse reads the movie box.
func (m *movie) parse() error {
	err := each(m.moov, func(kind string, b []byte) error {
		switch kind {
		case "cmov":
			return errs.New(errs.Unsupported, op, "compressed movie box")
		case "mvhd":
			v, _, r, ok := full(b, 96)
			if !ok || v == 1 && len(b) < 112 {
				return corrupt("mvhd is truncated")
			}
			if v == 1 {
				m.created, m.timescale, m.dur = be.Uint64(r), be.Uint32(r[16:]), int64(be.Uint64(r[20:]))
				r = r[12:]
			} else {
				m.created, m.timescale, m.dur = uint64(be.Uint32(r)), be.Uint32(r[8:]), int64(be.Uint32(r[12:]))
			}
			for i := range m.matrix {
				m.matrix[i] = int32(be.Uint32(r[32+4*i:]))
			}
		case "trak":
			if len(m.tracks) >= maxTracks {
				return errs.New(errs.TooLarge, op, "more than %d tracks", maxTracks)
			}
			t, err := parseTrack(b)
			if err != nil || t == nil {
				return err
			}
			t.warn = m.warn
			m.tracks = append(m.tracks, t)
			m.byID[t.id] = t
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range m.tracks {
		t.movieScale, t.movieMatrix = max(m.timescale, 1), m.matrix
	}
	return each(child(m.moov, "mvex"), func(kind string, b []byte) error {
		m.fragmented = true
		if _, _, r, ok := full(b, 20); ok && kind == "trex" {
			if t := m.byID[be.Uint32(r)]; t != nil {
				t.trex = defaults{be.Uint32(r[8:]), be.Uint32(r[12:]), be.Uint32(r[16:])}
			}
		}
		return nil
	})
}
