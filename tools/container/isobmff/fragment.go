package isobmff

import (
	"math"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/container/timeline"
)

// run is one track run of a movie fragment (trun, ISO/IEC 14496-12 §8.8.8).
type run struct {
	flags      uint32
	firstFlags uint32
	count      int64
	def        defaults
	entries    []byte
	dts, off   int64
}

// width of an entry in bytes.
func (r *run) width() int64 {
	n := int64(0)
	for _, f := range []uint32{0x100, 0x200, 0x400, 0x800} {
		if r.flags&f != 0 {
			n += 4
		}
	}
	return n
}

// each visits the samples of a run.
func (r *run) each(visit func(s timeline.Sample)) (ticks, bytes int64) {
	b := r.entries
	next := func() (v uint32) {
		v, b = be.Uint32(b), b[4:]
		return v
	}
	dts, off := r.dts, r.off
	for i := range r.count {
		d := r.def
		if r.flags&0x100 != 0 {
			d.dur = next()
		}
		if r.flags&0x200 != 0 {
			d.size = next()
		}
		if r.flags&0x400 != 0 {
			d.flags = next()
		} else if i == 0 && r.flags&4 != 0 {
			d.flags = r.firstFlags
		}
		cto := int64(0)
		if r.flags&0x800 != 0 {
			cto = int64(int32(next())) // version 0 files hold negative offsets too
		}
		if visit != nil {
			// sample_is_non_sync_sample, or depends on others without saying so
			key := d.flags&0x10000 == 0 && d.flags>>24&3 != 1
			visit(timeline.Sample{PTS: dts + cto, Dur: int64(d.dur), Offset: off, Size: int32(min(d.size, math.MaxInt32)), Key: key})
		}
		dts, off = dts+int64(d.dur), off+int64(d.size)
	}
	return dts - r.dts, off - r.off
}

func (r *run) expand(out []timeline.Sample) []timeline.Sample {
	r.each(func(s timeline.Sample) { out = append(out, s) })
	return out
}

// moof adds a movie fragment's runs to their tracks. at is where the moof box
// begins in the file.
func (m *movie) moof(b []byte, at int64) error {
	return each(b, func(kind string, body []byte) error {
		if kind != "traf" {
			return nil
		}
		return m.traf(body, at)
	})
}

func (m *movie) traf(b []byte, at int64) error {
	_, flags, h, ok := full(child(b, "tfhd"), 4)
	if !ok {
		return corrupt("tfhd is missing or truncated")
	}
	t := m.byID[be.Uint32(h)]
	if t == nil {
		return nil
	}
	base, def := at, t.trex
	h = h[4:]
	short := false
	next := func(n int) uint64 {
		if len(h) < n {
			short = true
			return 0
		}
		v := h[:n]
		h = h[n:]
		if n == 8 {
			return be.Uint64(v)
		}
		return uint64(be.Uint32(v))
	}
	if flags&1 != 0 {
		base = int64(next(8))
	}
	if flags&2 != 0 {
		next(4)
	}
	if flags&8 != 0 {
		def.dur = uint32(next(4))
	}
	if flags&0x10 != 0 {
		def.size = uint32(next(4))
	}
	if flags&0x20 != 0 {
		def.flags = uint32(next(4))
	}
	if short || base < 0 {
		return corrupt("tfhd is truncated or corrupt")
	}
	dts := t.nextDTS
	if v, _, r, ok := full(child(b, "tfdt"), 4); ok {
		dts = int64(be.Uint32(r))
		if v == 1 && len(r) >= 8 {
			dts = int64(be.Uint64(r))
		}
		if dts < 0 || dts > maxTick {
			return corrupt("fragment begins at tick %d", dts)
		}
	}
	off := base
	return each(b, func(kind string, body []byte) error {
		if kind != "trun" {
			return nil
		}
		_, flags, h, ok := full(body, 4)
		if !ok {
			return corrupt("trun is truncated")
		}
		r := run{flags: flags, count: int64(be.Uint32(h)), def: def, dts: dts}
		h = h[4:]
		if flags&1 != 0 {
			if len(h) < 4 {
				return corrupt("trun is truncated")
			}
			off, h = base+int64(int32(be.Uint32(h))), h[4:]
		}
		if flags&4 != 0 {
			if len(h) < 4 {
				return corrupt("trun is truncated")
			}
			r.firstFlags, h = be.Uint32(h), h[4:]
		}
		if r.count*r.width() > int64(len(h)) {
			return corrupt("trun claims %d samples in %d bytes", r.count, len(h))
		}
		r.off = off
		if m.samples += r.count; m.samples > min(m.opt.MaxSamples, m.r.Size()) {
			return errs.New(errs.TooLarge, op, "fragments claim %d samples", m.samples)
		}
		// What is kept outlives the window the fragment was read through.
		r.entries = append([]byte(nil), h[:r.count*r.width()]...)
		ticks, bytes := r.each(nil)
		if t.fragSamples == 0 {
			t.fragFirst = dts
		}
		if t.fragTicks = dts + ticks - t.fragFirst; t.fragTicks > maxTick {
			return corrupt("fragments last %d ticks", t.fragTicks)
		}
		t.fragSamples, t.fragBytes = t.fragSamples+r.count, t.fragBytes+bytes
		t.frags = append(t.frags, r)
		dts, off = dts+ticks, off+bytes
		t.nextDTS = dts
		return nil
	})
}
