package isobmff

import (
	"bytes"
	"context"
	"io"
	"math"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// Track is a track as whoever copies its samples needs it.
type Track struct {
	Handler   string // vide, soun, …
	Timescale uint32
	Language  string // ISO 639-2; empty = not known
	Title     string
	Width     int // coded
	Height    int
	Channels  int
	Codecs    string // RFC 6381; empty = not known
	// Descriptions is the body of the stsd box as it is.
	Descriptions []byte
	Samples      []Sample // in decode order
}

// Sample is one coded sample. Times are ticks of the movie's time line after
// the edit list, which may begin before zero.
type Sample struct {
	DTS, PTS int64
	Dur      int64
	Offset   int64
	Size     int32
	Key      bool
}

// Tracks reads all sample tables of a file. It is Unsupported where an edit list
// does more than say where a track begins, or the samples of a track have more
// than one description.
func Tracks(ctx context.Context, src io.ReaderAt, size int64, opt Options) ([]Track, error) {
	m, err := open(ctx, src, size, opt)
	if err != nil {
		return nil, err
	}
	all := make([]Track, 0, len(m.tracks))
	for _, t := range m.tracks {
		one, err := t.whole(opt, size)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (t *track) whole(opt Options, size int64) (Track, error) {
	kind, body := t.entry()
	out := Track{Handler: t.handler, Timescale: t.timescale, Language: t.lang, Title: t.title, Descriptions: bytes.Clone(t.stsd)}
	if n := len(t.stsd); n < 8 || be.Uint32(t.stsd[4:]) != 1 {
		return out, errs.New(errs.Unsupported, op, "track %d has not exactly one sample description", t.id)
	}
	switch {
	case t.handler == "vide" && len(body) >= 28:
		out.Width, out.Height = int(be.Uint16(body[24:])), int(be.Uint16(body[26:]))
		if len(body) >= 78 {
			out.Codecs = codecs(kind, body[78:])
		}
	case t.handler == "soun" && len(body) >= 28:
		var a media.AudioStream // its configuration tells, where the description lies
		t.audio(&a)
		out.Channels, out.Codecs = a.Channels, codecs(kind, body[28:])
	}
	spans, odd := t.spans()
	if odd || len(spans) != 1 {
		return out, errs.New(errs.Unsupported, op, "the edit list of track %d does more than say where it begins", t.id)
	}
	move := spans[0].at
	if spans[0].from != math.MinInt64 {
		move -= spans[0].from
	}
	raw, err := t.raw(opt.MaxSamples, size)
	if err != nil {
		return out, err
	}
	dts := move + t.fragFirst
	if t.fragSamples == 0 {
		dts = move
	}
	out.Samples = make([]Sample, len(raw))
	for i, s := range raw {
		out.Samples[i] = Sample{DTS: dts, PTS: s.PTS + move, Dur: s.Dur, Offset: s.Offset, Size: s.Size, Key: s.Key}
		dts += s.Dur
	}
	return out, nil
}
