package codec

import (
	"fmt"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// AV1 reads a sequence header OBU, the one av1C carries or a stream begins
// with. (AV1 bitstream specification §5.5)
func AV1(obu []byte) (Params, error) {
	var p Params
	if len(obu) > 2 && obu[0]>>3&15 == 2 && obu[1] == 0 { // temporal delimiter
		obu = obu[2:]
	}
	if len(obu) < 4 || obu[0]>>3&15 != 1 {
		return p, errs.New(errs.Invalid, op, "not an AV1 sequence header")
	}
	r := &bitReader{b: obu[1:]}
	if obu[0]>>2&1 == 1 { // obu_extension_flag
		r.skip(8)
	}
	if obu[0]>>1&1 == 1 { // obu_has_size_field
		for r.u(1) == 1 && !r.over {
			r.skip(7)
		}
		r.skip(7)
	}
	profile := r.u(3)
	r.skip(1)
	reduced := r.flag()
	level := uint32(0)
	if reduced {
		level = r.u(5)
	} else {
		level = r.av1OperatingPoints(&p)
	}
	wBits, hBits := int(r.u(4))+1, int(r.u(4))+1
	p.Width, p.Height = int(r.u(wBits))+1, int(r.u(hBits))+1
	if !reduced && r.flag() { // frame_id_numbers_present_flag
		r.skip(7)
	}
	r.skip(3)
	if !reduced {
		r.skip(4)
		order := r.flag()
		if order {
			r.skip(2)
		}
		screen := uint32(2)
		if !r.flag() {
			screen = r.u(1)
		}
		if screen > 0 && !r.flag() {
			r.skip(1)
		}
		if order {
			r.skip(3)
		}
	}
	r.skip(3)
	r.av1Color(&p, profile)
	if r.over || profile > 2 {
		return Params{}, errs.New(errs.Invalid, op, "AV1 sequence header is truncated or corrupt")
	}
	p.Profile = [...]string{"Main", "High", "Professional"}[profile]
	p.Level = fmt.Sprintf("%d.%d", 2+level>>2, level&3)
	p.FieldOrder = "progressive"
	return p, nil
}

// av1OperatingPoints reads timing and returns the level of the first point.
func (r *bitReader) av1OperatingPoints(p *Params) uint32 {
	model, delay := false, 0
	if r.flag() { // timing_info_present_flag
		ticks, scale := uint64(r.u(32)), uint64(r.u(32))
		if r.flag() {
			p.FrameRate = frameRate(scale, ticks*(uint64(r.ue())+1))
		}
		if model = r.flag(); model {
			delay = int(r.u(5)) + 1
			r.skip(32 + 10)
		}
	}
	display := r.flag()
	n, level := r.u(5), uint32(0)
	for i := range n + 1 {
		r.skip(12)
		l := r.u(5)
		if l > 7 {
			r.skip(1)
		}
		if i == 0 {
			level = l
		}
		if model && r.flag() {
			r.skip(2*delay + 1)
		}
		if display && r.flag() {
			r.skip(4)
		}
	}
	return level
}

func (r *bitReader) av1Color(p *Params, profile uint32) {
	p.BitDepth = 8
	if r.flag() {
		p.BitDepth = 10
		if profile == 2 && r.flag() {
			p.BitDepth = 12
		}
	}
	mono := profile != 1 && r.flag()
	prim, trc, matrix := 2, 2, 2
	if r.flag() {
		prim, trc, matrix = int(r.u(8)), int(r.u(8)), int(r.u(8))
		p.Color = Colour(prim, trc, matrix)
	}
	if mono {
		p.Color.Range = Range(r.flag())
		p.PixelFormat = pixelFormat(0, p.BitDepth)
		return
	}
	if prim == 1 && trc == 13 && matrix == 0 { // sRGB
		p.Color.Range, p.PixelFormat = "pc", gbr(pixelFormat(3, p.BitDepth))
		return
	}
	p.Color.Range = Range(r.flag())
	chroma := 1
	switch {
	case profile == 1:
		chroma = 3
	case profile == 2 && p.BitDepth < 12:
		chroma = 2
	case profile == 2:
		if chroma = 3; r.flag() {
			if chroma = 2; r.flag() {
				chroma = 1
			}
		}
	}
	if chroma == 1 {
		p.Color.ChromaLoc = [...]string{"", "left", "topleft", ""}[r.u(2)]
	}
	p.PixelFormat = pixelFormat(chroma, p.BitDepth)
	if matrix == 0 && chroma == 3 {
		p.PixelFormat = gbr(p.PixelFormat)
	}
}

// VP9Config reads the body of a vpcC box, version 1, without its four bytes
// of version and flags. (VP Codec ISO Media File Format Binding §2.2)
func VP9Config(b []byte) (Params, error) {
	if len(b) < 6 {
		return Params{}, errs.New(errs.Invalid, op, "vpcC is truncated")
	}
	p := Params{FieldOrder: "progressive", BitDepth: int(b[2] >> 4), Color: Colour(int(b[3]), int(b[4]), int(b[5]))}
	p.Profile = "Profile " + itoa(int(b[0]&7))
	if b[1] > 0 {
		p.Level = fmt.Sprintf("%d.%d", b[1]/10, b[1]%10)
	}
	p.Color.Range = Range(b[2]&1 == 1)
	chroma := [...]int{1, 1, 2, 3, 0, 0, 0, 0}[b[2]>>1&7]
	switch b[2] >> 1 & 7 {
	case 0:
		p.Color.ChromaLoc = "left"
	case 1:
		p.Color.ChromaLoc = "topleft"
	}
	if p.BitDepth >= 8 && p.BitDepth <= 12 {
		p.PixelFormat = pixelFormat(chroma, p.BitDepth)
		if b[5] == 0 && chroma == 3 {
			p.PixelFormat = gbr(p.PixelFormat)
		}
	}
	return p, nil
}

// VP9Frame reads the uncompressed header of a key frame. (VP9 §6.2)
func VP9Frame(frame []byte) (Params, error) {
	r := &bitReader{b: frame}
	bad := errs.New(errs.Invalid, op, "not a VP9 key frame")
	if r.u(2) != 2 {
		return Params{}, bad
	}
	profile := int(r.u(1) | r.u(1)<<1)
	if profile == 3 {
		r.skip(1)
	}
	existing, inter := r.flag(), r.flag()
	if existing || inter { // show_existing_frame, or frame_type is not key
		return Params{}, bad
	}
	r.skip(2)
	if r.u(24) != 0x498342 {
		return Params{}, bad
	}
	p := Params{Profile: "Profile " + itoa(profile), BitDepth: 8, FieldOrder: "progressive"}
	if profile >= 2 {
		p.BitDepth = 10 + 2*int(r.u(1))
	}
	chroma := 1
	// color_space values 1–6 (VP9 §7.2.2) as H.273 matrices.
	space := r.u(3)
	p.Color.Matrix = [...]string{"", "bt470bg", "bt709", "smpte170m", "smpte240m", "bt2020nc", "", "gbr"}[space]
	if space != 7 {
		p.Color.Range = Range(r.flag())
		if profile&1 == 1 {
			x, y := r.flag(), r.flag()
			r.skip(1)
			if chroma = 3; x && !y {
				chroma = 2
			} else if x {
				chroma = 1
			}
		}
	} else {
		p.Color.Range, chroma = "pc", 3
	}
	p.Width, p.Height = int(r.u(16))+1, 0
	p.Height = int(r.u(16)) + 1
	if r.over {
		return Params{}, bad
	}
	p.PixelFormat = pixelFormat(chroma, p.BitDepth)
	if space == 7 {
		p.PixelFormat = gbr(p.PixelFormat)
	}
	return p, nil
}

// VP8Frame reads the size in a VP8 key frame header. (RFC 6386 §9.1)
func VP8Frame(b []byte) (Params, error) {
	if len(b) < 10 || b[0]&1 != 0 || b[3] != 0x9d || b[4] != 0x01 || b[5] != 0x2a {
		return Params{}, errs.New(errs.Invalid, op, "not a VP8 key frame")
	}
	return Params{Width: int(b[6]) | int(b[7]&0x3f)<<8, Height: int(b[8]) | int(b[9]&0x3f)<<8, BitDepth: 8,
		PixelFormat: "yuv420p", FieldOrder: "progressive", SAR: media.Rational{}}, nil
}
