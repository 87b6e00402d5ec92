// Package rate shares the bits of a video among its slices, so that the whole
// has the bit rate that was asked for and no joint shows.
//
//	first pass of every slice → [Analysis] → [Share] → second pass of every slice
//
// A first pass writes what it found of every picture. The encoders' own second
// pass over a whole clip chooses quantisers from these numbers and the clip's
// bits; Share makes the same choice over the numbers of all slices, and tells
// every slice how many bits that gives it. A slice's second pass, with its own
// numbers and these bits, then arrives at the quantisers the whole would have
// had. docs/decisions/0027 has what was measured.
package rate

import (
	"math"

	"github.com/mediafn/mediafn/core/errs"
)

// Pass is what a first pass found out about its pictures, in coded order.
type Pass struct {
	Frames []Frame
	// Seconds is the length as the encoder counts it, by which it turns a bit
	// rate into bits.
	Seconds float64
	// FrameRate is what the encoder was told; 0 = it does not say.
	FrameRate float64
	// Flat says that the encoder spreads quality by its tree of references
	// (mb-tree, cu-tree): the quantiser of the pictures themselves is one for all.
	Flat bool
}

// Frame is one picture of a first pass.
type Frame struct {
	Type                  byte    // I, P or B
	Scale                 float64 // of the quantiser it was coded with: 0.85·2^((QP−12)/6)
	Texture, Motion, Misc float64 // bits: coefficients, vectors, and what no quantiser changes
	Intra                 float64 // share of the blocks that are coded without reference, 0–1
	Seconds               float64 // 0 = all alike
}

// The encoders' defaults, which are not set otherwise here.
const (
	compress  = 0.6 // x264 and x265 qcomp
	intraStep = 1.4 // ip_ratio
	biStep    = 1.3 // pb_ratio, without a tree
	blur      = 20  // pictures that complexity is blurred over (cplxblur)
)

// Share divides a budget of bits among slices of one clip. The result adds up
// to bits, unless that is less than what no quantiser saves: floor is how many
// bits the clip needs at the least, and then is what is divided.
func Share(bits float64, slices []Pass) (shares []float64, floor float64, err error) {
	all := Pass{}
	for _, s := range slices {
		all.Frames = append(all.Frames, s.Frames...)
		all.Flat = all.Flat || s.Flat
	}
	if len(all.Frames) == 0 {
		return nil, 0, errs.New(errs.Invalid, "rate", "nothing was analysed")
	}
	if floor = all.floor(); bits < floor {
		bits = floor
	}
	each := all.quantised(bits)
	sum, at := 0.0, 0
	shares = make([]float64, len(slices))
	for i, s := range slices {
		for _, b := range each[at : at+len(s.Frames)] {
			shares[i] += b
		}
		at += len(s.Frames)
		sum += shares[i]
	}
	for i := range shares {
		if sum > 0 {
			shares[i] *= bits / sum
		} else {
			shares[i] = bits / float64(len(shares))
		}
	}
	return shares, floor, nil
}

// atLeast is above what an encoder refuses as impossible.
const atLeast = 1.1

// floor is what the pictures take at the coarsest quantiser.
func (p *Pass) floor() float64 {
	sum := 0.0
	for i := range p.Frames {
		sum += p.Frames[i].bits(scaleOf(51))
	}
	return sum * atLeast
}

// quantised are the bits of every picture at the one setting that spends bits
// in all: x264's init_pass2, ratecontrol.c. There a picture's quantiser is its
// blurred complexity to the power 1−qcomp, or one and the same with mb-tree;
// that of I and B pictures follows from their neighbours' by a factor.
func (p *Pass) quantised(bits float64) []float64 {
	n := len(p.Frames)
	scale := make([]float64, n)
	blurred := p.blurred()
	near := 1.0 // of the P before
	for i := range p.Frames {
		s := 1.0
		if !p.Flat {
			s = math.Pow(blurred[i], 1-compress)
		}
		switch p.Frames[i].Type {
		case 'I':
			if i+1 < n && !p.Flat && p.Frames[i+1].Type != 'I' {
				s = math.Pow(blurred[i+1], 1-compress)
			}
			s /= intraStep
		case 'B':
			if !p.Flat {
				s = near * biStep
			}
		default:
			near = s
		}
		scale[i] = s
	}
	each := make([]float64, n)
	spend := func(factor float64) (sum float64) {
		for i := range p.Frames {
			each[i] = p.Frames[i].bits(clamp(scale[i]*factor, scaleOf(0), scaleOf(51)))
			sum += each[i]
		}
		return sum
	}
	low, high := 1e-9, 1e12 // bits fall as the factor rises
	for range 200 {
		if mid := math.Sqrt(low * high); spend(mid) > bits {
			low = mid
		} else {
			high = mid
		}
	}
	spend(high)
	return each
}

// blurred is the complexity about each picture: bits at quantiser scale 1, less
// what no quantiser changes, averaged with a bell curve that scene changes cut.
func (p *Pass) blurred() []float64 {
	n := len(p.Frames)
	own, out := make([]float64, n), make([]float64, n)
	for i := range p.Frames {
		f := &p.Frames[i]
		own[i] = f.bits(1) - f.Misc
		if f.Seconds > 0 {
			own[i] /= clamp(f.Seconds, 0.01, 1) / 0.04
		}
	}
	for i := range out {
		sum, total, cut := 0.0, 0.0, 1.0
		add := func(j int) {
			w := cut * math.Exp(-float64((j-i)*(j-i))/200)
			sum, total = sum+w*own[j], total+w
		}
		for j := i + 1; j < min(i+2*blur, n); j++ {
			if cut *= 1 - p.Frames[j].Intra*p.Frames[j].Intra; cut < 1e-4 {
				break
			}
			add(j)
		}
		cut = 1
		for j := i; j >= max(i-2*blur, 0); j-- {
			add(j)
			if cut *= 1 - p.Frames[j].Intra*p.Frames[j].Intra; cut < 1e-4 {
				break
			}
		}
		out[i] = max(sum/total, 1e-3)
	}
	return out
}

// bits is what a picture would have taken at another quantiser scale: x264's
// qscale2bits.
func (f *Frame) bits(scale float64) float64 {
	scale = max(scale, 0.1)
	return (f.Texture+0.1)*math.Pow(f.Scale/scale, 1.1) + f.Motion*math.Pow(max(f.Scale, 1)/max(scale, 1), 0.5) + f.Misc
}

func scaleOf(qp float64) float64 { return 0.85 * math.Exp2((qp-12)/6) }

func clamp(x, low, high float64) float64 { return max(low, min(x, high)) }
