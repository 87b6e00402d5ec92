package codec

import (
	"fmt"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

const op = "container.codec"

// vui is the part of video usability information H.264 and HEVC share
// (ITU-T H.264 E.1.1, H.265 E.2.1).
func (r *bitReader) vui(p *Params) {
	if r.flag() { // aspect_ratio_info_present_flag
		if idc := r.u(8); idc == 255 {
			p.SAR = media.Rational{Num: int64(r.u(16)), Den: int64(r.u(16))}
			if p.SAR.Num == 0 || p.SAR.Den == 0 {
				p.SAR = media.Rational{}
			} else {
				p.SAR = p.SAR.Reduce()
			}
		} else {
			p.SAR = sarOf(idc)
		}
	}
	if r.flag() { // overscan_info_present_flag
		r.skip(1)
	}
	if r.flag() { // video_signal_type_present_flag
		r.skip(3)
		full := r.flag()
		if r.flag() {
			prim, trc, matrix := int(r.u(8)), int(r.u(8)), int(r.u(8))
			loc := p.Color.ChromaLoc
			p.Color = Colour(prim, trc, matrix)
			p.Color.ChromaLoc = loc
		}
		p.Color.Range = Range(full)
	}
	if r.flag() { // chroma_loc_info_present_flag
		p.Color.ChromaLoc = ChromaLoc(int(r.ue()))
		r.ue()
	}
}

// H264 reads a sequence parameter set, with or without its NAL header byte
// stripped of a start code: nal[0] is the NAL header. (ITU-T H.264 §7.3.2.1.1)
func H264(nal []byte) (Params, error) {
	var p Params
	if len(nal) < 5 || nal[0]&0x1f != 7 {
		return p, errs.New(errs.Invalid, op, "not an H.264 sequence parameter set")
	}
	r := &bitReader{b: unescape(nal[1:])}
	profile, constraints, level := r.u(8), r.u(8), r.u(8)
	p.Profile, p.Level = h264Profile(profile, constraints), h264Level(profile, constraints, level)
	r.ue() // seq_parameter_set_id
	chroma, depth, separate := uint32(1), 8, false
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		if chroma = r.ue(); chroma == 3 {
			separate = r.flag()
		}
		depth = 8 + int(r.ue())
		r.ue()
		r.skip(1)
		if r.flag() { // seq_scaling_matrix_present_flag
			lists := 8
			if chroma == 3 {
				lists = 12
			}
			for i := range lists {
				if r.flag() {
					r.scalingList(i < 6)
				}
			}
		}
	}
	if chroma > 3 || depth > 14 {
		return Params{}, errs.New(errs.Invalid, op, "H.264 chroma format %d at %d bits", chroma, depth)
	}
	r.ue() // log2_max_frame_num_minus4
	pocType := r.ue()
	switch pocType {
	case 0:
		r.ue()
	case 1:
		r.skip(1)
		r.se()
		r.se()
		n := r.ue()
		for i := uint32(0); i < n && i < 256 && !r.over; i++ {
			r.se()
		}
	}
	r.ue() // max_num_ref_frames
	r.skip(1)
	mbW, mapH := int(r.ue())+1, int(r.ue())+1
	frameOnly := r.flag()
	fields := 2
	if frameOnly {
		fields, p.FieldOrder = 1, "progressive"
	} else {
		r.skip(1)
	}
	r.skip(1)
	var left, right, top, bottom int
	if r.flag() {
		left, right, top, bottom = int(r.ue()), int(r.ue()), int(r.ue()), int(r.ue())
	}
	if r.over || mbW > 1<<12 || mapH > 1<<12 {
		return Params{}, errs.New(errs.Invalid, op, "H.264 sequence parameter set is truncated or corrupt")
	}
	cx, cy := 1, fields
	if !separate && (chroma == 1 || chroma == 2) {
		cx = 2
	}
	if chroma == 1 {
		cy *= 2
	}
	p.Width, p.Height = mbW*16-(left+right)*cx, mapH*16*fields-(top+bottom)*cy
	if p.Width <= 0 || p.Height <= 0 {
		return Params{}, errs.New(errs.Invalid, op, "H.264 cropping leaves no picture")
	}
	p.BitDepth, p.PixelFormat = depth, pixelFormat(int(chroma), depth)
	none := profile == 66 || pocType == 2 // baseline has no B slices; order type 2 is decode order
	if chroma == 1 {
		p.Color.ChromaLoc = "left" // what the standard infers where nothing is said
	}
	if r.flag() {
		r.vui(&p)
		r.h264Timing(&p, &none)
	}
	if none {
		p.BFrames = new(false)
	}
	if p.Color.Range == "pc" && p.PixelFormat == "yuv420p" || p.Color.Range == "pc" && depth == 8 && (chroma == 2 || chroma == 3) {
		p.PixelFormat = "yuvj" + p.PixelFormat[3:] // ffmpeg's name for 8-bit full range
	}
	if p.Color.Matrix == "gbr" && chroma == 3 {
		p.PixelFormat = gbr(pixelFormat(3, depth))
	}
	return p, nil
}

