package codec

import (
	"fmt"

	"github.com/mediafn/mediafn/core/errs"
)

// HEVC reads a sequence parameter set; nal starts with the two-byte NAL
// header. (ITU-T H.265 §7.3.2.2.1)
func HEVC(nal []byte) (Params, error) {
	var p Params
	if len(nal) < 6 || nal[0]>>1&0x3f != 33 {
		return p, errs.New(errs.Invalid, op, "not an HEVC sequence parameter set")
	}
	r := &bitReader{b: unescape(nal[2:])}
	r.skip(4)
	layers := int(r.u(3))
	r.skip(1)
	r.profileTierLevel(&p, layers)
	r.ue() // sps_seq_parameter_set_id
	chroma := r.ue()
	if chroma == 3 {
		r.skip(1)
	}
	w, h := int(r.ue()), int(r.ue())
	var left, right, top, bottom int
	if r.flag() {
		left, right, top, bottom = int(r.ue()), int(r.ue()), int(r.ue()), int(r.ue())
	}
	depth := 8 + int(r.ue())
	r.ue()
	pocBits := int(r.ue()) + 4
	first := layers
	if r.flag() {
		first = 0
	}
	reorder := uint32(0)
	for i := first; i <= layers; i++ {
		r.ue()
		reorder = r.ue()
		r.ue()
	}
	if r.over || chroma > 3 || depth > 16 || w > 1<<16 || h > 1<<16 || pocBits > 16 {
		return Params{}, errs.New(errs.Invalid, op, "HEVC sequence parameter set is truncated or corrupt")
	}
	cx, cy := 1, 1
	if chroma == 1 || chroma == 2 {
		cx = 2
	}
	if chroma == 1 {
		cy = 2
	}
	p.Width, p.Height = w-(left+right)*cx, h-(top+bottom)*cy
	if p.Width <= 0 || p.Height <= 0 {
		return Params{}, errs.New(errs.Invalid, op, "HEVC cropping leaves no picture")
	}
	p.BitDepth, p.PixelFormat = depth, pixelFormat(int(chroma), depth)
	if reorder == 0 {
		p.BFrames = new(false)
	}
	if chroma == 1 {
		p.Color.ChromaLoc = "left" // what the standard infers where nothing is said
	}
	saved := p
	r.hevcRest(&p, pocBits)
	if r.over { // a set this reader lost its way in still has its first half
		saved.FieldOrder = ""
		return saved, nil
	}
	if p.Color.Range == "pc" && depth == 8 && chroma > 0 {
		p.PixelFormat = "yuvj" + p.PixelFormat[3:]
	}
	if p.Color.Matrix == "gbr" && chroma == 3 {
		p.PixelFormat = gbr(pixelFormat(3, depth))
	}
	return p, nil
}

// hevcRest skips coding tools to reach the VUI.
func (r *bitReader) hevcRest(p *Params, pocBits int) {
	for range 6 {
		r.ue()
	}
	enabled := r.flag()
	if enabled && r.flag() { // scaling lists enabled, and present
		for size := range 4 {
			step := 1
			if size == 3 {
				step = 3
			}
			for m := 0; m < 6; m += step {
				if !r.flag() {
					r.ue()
					continue
				}
				if size > 1 {
					r.se()
				}
				for range min(64, 1<<(4+size<<1)) {
					r.se()
				}
			}
		}
	}
	r.skip(2)
	if r.flag() { // pcm_enabled_flag
		r.skip(8)
		r.ue()
		r.ue()
		r.skip(1)
	}
	sets := r.ue()
	if sets > 64 {
		r.over = true
		return
	}
	deltas := 0
	for i := range sets {
		deltas = r.refPicSet(i, deltas)
		if r.over {
			return
		}
	}
	if r.flag() { // long_term_ref_pics_present_flag
		n := r.ue()
		for i := uint32(0); i < n && i < 33; i++ {
			r.skip(pocBits + 1)
		}
	}
	r.skip(2)
	if !r.flag() {
		return
	}
	r.vui(p)
	r.skip(1)
	fieldSeq := r.flag()
	r.skip(1)
	if fieldSeq {
		p.FieldOrder = ""
	}
	if r.flag() { // default_display_window_flag
		for range 4 {
			r.ue()
		}
	}
	if r.flag() {
		ticks, scale := r.u(32), r.u(32)
		p.FrameRate = frameRate(uint64(scale), uint64(ticks))
	}
}

// refPicSet skips a short-term reference picture set and returns how many
// pictures it holds, which the next one may be predicted from.
func (r *bitReader) refPicSet(i uint32, previous int) int {
	if i > 0 && r.flag() {
		r.skip(1)
		r.ue()
		n := 0
		for j := 0; j <= previous; j++ {
			used, useDelta := r.flag(), true
			if !used {
				useDelta = r.flag()
			}
			if used || useDelta {
				n++
			}
		}
		return n
	}
	neg, pos := r.ue(), r.ue()
	if neg > 16 || pos > 16 {
		r.over = true
		return 0
	}
	for range neg + pos {
		r.ue()
		r.skip(1)
	}
	return int(neg + pos)
}

func (r *bitReader) profileTierLevel(p *Params, layers int) {
	r.skip(3)
	profile := r.u(5)
	compat := r.u(32)
	progressive, interlaced := r.flag(), r.flag()
	r.skip(46)
	level := r.u(8)
	if profile == 0 {
		for i := uint32(1); i < 5; i++ {
			if compat>>(31-i)&1 == 1 {
				profile = i
				break
			}
		}
	}
	p.Profile = map[uint32]string{1: "Main", 2: "Main 10", 3: "Main Still Picture", 4: "Rext"}[profile]
	p.Level = fmt.Sprintf("%d.%d", level/30, level%30/3)
	if progressive && !interlaced {
		p.FieldOrder = "progressive"
	}
	var has [8][2]bool
	for i := range layers {
		has[i] = [2]bool{r.flag(), r.flag()}
	}
	if layers > 0 {
		r.skip(2 * (8 - layers))
	}
	for i := range layers {
		if has[i][0] {
			r.skip(88)
		}
		if has[i][1] {
			r.skip(8)
		}
	}
}
