package codec

import (
	"encoding/binary"

	"github.com/mediafn/mediafn/core/errs"
)

// Config is a decoder configuration record: the parameter sets, and how the
// length of each NAL unit in a sample is written.
type Config struct {
	Params
	LengthSize int // bytes, 1–4; 0 where samples are not NAL units
}

// AVCConfig reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3).
func AVCConfig(b []byte) (Config, error) {
	if len(b) < 7 || b[0] != 1 {
		return Config{}, errs.New(errs.Invalid, op, "avcC is truncated or of an unknown version")
	}
	c := Config{LengthSize: int(b[4]&3) + 1}
	n := int(b[5] & 31)
	b = b[6:]
	if n == 0 { // sets are in the samples (avc3)
		return c, nil
	}
	l := 0
	if len(b) >= 2 {
		l = int(binary.BigEndian.Uint16(b))
	}
	if l == 0 || len(b) < 2+l {
		return c, errs.New(errs.Invalid, op, "avcC is truncated")
	}
	var err error
	c.Params, err = H264(b[2 : 2+l])
	return c, err
}

// HEVCConfig reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3).
func HEVCConfig(b []byte) (Config, error) {
	if len(b) < 23 {
		return Config{}, errs.New(errs.Invalid, op, "hvcC is truncated")
	}
	c := Config{LengthSize: int(b[21]&3) + 1}
	arrays := int(b[22])
	b = b[23:]
	for range arrays {
		if len(b) < 3 {
			return c, errs.New(errs.Invalid, op, "hvcC is truncated")
		}
		kind, n := b[0]&0x3f, int(binary.BigEndian.Uint16(b[1:]))
		b = b[3:]
		for range n {
			if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
				return c, errs.New(errs.Invalid, op, "hvcC is truncated")
			}
			l := int(binary.BigEndian.Uint16(b))
			if kind == 33 {
				var err error
				c.Params, err = HEVC(b[2 : 2+l])
				return c, err
			}
			b = b[2+l:]
		}
	}
	return c, nil
}

// Entry is how a decoder can start at a sample.
type Entry int

const (
	NoEntry    Entry = iota // not a point to start from
	CleanEntry              // IDR: nothing after it refers to anything before it
	OpenEntry               // pictures shown before it may refer to what came before
	Unclear                 // the bytes looked at do not tell
)

// SampleEntry classifies a sample of length-prefixed NAL units from its first
// bytes; it may be cut off anywhere.
func SampleEntry(codec string, sample []byte, lengthSize int) Entry {
	recovery := false
	for lengthSize > 0 && len(sample) > lengthSize {
		n := 0
		for _, c := range sample[:lengthSize] {
			n = n<<8 | int(c)
		}
		sample = sample[lengthSize:]
		nal := sample[:min(max(n, 0), len(sample))]
		if len(nal) > 0 {
			switch codec {
			case "h264":
				switch nal[0] & 0x1f {
				case 5:
					return CleanEntry
				case 6:
					recovery = recovery || recoveryAtOnce(nal)
				case 1, 2:
					if recovery {
						return OpenEntry
					}
					return NoEntry
				}
			case "hevc":
				switch t := nal[0] >> 1 & 0x3f; {
				case t == 19 || t == 20:
					return CleanEntry
				case t >= 16 && t <= 21:
					return OpenEntry
				case t < 16:
					return NoEntry
				}
			}
		}
		if n > len(sample) {
			return Unclear
		}
		sample = sample[n:]
	}
	return Unclear
}

// recoveryAtOnce reports whether an SEI message says that pictures are right
// from here on in output order (ITU-T H.264 D.2.8, recovery_frame_cnt = 0).
func recoveryAtOnce(nal []byte) (now bool) {
	sei(unescape(nal[1:]), func(kind int, b []byte) {
		if kind == 6 {
			r := &bitReader{b: b}
			now = r.ue() == 0 && !r.over
		}
	})
	return now
}
