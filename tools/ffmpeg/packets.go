package ffmpeg

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/media"
)

// maxRows bounds what one probe holds: 20 hours at 60 frames a second and an
// audio track.
const maxRows = 8 << 20

// packet is one packet in file order, in ticks of its stream.
type packet struct {
	pts, dts, dur, size, pos int64
	hasPTS, hasDTS           bool
	key, discard             bool
}

// rowReader takes ffprobe's compact output, "key=value|key=value" a line.
type rowReader struct {
	packets map[int][]packet
	types   map[int]map[int64]string // stream → pts → picture type
	rows    int
	over    bool
	part    []byte
}

func newRowReader() *rowReader {
	return &rowReader{packets: map[int][]packet{}, types: map[int]map[int64]string{}}
}

func (r *rowReader) Write(p []byte) (int, error) { return r.each(p, r.packet) }

// frames is the writer for the second run, the one that decodes.
func (r *rowReader) frames() frameWriter { r.part = nil; return frameWriter{r} }

type frameWriter struct{ r *rowReader }

func (w frameWriter) Write(p []byte) (int, error) { return w.r.each(p, w.r.frame) }

func (r *rowReader) each(p []byte, row func(string)) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			if len(r.part)+len(p) < 1<<16 {
				r.part = append(r.part, p...)
			}
			return n, nil
		}
		if r.rows++; r.rows > 2*maxRows {
			r.over = true
		} else {
			row(string(append(r.part, p[:i]...)))
		}
		r.part, p = r.part[:0], p[i+1:]
	}
}

// fields cuts off the side data, whose keys are not ours.
func fields(row string) string {
	row, _, _ = strings.Cut(row, "|side_data_type=")
	return row
}

func (r *rowReader) packet(row string) {
	k := packet{pos: -1}
	stream := -1
	for part := range strings.SplitSeq(fields(row), "|") {
		key, value, _ := strings.Cut(part, "=")
		if key == "flags" {
			k.key, k.discard = strings.Contains(value, "K"), strings.Contains(value, "D")
			continue
		}
		v, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			continue // N/A
		}
		switch key {
		case "stream_index":
			stream = int(v)
		case "pts":
			k.pts, k.hasPTS = v, true
		case "dts":
			k.dts, k.hasDTS = v, true
		case "duration":
			k.dur = v
		case "size":
			k.size = v
		case "pos":
			k.pos = v
		}
	}
	if stream >= 0 {
		r.packets[stream] = append(r.packets[stream], k)
	}
}

func (r *rowReader) frame(row string) {
	stream, pts, kind, timed := -1, int64(0), "", false
	for part := range strings.SplitSeq(fields(row), "|") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "stream_index":
			if v, err := strconv.Atoi(value); err == nil {
				stream = v
			}
		case "pts", "best_effort_timestamp":
			if v, err := strconv.ParseInt(value, 10, 64); err == nil && !timed {
				pts, timed = v, true
			}
		case "pict_type":
			if value == "I" || value == "P" || value == "B" {
				kind = value
			}
		}
	}
	if stream < 0 || !timed {
		return
	}
	if r.types[stream] == nil {
		r.types[stream] = map[int64]string{}
	}
	r.types[stream][pts] = kind
}

// apply fills in what the packets tell. guess holds ffprobe's r_frame_rate of
// each stream.
func (r *rowReader) apply(i *media.Info, guess map[int]media.Rational) {
	for n := range i.Video {
		v := &i.Video[n]
		measure(v, r.packets[v.Index], guess[v.Index])
		if v.Timing != nil && closes(i.Format) && leaps(v, r.packets[v.Index]) {
			v.Timing.Discontinue = true
		}
		v.FrameList = frameList(r.packets[v.Index], r.types[v.Index])
	}
	for n := range i.Audio {
		a := &i.Audio[n]
		if a.Samples == 0 {
			a.Samples = samples(a, r.packets[a.Index])
		}
	}
}
