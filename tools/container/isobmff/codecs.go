package isobmff

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/mediafn/mediafn/tools/container/codec"
)

// codecs names a sample description for a codecs parameter (RFC 6381; ISO/IEC
// 14496-15 annex E for AVC and HEVC; the bindings of AV1 and VP9 in ISOBMFF),
// from its kind and the boxes in it. Empty where that is not known.
func codecs(kind string, boxes []byte) string {
	config := func(name string, atLeast int) []byte {
		if c := child(boxes, name); len(c) >= atLeast {
			return c
		}
		return nil
	}
	switch kind {
	case "avc1", "avc3":
		if c := config("avcC", 4); c != nil {
			return fmt.Sprintf("%s.%02x%02x%02x", kind, c[1], c[2], c[3])
		}
	case "hvc1", "hev1":
		if c := config("hvcC", 13); c != nil {
			return kind + "." + hevcProfile(c)
		}
	case "av01":
		if c := config("av1C", 3); c != nil {
			tier, depth := "M", 8
			if c[2]&0x80 != 0 {
				tier = "H"
			}
			if c[2]&0x40 != 0 {
				if depth = 10; c[2]&0x20 != 0 {
					depth = 12
				}
			}
			return fmt.Sprintf("av01.%d.%02d%s.%02d", c[1]>>5, c[1]&31, tier, depth)
		}
	case "vp09":
		if c := config("vpcC", 7); c != nil {
			return fmt.Sprintf("vp09.%02d.%02d.%02d", c[4], c[5], c[6]>>4)
		}
	case "mp4a":
		object, own := esds(child(boxes, "esds"))
		if object == 0x40 && len(own) > 0 {
			if a, err := codec.AAC(own); err == nil && a.Object > 0 {
				return fmt.Sprintf("mp4a.40.%d", a.Object)
			}
		}
		if object != 0 {
			return fmt.Sprintf("mp4a.%02x", object)
		}
	case "Opus", "fLaC", "ac-3", "ec-3":
		return kind
	}
	return ""
}

// hevcProfile writes profile, compatibility flags in reverse bit order, tier
// and level, and the constraint bytes without trailing zeros.
func hevcProfile(c []byte) string {
	space, tier := []string{"", "A", "B", "C"}[c[1]>>6], "L"
	if c[1]&0x20 != 0 {
		tier = "H"
	}
	text := fmt.Sprintf("%s%d.%X.%s%d", space, c[1]&31, bits.Reverse32(be.Uint32(c[2:])), tier, c[12])
	constraints := c[6:12]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	var b strings.Builder
	for _, x := range constraints {
		fmt.Fprintf(&b, ".%X", x)
	}
	return text + b.String()
}
