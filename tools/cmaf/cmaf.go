// Package cmaf writes tracks as fragmented MP4 for streaming (ISO/IEC 23000-19,
// CMAF, over ISO/IEC 14496-12): an initialisation segment, and media segments of
// one fragment each. Samples are copied, never changed.
//
// A track's time line begins at zero. Composition offsets are signed (version 1
// of trun), so that the first picture is at zero too; what a sound decoder needs
// before zero is taken off by an edit list.
package cmaf

import (
	"encoding/binary"
	"math"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/container/isobmff"
)

const op = "cmaf"

var be = binary.BigEndian

// Track is what an initialisation segment says of a track.
type Track struct {
	*isobmff.Track
	// Skip is how many ticks in front are decoded and not presented.
	Skip int64
}

// Sample is a sample on the written track's own decode time line, which begins
// at zero.
type Sample struct {
	DTS, PTS, Dur int64
	Size          int32
	Key           bool
}

// Init is the initialisation segment.
func (t Track) Init() []byte {
	sound := t.Handler == "soun"
	var b box
	b.begin("ftyp")
	b.text("iso6")
	b.u32(0)
	b.text("iso6cmfcmp41")
	b.end()
	b.begin("moov")
	b.full("mvhd", 0, 0)
	b.u32(0, 0, t.Timescale, 0) // made, changed, ticks, length: it lies in the fragments
	b.u32(1<<16, 1<<24, 0, 0)   // rate 1, volume 1
	b.matrix()
	b.u32(0, 0, 0, 0, 0, 0, 2)
	b.end()
	b.begin("trak")
	b.full("tkhd", 0, 3) // enabled, in the movie
	b.u32(0, 0, 1, 0, 0, 0, 0, 0)
	if sound {
		b.u32(1 << 24)
	} else {
		b.u32(0)
	}
	b.matrix()
	b.u32(uint32(t.Width)<<16, uint32(t.Height)<<16)
	b.end()
	if t.Skip > 0 {
		b.begin("edts")
		b.full("elst", 0, 0)
		b.u32(1, 0, uint32(t.Skip), 1<<16)
		b.end()
		b.end()
	}
	b.begin("mdia")
	b.full("mdhd", 0, 0)
	b.u32(0, 0, t.Timescale, 0, uint32(packed(t.Language))<<16)
	b.end()
	b.full("hdlr", 0, 0)
	b.u32(0)
	b.text(t.Handler)
	b.u32(0, 0, 0)
	b.text("mediafn\x00")
	b.end()
	b.begin("minf")
	if sound {
		b.full("smhd", 0, 0)
		b.u32(0)
	} else {
		b.full("vmhd", 0, 1)
		b.u32(0, 0)
	}
	b.end()
	b.begin("dinf")
	b.full("dref", 0, 0)
	b.u32(1)
	b.full("url ", 0, 1) // in this file
	b.end()
	b.end()
	b.end()
	b.begin("stbl")
	b.begin("stsd")
	b.bytes = append(b.bytes, t.Descriptions...)
	b.end()
	for _, name := range []string{"stts", "stsc"} {
		b.full(name, 0, 0)
		b.u32(0)
		b.end()
	}
	b.full("stsz", 0, 0)
	b.u32(0, 0)
	b.end()
	b.full("stco", 0, 0)
	b.u32(0)
	b.end()
	b.end() // stbl
	b.end() // minf
	b.end() // mdia
	b.end() // trak
	b.begin("mvex")
	b.full("trex", 0, 0)
	b.u32(1, 1, 0, 0, 0)
	b.end()
	b.end()
	b.end()
	return b.bytes
}

// packed is a language as mdhd holds it: three letters of five bits.
func packed(code string) uint16 {
	if len(code) != 3 {
		code = "und"
	}
	v := uint16(0)
	for _, c := range []byte(code) {
		if c < 'a' || c > 'z' {
			return packed("und")
		}
		v = v<<5 | uint16(c-0x60)
	}
	return v
}

// Sample flags (ISO/IEC 14496-12 §8.8.3.1).
const (
	entryFlags = 2 << 24       // depends on no other
	innerFlags = 1<<24 | 1<<16 // depends on others, is no sync sample
)