// h264Timing reads what follows the colour part of the VUI: the time base and
// how many frames may be reordered, which says whether B frames can occur.
func (r *bitReader) h264Timing(p *Params, none *bool) {
	if r.flag() {
		ticks, scale := r.u(32), r.u(32)
		r.skip(1)
		p.FrameRate = frameRate(uint64(scale), uint64(ticks)*2) // a tick is a field
	}
	nal := r.flag()
	if nal {
		r.h264HRD()
	}
	vcl := r.flag()
	if vcl {
		r.h264HRD()
	}
	if nal || vcl {
		r.skip(1)
	}
	r.skip(1)
	if r.flag() { // bitstream_restriction_flag
		r.skip(1)
		for range 4 {
			r.ue()
		}
		if reorder := r.ue(); !r.over && reorder == 0 {
			*none = true
		}
	}
	if r.over { // truncated extras do not spoil what came before
		p.FrameRate = media.Rational{}
	}
}

func (r *bitReader) h264HRD() {
	n := r.ue()
	r.skip(8)
	for i := uint32(0); i <= n && i < 32 && !r.over; i++ {
		r.ue()
		r.ue()
		r.skip(1)
	}
	r.skip(20)
}

func (r *bitReader) scalingList(small bool) {
	size, last, next := 64, int32(8), int32(8)
	if small {
		size = 16
	}
	for range size {
		if next != 0 {
			next = (last + r.se() + 256) % 256
		}
		if next != 0 {
			last = next
		}
		if r.over {
			return
		}
	}
}

func h264Profile(profile, constraints uint32) string {
	set := func(n int) bool { return constraints>>(7-n)&1 == 1 }
	switch profile {
	case 66:
		if set(1) {
			return "Constrained Baseline"
		}
		return "Baseline"
	case 77:
		return "Main"
	case 88:
		return "Extended"
	case 100:
		return "High"
	case 110:
		if set(3) {
			return "High 10 Intra"
		}
		return "High 10"
	case 122:
		if set(3) {
			return "High 4:2:2 Intra"
		}
		return "High 4:2:2"
	case 244:
		if set(3) {
			return "High 4:4:4 Intra"
		}
		return "High 4:4:4 Predictive"
	case 44:
		return "CAVLC 4:4:4"
	case 118:
		return "Multiview High"
	case 128:
		return "Stereo High"
	}
	return ""
}

func h264Level(profile, constraints, level uint32) string {
	if level == 11 && constraints>>4&1 == 1 && (profile == 66 || profile == 77 || profile == 88) || level == 9 {
		return "1b"
	}
	return fmt.Sprintf("%d.%d", level/10, level%10)
}
