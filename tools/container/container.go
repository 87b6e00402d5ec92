// Package container reads what the containers of video say about their
// streams — facts, entry points, frame times — over ranges and without
// decoding: MP4 and its relatives, Matroska and WebM. What a file does not
// say stays absent.
package container

import (
	"context"
	"io"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/container/isobmff"
	"github.com/mediafn/mediafn/tools/container/matroska"
	"github.com/mediafn/mediafn/tools/sniff"
)

const op = "container"

// Options say what to read beyond the facts.
type Options struct {
	Frames bool // fill VideoStream.FrameList
	Keys   bool // fill GOP.Keys, and verify them
	Index  bool // fill GOP.Keys as far as the container's index names them; frames need not be counted (Key.Frame < 0)
	Limits Limits
}

// Limits bound what one call may cost. Zero values take DefaultLimits.
type Limits struct {
	Table   int64 // bytes of one table that is held in memory (moov, cues)
	Samples int64 // pictures and packets listed
	Read    int64 // bytes read in all; 0 is twice the file's size plus 64 MiB
}

// DefaultLimits hold an hour-long 4K file's tables many times over. A listed
// sample takes about 40 bytes.
var DefaultLimits = Limits{Table: 64 << 20, Samples: 4 << 20}

func (l Limits) orDefault(size int64) Limits {
	if l.Table <= 0 {
		l.Table = DefaultLimits.Table
	}
	if l.Samples <= 0 {
		l.Samples = DefaultLimits.Samples
	}
	if l.Read <= 0 {
		l.Read = 2*size + 64<<20
	}
	return l
}

// Read reads the facts of a file of size bytes that sniff said is of format.
// It makes few, large reads and returns what src returns as its cause.
//
// It fails with Unsupported for containers it does not read (use ffprobe),
// with Invalid for a truncated or corrupt file and with TooLarge beyond the
// limits.
func Read(ctx context.Context, src io.ReaderAt, size int64, format sniff.Format, opt Options) (*media.Info, error) {
	l := opt.Limits.orDefault(size)
	if size <= 0 {
		return nil, errs.New(errs.Invalid, op, "file is empty")
	}
	var info *media.Info
	var err error
	switch format.Demuxer {
	case "mov":
		info, err = isobmff.Read(ctx, src, size, isobmff.Options{Frames: opt.Frames, Keys: opt.Keys || opt.Index, MaxTable: l.Table, MaxSamples: l.Samples, MaxRead: l.Read})
		if err == nil {
			info.Format = format.Name
			if info.Kind == media.Video {
				info.Mime = format.Mime
			}
		}
	case "matroska":
		info, err = matroska.Read(ctx, src, size, matroska.Options{Frames: opt.Frames, Keys: opt.Keys, Index: opt.Index, MaxTable: l.Table, MaxSamples: l.Samples, MaxRead: l.Read})
	default:
		return nil, errs.New(errs.Unsupported, op, "tables of %s are not read here", format.Name)
	}
	return info, errs.Wrap(op, err)
}

// Coded is a coded picture or packet.
type Coded struct {
	PTS  int64
	Size int
}

// Decoded lists one stream of a Matroska or WebM file in the order of decoding,
// which is that of the file, and the time base its times count in. Errors are
// those of FrameTimes.
func Decoded(ctx context.Context, src io.ReaderAt, size int64, format sniff.Format, track int) ([]Coded, media.Rational, error) {
	if format.Demuxer != "matroska" {
		return nil, media.Rational{}, errs.New(errs.Unsupported, op, "the order of %s is not read here", format.Name)
	}
	l := Limits{}.orDefault(size)
	samples, tb, err := matroska.Coded(ctx, src, size, track, matroska.Options{MaxTable: l.Table, MaxSamples: l.Samples, MaxRead: l.Read})
	all := make([]Coded, 0, len(samples))
	for _, s := range samples {
		all = append(all, Coded{PTS: s.PTS, Size: int(s.Size)})
	}
	return all, tb, errs.Wrap(op, err)
}

// FrameTimes lists the presentation times of one stream, sorted, and the time
// base they count in. track is the stream's Index. Memory is eight bytes a
// frame beside the tables'. Errors are those of Read, and NotFound for a
// stream that is not there.
func FrameTimes(ctx context.Context, src io.ReaderAt, size int64, format sniff.Format, track int) ([]int64, media.Rational, error) {
	l := Limits{}.orDefault(size)
	switch format.Demuxer {
	case "mov":
		pts, tb, err := isobmff.Times(ctx, src, size, track, isobmff.Options{MaxTable: l.Table, MaxSamples: l.Samples, MaxRead: l.Read})
		return pts, tb, errs.Wrap(op, err)
	case "matroska":
		pts, tb, err := matroska.Times(ctx, src, size, track, matroska.Options{MaxTable: l.Table, MaxSamples: l.Samples, MaxRead: l.Read})
		return pts, tb, errs.Wrap(op, err)
	}
	return nil, media.Rational{}, errs.New(errs.Unsupported, op, "tables of %s are not read here", format.Name)
}

// Pictures lists where coded pictures lie, as bytes from and behind, in order,
// but for the first ones of each track, which readers need to know the track.
// Errors are those of Read; Matroska has no such table and is Unsupported.
func Pictures(ctx context.Context, src io.ReaderAt, size int64, format sniff.Format) ([][2]int64, error) {
	if format.Demuxer != "mov" {
		return nil, errs.New(errs.Unsupported, op, "tables of %s do not say where pictures lie", format.Name)
	}
	const keep, head = 24, 256 << 10 // FFmpeg wants about twenty to know how far pictures are reordered; where they are large it goes without
	l := Limits{}.orDefault(size)
	spans, err := isobmff.Pictures(ctx, src, size, keep, head, isobmff.Options{MaxTable: l.Table, MaxSamples: l.Samples, MaxRead: l.Read})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	all := make([][2]int64, len(spans))
	for i, s := range spans {
		all[i] = [2]int64{s.Start, s.End}
	}
	return all, nil
}
