package pack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/cmaf"
	"github.com/mediafn/mediafn/tools/container/isobmff"
)

// write.go: tracks as files.

// write writes a track: one file with an index, or a file for every segment.
func (p *packing) write(ctx context.Context, t *track) error {
	if err := os.MkdirAll(filepath.Dir(p.file(t.path)), 0o700); err != nil {
		return errs.As(errs.Transient, op, err)
	}
	init := cmaf.Track{Track: &t.Track, Skip: t.skip}.Init()
	t.init = int64(len(init))
	heads := make([][]byte, len(t.segments))
	refs := make([]cmaf.Reference, len(t.segments))
	moved := t.moved()
	for i := range t.segments {
		s := &t.segments[i]
		head, err := cmaf.Fragment(uint32(i+1), moved[s.from:s.to], p.How.Files)
		if err != nil {
			return errs.Wrap(t.name, err)
		}
		heads[i], s.size = head, int64(len(head))
		s.entry = s.size + int64(moved[s.from].Size)
		for _, x := range moved[s.from:s.to] {
			s.size += int64(x.Size)
		}
		refs[i] = cmaf.Reference{Size: s.size, Dur: s.dur}
	}
	mime := "video/mp4"
	if t.Handler == "soun" {
		mime = "audio/mp4"
	}
	if p.How.Files {
		return p.apart(ctx, t, init, heads, mime)
	}
	index, err := cmaf.Index(t.Timescale, t.segments[0].start, refs)
	if err != nil {
		return errs.Wrap(t.name, err)
	}
	t.index = int64(len(index))
	at := t.init + t.index
	name := t.path + ".mp4"
	err = p.create(name, func(w io.Writer) error {
		if _, err := w.Write(append(init, index...)); err != nil {
			return err
		}
		for i := range t.segments {
			s := &t.segments[i]
			s.at = at
			at += s.size
			if err := t.copy(ctx, w, heads[i], s); err != nil {
				return err
			}
		}
		return nil
	})
	p.output(&p.files, name, mime)
	return err
}

// apart writes every segment into a file of its own.
func (p *packing) apart(ctx context.Context, t *track, init []byte, heads [][]byte, mime string) error {
	if err := os.MkdirAll(p.file(t.path), 0o700); err != nil {
		return errs.As(errs.Transient, op, err)
	}
	name := t.path + "/init.mp4"
	if err := p.create(name, func(w io.Writer) error { _, err := w.Write(init); return err }); err != nil {
		return err
	}
	p.output(&p.files, name, mime)
	for i := range t.segments {
		s := &t.segments[i]
		s.name = fmt.Sprintf("%s/%05d.m4s", t.path, i+1)
		if err := p.create(s.name, func(w io.Writer) error { return t.copy(ctx, w, heads[i], s) }); err != nil {
			return err
		}
		p.output(&p.files, s.name, mime)
	}
	return nil
}

func (p *packing) create(name string, fill func(io.Writer) error) error {
	f, err := os.Create(p.file(name))
	if err != nil {
		return errs.As(errs.Transient, op, err)
	}
	w := bufio.NewWriterSize(f, 256<<10)
	err = fill(w)
	if err == nil {
		err = errs.As(errs.Transient, op, w.Flush())
	}
	if cerr := f.Close(); err == nil {
		err = errs.As(errs.Transient, op, cerr)
	}
	return err
}

// moved are the samples on the package's time line: decoding begins at zero,
// and so does presenting but for what is skipped.
func (t *track) moved() []cmaf.Sample {
	out := make([]cmaf.Sample, len(t.Samples))
	dts := t.Samples[0].DTS
	if t.Handler == "soun" {
		dts = t.origin - t.skip
	}
	for i, s := range t.Samples {
		out[i] = cmaf.Sample{DTS: s.DTS - dts, PTS: s.PTS - t.origin + t.skip, Dur: s.Dur, Size: s.Size, Key: s.Key}
	}
	return out
}

// copy writes a segment: its head, then the bytes of its samples, which lie in
// stretches between those of other tracks.
func (t *track) copy(ctx context.Context, w io.Writer, head []byte, s *segment) error {
	if err := ctx.Err(); err != nil {
		return errs.Wrap(op, err)
	}
	if _, err := w.Write(head); err != nil {
		return errs.As(errs.Transient, op, err)
	}
	for from := s.from; from < s.to; {
		to, end := from, t.Samples[from].Offset
		for to < s.to && t.Samples[to].Offset == end {
			end += int64(t.Samples[to].Size)
			to++
		}
		if err := stretch(w, t.data, t.Samples[from], end); err != nil {
			return err
		}
		from = to
	}
	return nil
}

func stretch(w io.Writer, data io.ReaderAt, first isobmff.Sample, end int64) error {
	n, err := io.Copy(w, io.NewSectionReader(data, first.Offset, end-first.Offset))
	if err != nil {
		return errs.As(errs.Transient, op, err)
	}
	if n < end-first.Offset {
		return errs.New(errs.Invalid, op, "a rendition ends within a picture")
	}
	return nil
}
