package codec

import "testing"

// A set of H.264 (High, 160×88, 25 fps), HEVC and AV1, and a VP9 key frame's header.
var seeds = [][]byte{
	{0x67, 0x64, 0x00, 0x0a, 0xac, 0xd9, 0x42, 0x8d, 0xf9, 0x61, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x32, 0x0f, 0x12, 0x25, 0x96},
	{0x42, 0x01, 0x01, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x1e, 0xa0, 0x14, 0x20, 0x61, 0x64, 0xd9, 0x49, 0x26, 0x5b},
	{0x0a, 0x0a, 0x00, 0x00, 0x00, 0x02, 0xaf, 0xff, 0x9b, 0x5f, 0x30, 0x08},
	{0x82, 0x49, 0x83, 0x42, 0x00, 0x09, 0xf0, 0x05, 0xf6, 0x00},
}

func TestExpGolomb(t *testing.T) {
	r := &bitReader{b: []byte{0b1_010_011_0, 0b0100_0000}}
	for want := range uint32(4) {
		if got := r.ue(); got != want {
			t.Errorf("ue = %d, want %d", got, want)
		}
	}
	if r.over {
		t.Error("read past the end")
	}
	if r.u(32); !r.over {
		t.Error("the end was not noticed")
	}
}

func TestTruncatedSets(t *testing.T) {
	if p, err := H264(seeds[0]); err != nil || p.Width != 160 || p.Height != 88 || p.Profile != "High" || p.PixelFormat != "yuv420p" {
		t.Errorf("H264 = %+v, %v", p, err)
	}
	for n := range 8 {
		if _, err := H264(seeds[0][:n]); err == nil {
			t.Errorf("H264 of %d bytes gave no error", n)
		}
		if _, err := HEVC(seeds[1][:n]); err == nil {
			t.Errorf("HEVC of %d bytes gave no error", n)
		}
	}
	if p, err := VP9Frame(seeds[3]); err != nil || p.Width != 160 || p.Height != 96 {
		t.Errorf("VP9Frame = %+v, %v", p, err)
	}
}

func TestAAC(t *testing.T) {
	if a, err := AAC([]byte{0x12, 0x10}); err != nil || a.Profile != "LC" || a.SampleRate != 44100 || a.Channels != 2 {
		t.Errorf("AAC = %+v, %v", a, err)
	}
	if a, err := AAC([]byte{0x2b, 0x92, 0x08, 0x00}); err != nil || a.Profile != "HE-AAC" || a.SampleRate != 44100 {
		t.Errorf("HE-AAC = %+v, %v", a, err)
	}
}

func FuzzParameterSets(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (Params, error){H264, HEVC, AV1, VP9Frame, VP9Config, VP8Frame} {
			p, err := parse(b)
			if err == nil && (p.Width < 0 || p.Height < 0) {
				t.Fatalf("%+v", p)
			}
		}
		_, _ = AVCConfig(b)
		_, _ = HEVCConfig(b)
		_, _ = AAC(b)
		HEVCConfigHDR(b)
		for n := range 5 {
			SampleEntry("h264", b, n)
			SampleEntry("hevc", b, n)
			SampleHDR("hevc", b, n)
			SampleHDR("h264", b, n)
		}
	})
}
