package remux

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/coded"
)

// Packets reads what the framecrc muxer prints of picture packets, as they come:
// "stream, dts, pts, duration, size, checksum[, F=flags]".
type Packets struct {
	Base media.Rational
	PTS  []int64 // of pictures that are shown, as they are decoded
	Keys []int64 // of keyframes
	// Key is told of each keyframe as it comes, from another goroutine. It may be nil.
	Key func(pts int64)

	last, length int64 // the latest time, and how long that picture is shown
	rest         []byte
	err          error
}

// FFmpeg's flags of packets: keyframes, and those that are decoded and not shown.
const (
	keyframe = 0x1
	discard  = 0x4
)

func (p *Packets) Write(b []byte) (int, error) {
	n := len(b)
	p.rest = append(p.rest, b...)
	for {
		line, rest, ok := bytes.Cut(p.rest, []byte("\n"))
		if !ok {
			return n, nil
		}
		p.line(string(line))
		p.rest = append(p.rest[:0], rest...)
	}
}

func (p *Packets) line(line string) {
	if tb, ok := strings.CutPrefix(line, "#tb 0: "); ok {
		p.err = p.Base.UnmarshalText([]byte(strings.TrimSpace(tb)))
		return
	}
	fields := strings.Split(line, ",")
	if strings.HasPrefix(line, "#") || len(fields) < 6 {
		return
	}
	flags := uint64(keyframe) // said where it is anything else
	for _, f := range fields[6:] {
		if hex, ok := strings.CutPrefix(strings.TrimSpace(f), "F=0x"); ok {
			if v, err := strconv.ParseUint(hex, 16, 64); err == nil {
				flags = v
			}
		}
	}
	if flags&discard != 0 {
		return
	}
	pts, err := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
	if err != nil || pts == math.MinInt64 {
		p.err = errs.New(errs.Invalid, op, "a frame of the source bears no time")
		return
	}
	if len(p.PTS) >= coded.MaxSamples {
		p.err = errs.New(errs.TooLarge, op, "more than %d frames", coded.MaxSamples)
		return
	}
	if len(p.PTS) == 0 || pts > p.last {
		p.last = pts
		p.length, _ = strconv.ParseInt(strings.TrimSpace(fields[3]), 10, 64) // 0 where it is not said
	}
	p.PTS = append(p.PTS, pts)
	if flags&keyframe == 0 {
		return
	}
	p.Keys = append(p.Keys, pts)
	if p.Key != nil {
		p.Key(pts)
	}
}

// behind keeps the times from the first keyframe's on.
func (p *Packets) behind(times []int64, base media.Rational) (kept []int64) {
	if len(p.Keys) == 0 {
		return times
	}
	// Ticks below 2^40 and clocks below 2^21, else sameTimes refuses them.
	first := p.Keys[0] * p.Base.Num * base.Den
	for _, t := range times {
		if t*base.Num*p.Base.Den >= first {
			kept = append(kept, t)
		}
	}
	return kept
}

// Between counts the pictures shown from one time up to another.
func (p *Packets) Between(from, to int64) (n int64) {
	for _, t := range p.PTS {
		if t >= from && t < to {
			n++
		}
	}
	return n
}

// End is just behind the picture that is shown last.
func (p *Packets) End() int64 { return p.last + max(p.length, 1) }
