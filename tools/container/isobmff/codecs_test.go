package isobmff

import (
	dehex "encoding/hex"
	"testing"
)

// The examples of RFC 6381 §3.6, ISO/IEC 14496-15 §E.3 and the bindings of AV1
// and VP9, from configurations as encoders write them.
func TestCodecsParameter(t *testing.T) {
	for _, c := range []struct{ kind, box, config, want string }{
		{"avc1", "avcC", "01640028ffe1", "avc1.640028"},
		{"avc1", "avcC", "0142c01effe1", "avc1.42c01e"},
		{"hvc1", "hvcC", "01016000000090000000000078f000", "hvc1.1.6.L120.90"},
		{"hvc1", "hvcC", "010220000000b0000000000099f000", "hvc1.2.4.L153.B0"},
		{"hev1", "hvcC", "01a160000000900400000000995d00", "hev1.B1.6.H153.90.4"},
		{"av01", "av1C", "8108000c", "av01.0.08M.08"},
		{"av01", "av1C", "810d4c00", "av01.0.13M.10"},
		{"vp09", "vpcC", "01000000000a8002020200", "vp09.00.10.08"},
		{"mp4a", "esds", "00000000031900010004114015000000000000000000000005021190060102", "mp4a.40.2"},
		{"mp4a", "esds", "00000000031300000004" + "0b6b150000000000000000000000", "mp4a.6b"},
		{"Opus", "dOps", "", "Opus"},
		{"avc1", "avcC", "0164", ""},
		{"raw ", "none", "", ""},
	} {
		config, err := dehex.DecodeString(c.config)
		if err != nil {
			t.Fatal(err)
		}
		b := be.AppendUint32(nil, uint32(8+len(config)))
		b = append(append(b, c.box...), config...)
		if got := codecs(c.kind, b); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.kind, c.config, got, c.want)
		}
	}
}
