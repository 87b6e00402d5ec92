package render

import (
	"math"
	"os"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/coded"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// A decoder's buffer model (VBV) holds over joints if every slice keeps to a
// contract: it begins as if the buffer were half full, and leaves it no emptier
// for the next. An encoder is told the first. The second is measured, and a
// slice that ends on a demanding moment is encoded again at a lower peak rate,
// by as much as was missing.
const (
	// handedOver is the part of the buffer that is full at joints: where x264's and
	// x265's lookahead keep it under pressure, so that few slices miss it.
	handedOver = 0.4
	// bufferTries bounds how often a slice is encoded.
	bufferTries = 4
	// reserve is how much more than missed the next try saves, and mostSaved the
	// part of the peak rate that all of them may.
	reserve   = 1.3
	mostSaved = 0.6
)

// buffered reports whether v encodes the pictures of a slice for a decoder's
// buffer.
func (o Order) buffered(v encode.Video) bool {
	return o.Part != nil && o.Part.Stream == fn.Pictures && o.Part.Pass == fn.Final && v.KeepsBuffer() && v.Pass != 1
}

// within encodes a slice, or all renditions of one, until each keeps the
// contract. What still misses it after the last try is left to the certificate.
func (o Order) within(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call, in *fn.Input, grants []*fn.Input) (total ffmpeg.Stats, err error) {
	for try := 1; ; try++ {
		stats, err := o.complete(ctx, ff, call, in, grants)
		total = summed(total, stats)
		if err != nil || try == bufferTries {
			return total, err
		}
		again, err := o.save(call)
		if err != nil || !again {
			return total, err
		}
	}
}

// save looks at what was encoded and, if something is to be encoded again,
// leaves in the order that alone, at a lower peak rate.
func (o *Order) save(call *fn.Call) (again bool, err error) {
	v := o.Info.MainVideo()
	ones := o.Ladder
	if len(ones) == 0 {
		ones = []Rendition{{Params: o.Params}}
	}
	var rest []Rendition
	for _, r := range ones {
		e := o.video(r.Params, v)
		if !o.buffered(e) {
			continue
		}
		name := "slice.mp4"
		if len(o.Ladder) > 0 {
			name = r.Name + ".mp4"
		}
		rate, size := e.VBV()
		missing := 0.0
		if err := read(call.Dir, name, func(f *os.File, n int64) error {
			t, err := coded.MP4(f, n)
			missing = o.short(t.Coded, rate, size)
			return err
		}); err != nil {
			return false, err
		}
		if missing <= 0 {
			continue
		}
		if o.saved == nil {
			o.saved = map[string]float64{}
		}
		seconds := v.TimeBase.Seconds(o.Part.End - o.Part.Start)
		o.saved[r.Name] = min(o.saved[r.Name]+reserve*missing/seconds/float64(rate), mostSaved)
		rest = append(rest, r)
	}
	if len(o.Ladder) > 0 {
		o.Ladder = rest
	}
	return len(rest) > 0, nil
}

// short is by how many bits pictures break the contract: emptying the buffer
// while they last, or handing it over too empty.
func (o Order) short(pictures []slice.Sample, rate, size int64) float64 {
	least, end, _ := slice.Drain(pictures, 1/float64(o.Part.Scale), o.bufferStart()*float64(size), rate, size)
	short := -least - slice.BufferSlack/2*float64(size)
	if o.Part.Order+1 < o.Part.Of {
		short = math.Max(short, handedOver*float64(size)-end)
	}
	return short
}

// bufferStart is the part of the buffer that is full when the slice begins.
func (o Order) bufferStart() float64 {
	if o.Part == nil || o.Part.Order == 0 {
		return slice.BufferStart
	}
	return handedOver
}

// summed adds what several runs cost.
func summed(a, b ffmpeg.Stats) ffmpeg.Stats {
	b.User, b.System, b.Wall, b.MaxRSS = b.User+a.User, b.System+a.System, b.Wall+a.Wall, max(b.MaxRSS, a.MaxRSS)
	return b
}