// Fragment is what stands in front of the samples' bytes in a media segment:
// the movie fragment and the header of the media data. styp adds the type box
// that segments in files of their own begin with.
func Fragment(number uint32, samples []Sample, styp bool) ([]byte, error) {
	if len(samples) == 0 {
		return nil, errs.New(errs.Internal, op, "segment %d is empty", number)
	}
	var b box
	if styp {
		b.begin("styp")
		b.text("msdh")
		b.u32(0)
		b.text("msdhcmfs")
		b.end()
	}
	f := formOf(samples)
	start := len(b.bytes)
	b.begin("moof")
	b.full("mfhd", 0, 0)
	b.u32(number)
	b.end()
	b.begin("traf")
	b.full("tfhd", 0, 0x020000|0x8|0x20) // offsets from moof; usual duration and flags follow
	b.u32(1, uint32(samples[0].Dur), f.usual)
	b.end()
	b.full("tfdt", 1, 0)
	b.u64(uint64(samples[0].DTS))
	b.end()
	b.full("trun", 1, f.trun())
	b.u32(uint32(len(samples)))
	data := len(b.bytes)
	b.u32(0) // where the bytes begin: known below
	if f.first {
		b.u32(entryFlags)
	}
	size := int64(8)
	for _, s := range samples {
		if f.durations {
			b.u32(uint32(s.Dur))
		}
		b.u32(uint32(s.Size))
		if f.flags {
			b.u32(flagsOf(s))
		}
		if f.offsets {
			b.u32(uint32(int32(s.PTS - s.DTS)))
		}
		size += int64(s.Size)
	}
	b.end()
	b.end()
	b.end()
	if size > math.MaxUint32 {
		return nil, errs.New(errs.TooLarge, op, "segment %d has %d bytes", number, size)
	}
	be.PutUint32(b.bytes[data:], uint32(len(b.bytes)-start+8))
	b.u32(uint32(size))
	b.text("mdat")
	return b.bytes, nil
}

// form is which columns a fragment's table needs.
type form struct {
	durations, flags, offsets bool
	first                     bool // the first sample alone has other flags
	usual                     uint32
}

func formOf(samples []Sample) form {
	f := form{usual: flagsOf(samples[len(samples)-1])}
	for i, s := range samples {
		f.durations = f.durations || s.Dur != samples[0].Dur
		f.offsets = f.offsets || s.PTS != s.DTS
		if flagsOf(s) != f.usual {
			f.first = f.first || i == 0
			f.flags = f.flags || i > 0
		}
	}
	f.first = f.first && !f.flags
	return f
}

func (f form) trun() uint32 {
	flags := uint32(0x1 | 0x200) // offset of the data; sizes
	for _, c := range []struct {
		on  bool
		bit uint32
	}{{f.first, 0x4}, {f.durations, 0x100}, {f.flags, 0x400}, {f.offsets, 0x800}} {
		if c.on {
			flags |= c.bit
		}
	}
	return flags
}

func flagsOf(s Sample) uint32 {
	if s.Key {
		return entryFlags
	}
	return innerFlags
}

// Reference is a segment in an index.
type Reference struct {
	Size int64 // bytes
	Dur  int64 // ticks presented
}

// Index is the segment index of a track in one file (sidx). It stands right in
// front of the first segment, which begins at presentation time start.
func Index(timescale uint32, start int64, all []Reference) ([]byte, error) {
	if len(all) > math.MaxUint16 {
		return nil, errs.New(errs.TooLarge, op, "%d segments in one index, it holds %d", len(all), math.MaxUint16)
	}
	var b box
	b.full("sidx", 1, 0)
	b.u32(1, timescale)
	b.u64(uint64(start), 0)
	b.u32(uint32(len(all)))
	for _, r := range all {
		if r.Size > math.MaxInt32 || r.Dur > math.MaxUint32 {
			return nil, errs.New(errs.TooLarge, op, "a segment of %d bytes and %d ticks", r.Size, r.Dur)
		}
		b.u32(uint32(r.Size), uint32(r.Dur), 1<<31|1<<28) // begins with an access point of type 1
	}
	b.end()
	return b.bytes, nil
}

// box writes boxes into each other.
type box struct {
	bytes []byte
	open  []int
}

func (b *box) begin(name string) {
	b.open = append(b.open, len(b.bytes))
	b.u32(0)
	b.text(name)
}

func (b *box) full(name string, version byte, flags uint32) {
	b.begin(name)
	b.u32(uint32(version)<<24 | flags)
}

func (b *box) end() {
	at := b.open[len(b.open)-1]
	b.open = b.open[:len(b.open)-1]
	be.PutUint32(b.bytes[at:], uint32(len(b.bytes)-at))
}

func (b *box) u32(all ...uint32) {
	for _, v := range all {
		b.bytes = be.AppendUint32(b.bytes, v)
	}
}

func (b *box) u64(all ...uint64) {
	for _, v := range all {
		b.bytes = be.AppendUint64(b.bytes, v)
	}
}

func (b *box) text(s string) { b.bytes = append(b.bytes, s...) }

// matrix is the identity.
func (b *box) matrix() { b.u32(1<<16, 0, 0, 0, 1<<16, 0, 0, 0, 1<<30) }
